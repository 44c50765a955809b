"""Texts → unit vectors by sentence-transformers, in float32 or with products in bfloat16.

Sentence-BERT, Reimers & Gurevych 2019: https://arxiv.org/abs/1908.10084
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.model import ENDLESS, Model, trouble
from attnsearch.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from attnsearch.encoding.pieces import Shares

Role = Literal["query", "key"]
Precision = Literal["float32", "bfloat16"]
Progress = Callable[[int], None]

CROSSOVER = 250_000  # characters: for fewer, what bfloat16 or a GPU saves is less than what loading torch costs

_BATCH = 6_000  # characters, padding among them, of the texts that sentence-transformers reads at once on a CPU
_GPU_BATCH = 200_000  # and on a GPU

log = logging.getLogger("attnsearch")


class SentenceEncoder:
    """A model that sentence-transformers runs. It is loaded when first asked for something only it knows."""

    quick = False

    def __init__(self, model: Model, precision: Precision = "float32") -> None:
        self.model = model
        self.precision: Precision = precision

    @property
    def window(self) -> int:
        """How many tokens the model reads of a text; it never sees the rest."""
        with trouble("reads nothing", self.model.name):  # or without end: infinite for models without positions
            return int(min(self._model.max_seq_length or ENDLESS, ENDLESS))

    def encode(self, texts: Sequence[str], role: Role = "key", progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d), by the model's own pooling and, if it has them, its prompts.

        Raises ModelError when the model gives a vector without a direction: NaN, infinity or zeros.
        """
        run = self._model.encode_query if role == "query" else self._model.encode_document
        x = np.empty((0, 0), np.float32)
        for at in batches(texts, _BATCH if self._model.device.type == "cpu" else _GPU_BATCH):
            with trouble("can't embed", self.model.name), self._rounding():
                batch = run([texts[i] for i in at], batch_size=len(at), show_progress_bar=False)
            if not x.size:
                x = np.empty((len(texts), batch.shape[1]), np.float32)
            x[at] = batch
            if progress:
                progress(len(at))
        return unit(x, f"model {self.model.name}")

    def suited(self, length: int, precision: Precision | None = None) -> SentenceEncoder:
        """Itself, or the same model in bfloat16 where that is asked for, or pays."""
        precision = precision or ("bfloat16" if length > CROSSOVER and _halves_pay() else "float32")
        return self if precision == self.precision else SentenceEncoder(self.model, precision)

    def tokens(self, text: str) -> list[str]:
        """The word pieces of a text, [CLS] and [SEP] among them, however long it is."""
        tokenizer = self._model.tokenizer
        ids = tokenizer(text, truncation=False, verbose=False)["input_ids"]
        return [str(token) for token in tokenizer.convert_ids_to_tokens(ids)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece lies; a tokenizer in Python can't tell, so there a word lends its own place to each."""
        tokenizer = self._model.tokenizer
        if tokenizer.is_fast:
            read = tokenizer(
                text, truncation=False, verbose=False, add_special_tokens=False, return_offsets_mapping=True
            )
            return [(int(start), int(stop)) for start, stop in read["offset_mapping"]]
        words = re.finditer(r"\S+", text)
        return [word.span() for word in words for _ in tokenizer.tokenize(word[0])]

    def shares(self, texts: Sequence[str], role: Role = "key") -> list[Shares | None]:
        """What each word piece adds, if the pieces' vectors are seen to add up to that of the text."""
        from attnsearch.encoding.pieces import by_sentence_transformers

        x = self.encode(texts, role)
        with trouble("can't embed", self.model.name), self._rounding():
            return list(by_sentence_transformers(self._model, texts, x, query=role == "query"))

    @cached_property
    def _model(self) -> SentenceTransformer:
        log.info("loading the model %s", self.model.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as chatter

            chatter.set_verbosity_error()
            chatter.disable_progress_bar()
            with trouble("can't be loaded as a sentence-transformers model", self.model.name):
                loaded = SentenceTransformer(str(self.model.folder), trust_remote_code=False, local_files_only=True)
        if self.precision == "bfloat16":  # once, what `_rounding` would do with each batch
            for module in loaded.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(torch.bfloat16)
        return loaded.eval()

    def _rounding(self) -> AbstractContextManager[object]:
        """Products in the encoder's precision, what is added up over the layers in float32: Micikevicius et al. 2018.

        The vectors of a model that is in bfloat16 as a whole are off by twice the angle.
        """
        if self.precision == "float32":
            return nullcontext()
        import torch

        products: AbstractContextManager[object] = torch.autocast(self._model.device.type, torch.bfloat16)
        return products


def _halves_pay() -> bool:
    """Whether this machine computes much faster in bfloat16: on a GPU, or by instructions of its CPU's own."""
    import torch

    accelerator = getattr(torch, "accelerator", None)  # an older torch can't tell
    if accelerator and accelerator.is_available():
        return True
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def batches(texts: Sequence[str], length: int) -> Iterator[list[int]]:
    """Which texts to read at once: some of much the same length, which together have about that many characters."""
    batch: list[int] = []
    for at in sorted(range(len(texts)), key=lambda at: len(texts[at])):
        if batch and (len(batch) + 1) * len(texts[at]) > length:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def unit(x: NDArray[np.float32], who: str) -> NDArray[np.float32]:
    """The rows of x (n, d) at length one; ModelError, naming `who`, for a row that has no direction."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("gave a vector without a direction (NaN, infinity or zeros)", where=who)
    found: NDArray[np.float32] = np.divide(x, norms, dtype=np.float32)
    return found
