"""Texts → unit vectors by sentence-transformers, in float32 or with products in bfloat16.

Sentence-BERT, Reimers & Gurevych 2019: https://arxiv.org/abs/1908.10084

Axis letters: n = texts, t = word pieces, d = width.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding import torch_batches
from attnsearch.encoding.encoder import (
    SLAB,
    OnTexts,
    Precision,
    batch_by_length,
    find_whole_words,
    find_window,
    normalize_rows,
)
from attnsearch.errors import ModelError
from attnsearch.models import trust
from attnsearch.models.faults import SILENCE, model_errors
from attnsearch.models.model import ENDLESS, Model
from attnsearch.models.use import PLAIN, Role, Use
from attnsearch.networks.coverage import find_gap

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from attnsearch.encoding.pieces import Pieces, Span

CROSSOVER = 1_000_000  # characters: for fewer, bfloat16 or a GPU hardly saves the time that loading torch takes

_CHARACTERS = 6_000  # that a module reads at once, with padding, if it makes no word pieces
_TASKS = {"query": "query", "key": "document"}  # what sentence-transformers calls the roles
_EXACT = 1e-5  # how far float32 may put a component off

log = logging.getLogger("attnsearch")


class SentenceEncoder:
    """A model that sentence-transformers runs; it is loaded when it is first needed."""

    quick = False

    def __init__(self, model: Model, precision: Precision = "float32", use: Use = PLAIN) -> None:
        self.model = model
        self.precision: Precision = precision
        self.use = use

    @cached_property
    def window(self) -> int:
        """How many tokens of a key text the model reads; `ENDLESS` if it has no limit."""
        return find_window(self, self._limit, "key")

    @cached_property
    def query_window(self) -> int:
        """How many tokens of a request the model reads."""
        return find_window(self, self._limit, "query")

    @property
    def _limit(self) -> int:
        """How many tokens of a text with its prompt the model reads."""
        with model_errors("its max_seq_length is not a number", self.model.name):  # models without positions have inf
            return int(min(self._model.max_seq_length or ENDLESS, ENDLESS))

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:
        """The unit vectors (n, d), by the model's own pooling.

        Raises ModelError if the model gives a vector without a direction: NaN, infinity or zeros.
        """
        x = np.empty((0, 0), np.float32)
        with closing(self._embed(texts, role)) as embedded:  # also if an error is kept, and with it this frame
            for rows, vectors in embedded:
                unit = normalize_rows(vectors, f"model {self.model.name}", self.use.dims)
                if not x.size:
                    x = np.empty((len(texts), unit.shape[1]), np.float32)
                x[rows] = unit
                if progress:
                    progress(rows, x[rows])
        return x

    def _embed(self, texts: Sequence[str], role: Role) -> Generator[tuple[list[int], NDArray[np.float32]], None, None]:
        """The numbers of n more texts, and their vectors (n, d), of any length."""
        lengths = [len(text) for text in texts]
        for slab in batch_by_length(lengths, SLAB):
            features = self._preprocess([texts[i] for i in slab], role)
            if torch_batches.are_word_pieces(features, len(slab)):
                run = partial(self._model, task=_TASKS[role])
                for batch, vectors in torch_batches.run(run, features, self._model.device, self._computing):
                    yield [slab[i] for i in batch], vectors[:, : self._model.truncate_dim]
                continue
            for batch in batch_by_length([lengths[i] for i in slab], _CHARACTERS):  # a module that reads otherwise
                rows = [slab[i] for i in batch]
                yield rows, self._run_texts([texts[i] for i in rows], role)

    def _run_texts(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """The vectors (n, d) of the texts as one batch, all by sentence-transformers."""
        run = self._model.encode_query if role == "query" else self._model.encode_document
        with self._computing():
            vectors: NDArray[np.float32] = run(
                list(texts), prompt=self.use.prompt(role), batch_size=len(texts), show_progress_bar=False
            )
            return vectors

    def _preprocess(self, texts: list[str], role: Role) -> dict[str, Any]:
        """What the model's first module reads of the texts with their prompt, as `encode_query` and the like do it."""
        with _hide_panics(), model_errors("can't embed", self.model.name):
            features: dict[str, Any] = self._model.preprocess(texts, prompt=self.use.prompt(role), task=_TASKS[role])
            return features

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """What the model raises becomes a ModelError; its products are in the encoder's precision."""
        with _hide_panics(), model_errors("can't embed", self.model.name), self._rounding():
            yield

    def suited(self, length: int, precision: Precision | None = None) -> SentenceEncoder:
        """Itself, or the same model in the other precision if that is asked for, or faster for `length` characters."""
        precision = precision or ("bfloat16" if length > CROSSOVER and is_bfloat16_fast() else "float32")
        return self if precision == self.precision else SentenceEncoder(self.model, precision, self.use)

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text, [CLS] and [SEP] among them, beyond the window too."""
        tokenizer = self._model.tokenizer
        with SILENCE, model_errors("its tokenizer fails", self.model.name):
            ids = tokenizer(text, truncation=False, verbose=False)["input_ids"]
            return [str(token) for token in tokenizer.convert_ids_to_tokens(ids)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins and ends, without [CLS] and [SEP].

        A tokenizer in Python does not give offsets; then each piece has those of its whole word.
        """
        tokenizer = self._model.tokenizer
        with SILENCE, model_errors("its tokenizer fails", self.model.name):
            if tokenizer.is_fast:
                encoding = tokenizer(
                    text, truncation=False, verbose=False, add_special_tokens=False, return_offsets_mapping=True
                )
                return [(int(start), int(stop)) for start, stop in encoding["offset_mapping"]]
            words = re.finditer(r"\S+", text)
            return [word.span() for word in words for _ in tokenizer.tokenize(word[0])]

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words that are one piece each, in the order of the vocabulary."""
        return find_whole_words(words, self._vocabulary.get)

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to its text's unit vector; None if the pieces do not add up to it."""
        x = self.encode(texts, role)
        with self._computing():
            return [self._split(text, vector, role) for text, vector in zip(texts, x, strict=True)]

    def _split(self, text: str, vector: NDArray[np.float32], role: Role) -> Pieces | None:
        """The word pieces of a text; None if they do not add up to its unit vector (d,)."""
        run = self._model.encode_query if role == "query" else self._model.encode_document
        prompt = self.use.prompt(role)
        encoded: dict[str, Any] = run([text], prompt=prompt, output_value=None, show_progress_bar=False)[0]
        spans = _find_spans(self._model, prompt, text, encoded)
        if not spans:
            return None
        tokens = [str(token) for token in self._model.tokenizer.convert_ids_to_tokens(encoded["input_ids"].tolist())]
        return _pieces_that_add_up(encoded, spans, tokens, vector)

    def check_installed(self) -> None:
        """Raise ModelError, with what to install, if sentence-transformers or torch is not installed."""
        if is_installed():
            return
        message, gap = "this model needs sentence-transformers and torch", find_gap(self.model.folder)
        hint = "pip install sentence-transformers, or use another model: attnsearch docs encoders"
        if self.precision == "bfloat16":
            message, gap = "bfloat16 needs sentence-transformers and torch", ""
            hint = "pip install sentence-transformers, or index in float32, which needs neither"
        raise ModelError(f"{message}: {gap}" if gap else message, where=self.model.name, hint=hint)

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        """The number of each piece."""
        with SILENCE, model_errors("its tokenizer fails", self.model.name):
            return dict(self._model.tokenizer.get_vocab())

    @cached_property
    def _model(self) -> SentenceTransformer:
        self.check_installed()
        log.info("loading the model %s", self.model.name)
        trust.check_configs(self.model.folder, self.model.files)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with model_errors("sentence-transformers can't be imported", self.model.name):  # a broken installation
                import torch
                from sentence_transformers import SentenceTransformer
                from transformers.utils import logging as chatter

            chatter.set_verbosity_error()
            chatter.disable_progress_bar()
            with _hide_panics(), model_errors("can't be loaded as a sentence-transformers model", self.model.name):
                loaded = SentenceTransformer(
                    str(self.model.folder),
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={"dtype": torch.float32},  # not rounded to halves, if a configuration has these
                )
                loaded.float()  # transformers computes in halves if a model is stored in them, and is off by as much
        if self.precision == "bfloat16":  # once, so that `_rounding` does not convert them for each batch
            for module in loaded.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(torch.bfloat16)
        return loaded.eval()

    def _rounding(self) -> AbstractContextManager[object]:
        """Products in the encoder's precision, sums over the layers in float32: Micikevicius et al. 2018.

        With the whole model in bfloat16, vectors would be off by twice the angle.
        """
        if self.precision == "float32":
            return nullcontext()
        import torch

        products: AbstractContextManager[object] = torch.autocast(self._model.device.type, torch.bfloat16)
        return products


def _hide_panics() -> AbstractContextManager[object]:
    """Keep a panic's text from stderr while torch computes, but not from a terminal, which shows progress meanwhile."""
    return nullcontext() if os.isatty(2) else SILENCE


def is_installed() -> bool:
    """Whether sentence-transformers and torch are installed: the light way does without."""
    return all(importlib.util.find_spec(name) for name in ("sentence_transformers", "torch"))


def is_bfloat16_fast() -> bool:
    """Whether this machine computes much faster in bfloat16: on a GPU, or with instructions of its CPU."""
    if not is_installed():
        return False
    import torch

    accelerator = getattr(torch, "accelerator", None)  # an older torch has none
    if accelerator and accelerator.is_available():
        return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def _find_spans(model: SentenceTransformer, prompt: str, text: str, encoded: Mapping[str, Any]) -> list[Span]:
    """Where each word piece that the model read lies in the text; None for its marks and for the prompt's pieces.

    Empty if the tokenizer does not give offsets, or if the text has other pieces.
    """
    from attnsearch.encoding.pieces import find_spans

    if "input_ids" not in encoded or not getattr(model.tokenizer, "is_fast", False):
        return []
    encoding = model.tokenizer(
        prompt + text,
        truncation=True,
        max_length=model.max_seq_length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    if encoding["input_ids"] != encoded["input_ids"].tolist():
        return []
    offsets = zip(encoding["offset_mapping"], encoding["special_tokens_mask"], strict=True)
    return find_spans([None if is_mark else span for span, is_mark in offsets], len(prompt))


def _pieces_that_add_up(
    encoded: Mapping[str, Any], spans: Sequence[Span], tokens: Sequence[str], vector: NDArray[np.float32]
) -> Pieces | None:
    """The pieces with a prompt's among them, or without, as the model pools; None if neither adds up to `vector`."""
    if "token_embeddings" not in encoded or len(encoded["token_embeddings"]) != len(spans):
        return None
    from attnsearch.encoding.pieces import pieces_of_mean  # which a query without `explain` does without

    hidden = encoded["token_embeddings"].detach().float().cpu().numpy()
    if hidden.shape[1] < len(vector):  # a module after the pooling has made it wider
        return None
    for first in (0, int(encoded.get("prompt_length") or 0)):
        if len(hidden) > first:
            pieces = pieces_of_mean(hidden[first:, : len(vector)], spans[first:], tokens[first:])
            if np.abs(pieces.vectors.sum(axis=0) - vector).max() < _EXACT:
                return pieces
    return None
