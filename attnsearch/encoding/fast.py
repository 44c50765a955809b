"""The encoder in numpy: it embeds a query within milliseconds of the process's start.

Axis letters: n = texts, t = tokens, d = width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.encoding.encoder import (
    SLAB,
    OnTexts,
    Precision,
    batch_by_length,
    find_whole_words,
    find_window,
    normalize_rows,
)
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import ModelError
from attnsearch.models.model import Model
from attnsearch.models.use import PLAIN, Role, Use
from attnsearch.networks.coverage import Coverage, load_network
from attnsearch.networks.dense import Dense, Unit, load_maps
from attnsearch.networks.pooling import MEANS, pool, shares
from attnsearch.tokens.excerpt import SHORT, Excerpt, open_excerpt
from attnsearch.tokens.tokenizer import copy_uncut, encode_texts, load_tokenizer, name_tokens, tokenizing

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from attnsearch.encoding.encoder import Encoder
    from attnsearch.encoding.pieces import Pieces, Span
    from attnsearch.networks.network import Network

_BATCH = 1_024  # word pieces that numpy reads at once, with padding: more would leave the processor's caches

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class _Forward(NamedTuple):
    """What the network makes of n texts: a mask (n, t) of the word pieces that are pooled, and states (n, t, d).

    Padding is not pooled, nor is a prompt if the model leaves prompts out.
    """

    mask: NDArray[np.bool_]
    hidden: Floats


class _Tokens(NamedTuple):
    """The word pieces of texts: as encoded by a tokenizer, and their numbers, which may be others than its own."""

    tokenizer: Tokenizer
    encodings: list[Encoding]
    ids: list[Ints]


class FastEncoder:
    """A network that numpy runs. Its weights and its tokenizer are loaded when they are first needed."""

    quick = True
    precision: Precision = "float32"

    def __init__(self, model: Model, coverage: Coverage, use: Use = PLAIN) -> None:
        self.model = model
        self.use = use
        self._coverage = coverage

    @cached_property
    def window(self) -> int:
        """How many tokens of a key text it reads."""
        return find_window(self, self._coverage.window, "key")

    @cached_property
    def query_window(self) -> int:
        """How many tokens of a request it reads."""
        return find_window(self, self._coverage.window, "query")

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> Floats:
        """The unit vectors (n, d): those of sentence-transformers but for rounding, about 1e-7 a component."""
        width = self._width  # with it, the network is loaded before there are threads
        x = np.empty((len(texts), self.use.dims or width), np.float32)
        skip = self._count_unpooled(role)
        for slab in batch_by_length([len(text) for text in texts], SLAB):
            ids = self._tokenize([texts[i] for i in slab], role).ids
            batches = list(batch_by_length([len(row) for row in ids], _BATCH))
            embedded = threads.each(partial(self._embed, skip=skip), [[ids[i] for i in batch] for batch in batches])
            with closing(embedded):  # also if an error is kept, and with it this frame
                for batch, vectors in zip(batches, embedded, strict=True):
                    rows = [slab[i] for i in batch]
                    x[rows] = normalize_rows(vectors, f"model {self.model.name}", self.use.dims)
                    if progress:
                        progress(rows, x[rows])
        return x

    def suited(self, length: int, precision: Precision | None = None) -> Encoder:
        """Itself, unless bfloat16 is asked for, or saves more time than loading sentence-transformers takes."""
        by_torch = SentenceEncoder(self.model, use=self.use).suited(length, precision)
        return by_torch if by_torch.precision == "bfloat16" else self

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to its text's unit vector; None if that is not a mean over word pieces."""
        # Which a query without `explain` does without.
        from attnsearch.encoding.pieces import find_spans, pieces_of_mean

        pieces: list[Pieces | None] = [None] * len(texts)
        pooling, dims, prompt = self._coverage.pooling, self.use.dims or None, len(self.use.prompt(role))
        if len(pooling) > 1 or pooling[0] not in MEANS or not all(module.is_linear for module in self._maps):
            return pieces
        tokenizer, encodings, ids = self._tokenize(texts, role)
        skip = self._count_unpooled(role)

        def split(batch: list[int]) -> list[Pieces]:
            mask, hidden = self._forward([ids[i] for i in batch], skip)
            first = int(mask.any(axis=0).argmax())
            parts = self._map(hidden) * shares(mask, pooling[0])[..., None]  # the shares add up to 1
            return [
                pieces_of_mean(
                    of_text[first : len(ids[i]), :dims],
                    find_spans(_spans(encodings[i]), prompt)[first:],
                    name_tokens(tokenizer, encodings[i])[first:],
                )
                for i, of_text in zip(batch, parts, strict=True)
            ]

        batches = list(batch_by_length([len(row) for row in ids], _BATCH))
        _ = self._network  # loaded before there are threads
        with closing(threads.each(split, batches)) as divided:
            for batch, parts in zip(batches, divided, strict=True):
                for i, part in zip(batch, parts, strict=True):
                    pieces[i] = part
        return pieces

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text, [CLS] and [SEP] among them, beyond the window too."""
        with tokenizing(self.model):
            tokenizer = self._find_uncut(text)
            return name_tokens(tokenizer, tokenizer.encode(text))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins and ends, without [CLS] and [SEP]."""
        with tokenizing(self.model):
            return list(self._find_uncut(text).encode(text, add_special_tokens=False).offsets)

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words that are one piece each, in the order of the vocabulary."""
        with tokenizing(self.model):
            return find_whole_words(words, self._excerpt.number if self._excerpt else self._tokenizer.token_to_id)

    def _embed(self, ids: list[Ints], *, skip: int) -> Floats:
        """The vectors (n, d), of any length, of texts with these word pieces; `skip` of them are not pooled."""
        mask, hidden = self._forward(ids, skip)
        return self._map(pool(hidden, mask, self._coverage.pooling))

    def _map(self, x: Floats) -> Floats:
        """What the modules after the pooling make of the vectors x (…, d)."""
        for module in self._maps:
            x = module.apply(x)
        return x

    def _forward(self, ids: Sequence[Ints | list[int]], skip: int) -> _Forward:
        longest = max(map(len, ids))
        padded = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros((len(ids), longest), bool)
        for row, numbers in enumerate(ids):
            padded[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = True
        if not mask.any(axis=1).all() or padded.max() >= self._network.vocabulary or longest > self._network.longest:
            raise ModelError("its tokenizer does not fit its weights", where=self.model.name)
        hidden = self._network.forward(padded, mask)
        mask[:, :skip] = False
        return _Forward(mask, hidden)

    def _tokenize(self, texts: Sequence[str], role: Role) -> _Tokens:
        """The word pieces of each text with its prompt, cut at the model's window."""
        prompt = self.use.prompt(role)
        read = [prompt + text for text in texts]
        with tokenizing(self.model):
            tokenizer, numbers = self._find_tokenizer(read)
            encodings = encode_texts(tokenizer, read)
        ids = [np.array(encoding.ids, np.int64) for encoding in encodings]
        return _Tokens(tokenizer, encodings, ids if numbers is None else [numbers[row] for row in ids])

    def _count_unpooled(self, role: Role) -> int:
        """How many tokens of each text are not pooled: those of the prompt, if the model leaves prompts out.

        [CLS] is among them, as sentence-transformers counts them.
        """
        prompt = self.use.prompt(role)
        if not prompt or self._coverage.include_prompt:
            return 0
        with tokenizing(self.model):
            encoding = self._find_tokenizer([prompt])[0].encode(prompt)
        return len(encoding.ids) - encoding.special_tokens_mask[-1]

    def _find_tokenizer(self, texts: Sequence[str]) -> tuple[Tokenizer, Ints | None]:
        """A tokenizer for these texts, and the number of each of its pieces, unless it has all that there are."""
        if "_tokenizer" not in self.__dict__ and self._excerpt and sum(map(len, texts)) <= SHORT:
            return self._excerpt.cover(texts)
        return self._tokenizer, None

    def _find_uncut(self, text: str) -> Tokenizer:
        """A tokenizer for this text that does not cut it."""
        tokenizer, numbers = self._find_tokenizer([text])
        return self._whole_tokenizer if numbers is None else copy_uncut(tokenizer)

    @cached_property
    def _excerpt(self) -> Excerpt | None:
        file, coverage = self.model.folder / "tokenizer.json", self._coverage
        return open_excerpt(file, coverage.window, coverage.spelling)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.model.folder / "tokenizer.json", self._coverage.window, self._coverage.spelling)

    @cached_property
    def _whole_tokenizer(self) -> Tokenizer:
        return copy_uncut(self._tokenizer)

    @cached_property
    def _maps(self) -> list[Dense | Unit]:
        return load_maps(self.model.folder, self._coverage.maps, self._network.width * len(self._coverage.pooling))

    @property
    def _width(self) -> int:
        """d."""
        return self._maps[-1].width if self._maps else self._network.width * len(self._coverage.pooling)

    @cached_property
    def _network(self) -> Network:
        return load_network(self._coverage.network, self.model.folder)


def _spans(encoding: Encoding) -> list[Span]:
    """Where each word piece lies in the text; None for [CLS] and [SEP]."""
    offsets = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
    return [None if is_mark else span for span, is_mark in offsets]
