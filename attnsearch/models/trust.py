"""A model's folder → its files, if all are safe to read; and whether loading it would run code of its own.

A folder may come from anyone. Nothing in it may be a program, and nothing that decides its vectors may lie outside it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from attnsearch.errors import ModelError

CONFIG = 4 << 20  # bytes of a configuration, at most; a large one has 2 MB
LARGEST = 64 << 20  # bytes of any other file but the weights; a tokenizer of 250,000 tokens has 17 MB
FILES = 1_000  # of a model: a folder with more is something else
WEIGHTS = (".safetensors", ".bin")

_HINT = "attnsearch runs no code of a model, and loads nothing from outside its folder"
_OTHERS = ("onnx", "openvino", "coreml", "__pycache__")  # folders of other engines
_IGNORED = {
    *(".md", ".csv", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".py"),  # about the model
    *(".onnx", ".gguf", ".h5", ".ot", ".msgpack", ".mlmodel"),  # for other engines
    *(".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"),  # pickles that neither library loads
}
# Where the libraries look for weights, in this order; an index lists several files.
_WEIGHTS_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# What modules.json may name: the public classes of sentence-transformers, by their names in all its versions.
_LIBRARY = r"sentence_transformers\.(models|(base|sentence_transformer|sparse_encoder)\.(modules|models))"
_CLASSES = (
    "Transformer|MLMTransformer|StaticEmbedding|SparseStaticEmbedding|CLIPModel|Router|Asym|BoW|WordEmbeddings|"
    "WordWeights|WeightedLayerPooling|CNN|LSTM|LayerNorm|Dropout|Dense|Normalize|Pooling|SpladePooling|SparseAutoEncoder"
)
_MODULE = re.compile(rf"{_LIBRARY}(\.[a-z_]+)?\.({_CLASSES})")
_IMPORTED = {  # what other entries may name, if it is more than a name: of the modules WordEmbeddings and Dense
    "tokenizer_class": re.compile(rf"{_LIBRARY}\.tokenizer(\.[a-z_]+)?\.[A-Za-z]+"),
    "activation_function": re.compile(r"torch\.nn\.modules\.[a-z]+\.[A-Za-z0-9]+"),
}
_METHOD = re.compile(r"forward|get_[a-z]+_features")  # of a network, which makes states of texts
_CODE = {"auto_map", "trust_remote_code", "weights_only", "custom_generate", "code_revision", "use_kernels"}
_ELSEWHERE = {"tokenizer_name_or_path", "base_model_name_or_path", "pretrained_model_name_or_path", "cache_dir"}
_ARGUMENTS = {"model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs", "config_kwargs"}


def list_files(folder: Path) -> dict[str, os.stat_result]:
    """The files that decide a model's vectors, by their paths in the folder ("1_Pooling/config.json"), sorted.

    Left out are hidden files, what is about the model or for other engines, and PyTorch's copies of safetensors files.
    Raises ModelError for a file that is not regular, is too large or can't be read, and for too many files.
    """
    files: dict[str, os.stat_result] = {}
    folders = [""]
    count = 0
    while folders:
        parent = folders.pop()
        names: dict[str, os.stat_result] = {}
        for entry in _scan(folder / parent):
            count += 1
            if count > FILES:
                raise ModelError(f"more than {FILES:,} files: it is not a model's folder", where=str(folder))
            if entry.name.startswith(".") or (_is_ignored(entry.name) and not entry.is_dir()):
                continue
            status = _stat(entry.path)
            if stat.S_ISDIR(status.st_mode):
                if parent or entry.name not in _OTHERS:
                    folders.append(f"{parent}{entry.name}/")
            else:
                _check_file(entry.path, entry.name, status)
                names[entry.name] = status
        for name, status in names.items():
            if not (_WEIGHTS_FILES[0] in names and name.endswith(WEIGHTS[1])):  # no library reads these beside that
                files[parent + name] = status
    return dict(sorted(files.items()))


def stat_files(folder: Path, names: Sequence[str]) -> dict[str, os.stat_result]:
    """The files of these names, sorted, in a folder that has many others. Raises ModelError as `list_files` does."""
    files = {}
    for name in sorted(names):
        path = str(folder / name)
        files[name] = _stat(path)
        _check_file(path, PurePosixPath(name).name, files[name])
    return files


def _is_ignored(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _IGNORED  # noqa: PTH122 (quick)


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(folder)) from None


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 (links lead to the files of the Hugging Face cache)
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=path) from None


def _check_file(path: str, name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("is not a regular file", where=path)
    limit = CONFIG if is_config(name) else LARGEST
    if status.st_size > limit and not name.endswith(WEIGHTS):
        raise ModelError(f"has more than {limit >> 20} MiB", where=path)


def is_config(name: str) -> bool:
    """Whether a file of this name configures a model, its modules or its tokenizer."""
    name = name.lower()
    return name.endswith(".json") and ("config" in name or name == "modules.json")


def read_config(file: Path) -> Any:
    """The content of a configuration. Raises OSError, RecursionError, ValueError; one that is too large is not read."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > CONFIG:
        raise ValueError("not a regular file of a configuration's size")
    return json.loads(file.read_text(encoding="utf-8"))


def check_configs(folder: Path, names: Mapping[str, object]) -> None:
    """Raise ModelError if a configuration asks for code, or for something outside the folder.

    That is: a module type that is not sentence-transformers' own, `auto_map`, a *.py file, a kernel from the hub,
    unpickling without `weights_only`, another model's tokenizer, an adapter over another model, weights elsewhere; or
    files that `list_files` leaves out.
    """
    for name in filter(None, (_find_index(parent, names) for parent in {_parent(name) for name in names})):
        for problem in _index_problems(_read_json(folder / name), _parent(name), names):
            raise ModelError(problem, where=str(folder / name), hint=_HINT)
    for name in names:
        if not is_config(PurePosixPath(name).name):
            continue
        where = str(folder / name)
        if PurePosixPath(name).name == "adapter_config.json":
            hint = "merge the adapter into its model and save that"
            raise ModelError("the folder holds an adapter over another model", where=where, hint=hint)
        config = _read_json(folder / name)
        for problem in _problems(config, is_list_of_modules=PurePosixPath(name).name == "modules.json"):
            raise ModelError(problem, where=where, hint=_HINT)


def _read_json(file: Path) -> Any:
    try:
        return read_config(file)
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not valid JSON: {error}", where=str(file)) from None


def _parent(name: str) -> str:
    """The part of a name up to its file's: "" or "2_Dense/"."""
    return name[: name.rfind("/") + 1]


def _find_index(parent: str, names: Mapping[str, object]) -> str | None:
    """The index from which the libraries take the weights in this folder of a model; None if they read no index."""
    file = next((file for file in _WEIGHTS_FILES if parent + file in names), "")
    return parent + file if file.endswith(".json") else None


def _index_problems(index: Any, parent: str, names: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with a list of files with weights: files that are not in the model's folder."""
    files = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(files, dict):
        yield "is not a list of files with weights"
        return
    for file in files.values():
        if parent + str(file) not in names:
            yield f"it names weights that are not in the folder: {str(file)[:60]}"


def _problems(config: Any, *, is_list_of_modules: bool) -> Iterator[str]:
    """What a configuration asks for in vain, a line each."""
    if is_list_of_modules:
        yield from module_problems(config)
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
            for key, content in value.items():
                yield from _entry_problems(key, content)
        elif isinstance(value, str) and value.endswith(".py"):
            yield f"it names the program {value[:60]}"


def _entry_problems(key: str, content: Any) -> Iterator[str]:
    if (
        (key in _CODE and (content or key == "weights_only"))
        or (key in _IMPORTED and "." in str(content) and not _IMPORTED[key].fullmatch(str(content)))
        or (key.endswith("attn_implementation") and "/" in str(content))
    ):
        yield f"it asks for code: {key}"
    if (key in _ELSEWHERE and content) or (key == "path" and str(content).endswith(".json")):  # the latter in a module
        yield f"it asks for something outside the folder: {key}"
    if isinstance(content, dict):
        yield from _mapping_problems(key, content)


def _mapping_problems(key: str, content: Mapping[str, Any]) -> Iterator[str]:
    if key in _ARGUMENTS:
        for name, value in content.items():
            if ((name.endswith("_file") or name == "variant") and value) or (name == "use_safetensors" and not value):
                yield f"it asks for other files than the usual ones: {name}"
    elif key == "types":  # of a module `Router`
        for name, kind in content.items():
            yield from module_problems([{"path": name, "type": kind}])
    elif key == "modality_config":
        for method in (entry.get("method") for entry in content.values() if isinstance(entry, dict)):
            if not _METHOD.fullmatch(str(method)):
                yield f"it asks for the method {str(method)[:60]}"


def module_problems(modules: Any) -> Iterator[str]:
    """What is wrong with a list of modules: types that are not sentence-transformers', folders outside the model's."""
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        yield "is not a list of modules"
        return
    for module in modules:
        kind, path = module.get("type"), module.get("path")
        if not isinstance(kind, str) or not _MODULE.fullmatch(kind):
            yield f"the module type {str(kind)[:60]} is not of sentence-transformers"
        if not isinstance(path, str) or path.startswith(("/", "~")) or "\\" in path or ":" in path:
            yield f"the module path {str(path)[:60]} is not a folder of the model"
        elif any(part.startswith(".") for part in PurePosixPath(path).parts) or _is_of_others(path):
            yield f"the module path {path[:60]} is not a folder of the model"


def _is_of_others(path: str) -> bool:
    """Whether a path leads into a folder that `list_files` leaves out. Some systems do not tell cases apart."""
    return path.partition("/")[0].lower() in _OTHERS
