"""Texts → unit vectors by sentence-transformers, in float32 or with products in bfloat16.

Sentence-BERT, Reimers & Gurevych 2019: https://arxiv.org/abs/1908.10084
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import OnTexts, Precision, Role, batch_by_length, normalize_rows
from attnsearch.encoding.model import ENDLESS, Model, model_errors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from attnsearch.encoding.pieces import Pieces

CROSSOVER = 250_000  # characters: for fewer, what bfloat16 or a GPU saves is less than what loading torch costs

_BATCH = 6_000  # characters, padding among them, of the texts that sentence-transformers reads at once on a CPU
_GPU_BATCH = 200_000  # and on a GPU
_EXACT = 1e-5  # of a component: what float32 may lose

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
        with model_errors("reads nothing", self.model.name):  # or without end: infinite for models without positions
            return int(min(self._model.max_seq_length or ENDLESS, ENDLESS))

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d), by the model's own pooling and, if it has them, its prompts.

        Raises ModelError when the model gives a vector without a direction: NaN, infinity or zeros.
        """
        run = self._model.encode_query if role == "query" else self._model.encode_document
        x = np.empty((0, 0), np.float32)
        for at in batch_by_length(texts, _BATCH if self._model.device.type == "cpu" else _GPU_BATCH):
            with model_errors("can't embed", self.model.name), self._rounding():
                batch = run([texts[i] for i in at], batch_size=len(at), show_progress_bar=False)
            if not x.size:
                x = np.empty((len(texts), batch.shape[1]), np.float32)
            x[at] = batch
            if progress:
                progress(len(at))
        return normalize_rows(x, f"model {self.model.name}")

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

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds, if the pieces' vectors are seen to add up to that of the text."""
        x = self.encode(texts, role)
        with model_errors("can't embed", self.model.name), self._rounding():
            return [self._pieces(text, vector, role) for text, vector in zip(texts, x, strict=True)]

    def _pieces(self, text: str, vector: NDArray[np.float32], role: Role) -> Pieces | None:
        """The word pieces of a text with its unit vector (d,); None where they do not add up to it."""
        run = self._model.encode_query if role == "query" else self._model.encode_document
        read: dict[str, Any] = run([text], output_value=None, show_progress_bar=False)[0]
        return _checked(read, *_places(self._model, text, read), vector)

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
            with model_errors("can't be loaded as a sentence-transformers model", self.model.name):
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


def _places(model: SentenceTransformer, text: str, read: Mapping[str, Any]) -> tuple[list[tuple[int, int]], list[int]]:
    """Where each word piece lies in the text, and which of them are marks, as a prompt before it is."""
    if "input_ids" in read and getattr(model.tokenizer, "is_fast", False):
        for prompt in ("", *(model.prompts or {}).values()):
            told = model.tokenizer(
                (prompt or "") + text,
                truncation=True,
                max_length=model.max_seq_length,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
            )
            if told["input_ids"] == read["input_ids"].tolist():
                n = len(prompt or "")
                places = zip(told["offset_mapping"], told["special_tokens_mask"], strict=True)
                found = [(max(a - n, 0), b - n, int(is_mark or b <= n)) for (a, b), is_mark in places]
                return [(a, b) for a, b, _ in found], [is_mark for *_, is_mark in found]
    return [], []


def _checked(
    read: Mapping[str, Any], offsets: list[tuple[int, int]], marks: list[int], vector: NDArray[np.float32]
) -> Pieces | None:
    """The pieces with the prompt's among them, or without, as the model pools; None if neither adds up."""
    if "token_embeddings" not in read or len(read["token_embeddings"]) != len(offsets):
        return None
    from attnsearch.encoding.pieces import pieces_of_mean  # which a query without `explain` does without

    hidden = read["token_embeddings"].detach().float().cpu().numpy()
    for first in (0, int(read.get("prompt_length") or 0)):
        if len(hidden) > first:
            found = pieces_of_mean(hidden[first:], offsets[first:], marks[first:])
            if np.abs(found.vectors.sum(axis=0) - vector).max() < _EXACT:
                return found
    return None
