"""A model's folder → its files, if all are safe to read; and whether loading it would run code of its own.

A folder may come from anyone. Nothing in it may be a program, and nothing that decides its vectors may lie outside it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from attnsearch.errors import ModelError

CONFIG = 4 << 20  # bytes of a configuration, at most; a large one has 2 MB
LARGEST = 64 << 20  # bytes of any other file but the weights; a tokenizer of 250,000 tokens has 17 MB
FILES = 1_000  # of a model: a folder with more is something else
WEIGHTS = (".safetensors", ".bin")

_OTHERS = ("onnx", "openvino", "coreml", "__pycache__")  # folders of other engines
_IGNORED = {
    *(".md", ".csv", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".py"),  # about the model
    *(".onnx", ".gguf", ".h5", ".ot", ".msgpack", ".mlmodel"),  # for other engines
    *(".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"),  # pickles that neither library loads
}
_OUR_MODULES = "sentence_transformers."
_CODE = {"auto_map", "trust_remote_code", "weights_only", "custom_generate", "code_revision", "use_kernels"}
_ELSEWHERE = {"tokenizer_name_or_path", "base_model_name_or_path", "pretrained_model_name_or_path", "cache_dir"}


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
            if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() in _IGNORED:  # noqa: PTH122 (quick)
                continue
            status = _stat(entry)
            if stat.S_ISDIR(status.st_mode):
                if parent or entry.name not in _OTHERS:
                    folders.append(f"{parent}{entry.name}/")
            else:
                _check_file(entry.path, entry.name, status)
                names[entry.name] = status
        has_safetensors = any(name.endswith(WEIGHTS[0]) for name in names)
        for name, status in names.items():
            if not (has_safetensors and name.endswith(WEIGHTS[1])):
                files[parent + name] = status
    return dict(sorted(files.items()))


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(folder)) from None


def _stat(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return os.stat(entry.path)  # noqa: PTH116 (links lead to the files of the Hugging Face cache)
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=entry.path) from None


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
    unpickling without `weights_only`, another model's tokenizer, an adapter over another model.
    """
    for name in names:
        if not is_config(PurePosixPath(name).name):
            continue
        where = str(folder / name)
        if PurePosixPath(name).name == "adapter_config.json":
            hint = "merge the adapter into its model and save that"
            raise ModelError("the folder holds an adapter over another model", where=where, hint=hint)
        try:
            config = read_config(folder / name)
        except OSError as error:
            raise ModelError(f"can't be read: {error.strerror}", where=where) from None
        except (ValueError, RecursionError) as error:
            raise ModelError(f"is not valid JSON: {error}", where=where) from None
        for problem in _problems(config, is_list_of_modules=PurePosixPath(name).name == "modules.json"):
            hint = "attnsearch runs no code of a model, and loads nothing from outside its folder"
            raise ModelError(problem, where=where, hint=hint)


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
    if key in _CODE and (content or key == "weights_only"):
        yield f"it asks for code: {key}"
    if key in _ELSEWHERE and content:
        yield f"it asks for something outside the folder: {key}"
    if key.endswith("attn_implementation") and "/" in str(content):
        yield f"it asks for code: {key}"
    if key == "types" and isinstance(content, dict):  # of a module `Router`
        for name, kind in content.items():
            yield from module_problems([{"path": name, "type": kind}])


def module_problems(modules: Any) -> Iterator[str]:
    """What is wrong with a list of modules: types that are not sentence-transformers', folders outside the model's."""
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        yield "is not a list of modules"
        return
    for module in modules:
        kind, path = module.get("type"), module.get("path")
        if not isinstance(kind, str) or not kind.startswith(_OUR_MODULES):
            yield f"the module type {str(kind)[:60]} is not of sentence-transformers"
        if not isinstance(path, str) or path.startswith(("/", "~")) or "\\" in path or ":" in path:
            yield f"the module path {str(path)[:60]} is not a folder of the model"
        elif any(part.startswith(".") for part in PurePosixPath(path).parts):
            yield f"the module path {path[:60]} is not a folder of the model"
