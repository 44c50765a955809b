"""The encoder that is a table: a text's vector is the mean of its word pieces' rows, and no layer comes after it.

Axis letters: n = texts, t = word pieces, d = width.

Tables are trained for whole texts, such as wordllama's (Miller 2024, https://github.com/dleemiller/WordLlama), or
distilled from an encoder, as model2vec does (van Dongen & Tulkens 2024, https://github.com/MinishLab/model2vec).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import (
    OnTexts,
    Precision,
    batch_by_length,
    find_whole_words,
    find_window,
    normalize_rows,
)
from attnsearch.errors import ModelError
from attnsearch.models.model import ENDLESS, Model
from attnsearch.models.use import PLAIN, Role, Use
from attnsearch.networks.table import WORDLLAMA, Layout, Table
from attnsearch.tokens.byte_pairs import latin, read_vocabulary, split_text
from attnsearch.tokens.tokenizer import encode_texts, open_tokenizer, tokenizing

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from attnsearch.encoding.pieces import Pieces

EMPTY = " "  # what an empty text is read as by wordllama
NOTHING = "[]"  # what stands for the pieces of a text that has none in the table
SHORT = 2_000  # characters of requests, at most, for which no tokenizer is loaded
WINDOW = 1_024  # word pieces of a text; what `pieces` says of so many takes 2 MB

_BATCH = 300_000  # characters whose pieces are held at once
_PIECE = 50  # characters of one of wordllama's word pieces, at most

Floats = NDArray[np.float32]


class StaticEncoder:
    """A table with a row for each word piece.

    It could read texts of any length, but the longer a text is, the less its mean says of any part. A text without a
    piece in the table has the mean of all rows, so that it has a direction, and is as near to one text as to another.
    """

    quick = True
    precision: Precision = "float32"

    def __init__(self, model: Model, layout: Layout, use: Use = PLAIN) -> None:
        self.model = model
        self.use = use
        self._layout = layout

    @cached_property
    def window(self) -> int:
        """How many word pieces of a key text it reads."""
        return find_window(self, self._limit, "key")

    @cached_property
    def query_window(self) -> int:
        """How many word pieces of a request it reads."""
        return find_window(self, self._limit, "query")

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> Floats:
        """The unit vectors (n, d): those of the model's own library but for rounding, scaled to length 1."""
        texts = [self.use.prompt(role) + text for text in texts]
        x = np.empty((len(texts), self.use.dims or self._table.width), np.float32)
        for batch in batch_by_length([len(text) for text in texts], _BATCH):
            sums = self._sum_rows(self._number_pieces([texts[i] for i in batch], role))
            x[batch] = normalize_rows(sums, f"model {self.model.name}", self.use.dims)
            if progress:
                progress(batch, x[batch])
        return x

    def suited(self, length: int, precision: Precision | None = None) -> StaticEncoder:  # noqa: ARG002 (there is no other)
        """Itself."""
        return self

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text, unknown ones among them."""
        with tokenizing(self.model):
            text = text or (EMPTY if self._layout is WORDLLAMA else "")
            return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins, without the spaces before it, and ends."""
        with tokenizing(self.model):
            spans = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return [(stop - len(text[start:stop].lstrip(" ")), stop) for start, stop in spans]

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words that are one piece each, in the order of the vocabulary."""
        if self._layout is WORDLLAMA:
            return find_whole_words(words, lambda piece: self._vocabulary.get(latin(piece)))
        with tokenizing(self.model):
            return find_whole_words(words, self._tokenizer.token_to_id)

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece that has a row adds to its text's unit vector."""
        # Which a query without `explain` does without.
        from attnsearch.encoding.pieces import find_spans, pieces_of_mean

        pieces: list[Pieces | None] = []
        prompt, dims = self.use.prompt(role), self.use.dims or None
        for text in texts:
            (encoding,) = self._encode([prompt + text])
            places = self._places(encoding.ids)
            rows = self._take_rows([encoding.ids[place] for place in places])
            spans = find_spans([encoding.offsets[place] for place in places] if prompt + text else [], len(prompt))
            tokens = [encoding.tokens[place] for place in places] or [NOTHING]
            pieces.append(pieces_of_mean(rows[:, :dims], spans or [None], tokens))
        return pieces

    def _number_pieces(self, texts: list[str], role: Role) -> list[list[int]]:
        """The numbers of each text's word pieces that have rows; without a tokenizer if possible."""
        if self._layout is WORDLLAMA and role == "query" and "_opened" not in self.__dict__:
            with tokenizing(self.model):
                split = [split_text(text, self._vocabulary) for text in texts] if sum(map(len, texts)) <= SHORT else []
            if split and None not in split:
                return [numbers[: self._limit] for numbers in split if numbers]
        numbers = [encoding.ids[: self._limit] for encoding in self._encode(texts)]
        if self._unknown is None:
            return numbers
        return [[number for number in row if number != self._unknown] for row in numbers]

    def _encode(self, texts: list[str]) -> list[Encoding]:
        """The word pieces of these texts; of a long one, at least those that are read."""
        if self._layout is WORDLLAMA:
            texts = [text[: _PIECE * WINDOW] or EMPTY for text in texts]
        with tokenizing(self.model):
            return encode_texts(self._tokenizer, texts, marks=False)

    def _places(self, numbers: list[int]) -> list[int]:
        """Which of a text's word pieces, that have these numbers, are read and have rows."""
        return [place for place, number in enumerate(numbers[: self._limit]) if number != self._unknown]

    def _sum_rows(self, numbers: list[list[int]]) -> Floats:
        """The sums (n, d) of the rows of each text's pieces. Each row is read once, however often its piece stands."""
        pieces, places = np.unique(np.fromiter(itertools.chain.from_iterable(numbers), np.int64), return_inverse=True)
        rows = self._take_rows(pieces)
        sums = np.empty((len(numbers), self._table.width), np.float32)
        start = 0
        for total, row in zip(sums, numbers, strict=True):
            total[:] = rows[places[start : start + len(row)]].sum(axis=0) if row else self._mean
            start += len(row)
        return sums

    def _take_rows(self, numbers: NDArray[np.int64] | list[int]) -> Floats:
        """The rows (t, d) of these pieces, or the mean of all rows (1, d). ModelError for pieces beyond the table."""
        if not len(numbers):
            return self._mean[None]
        if max(numbers) >= self._table.vocabulary:
            raise ModelError("its tokenizer does not fit its table", where=self.model.name)
        return self._table.take(numbers)

    @cached_property
    def _mean(self) -> Floats:
        """The mean (d,) of the rows of all pieces."""
        mean: Floats = self._table.take(np.arange(self._table.vocabulary)).mean(axis=0)
        return mean

    @cached_property
    def _limit(self) -> int:
        """How many word pieces of a text are read."""
        if self._layout is WORDLLAMA:
            return WINDOW
        limit = self._table.limit
        return min(WINDOW, self._opened.limit if limit is None else limit)

    @cached_property
    def _unknown(self) -> int | None:
        """The number of the piece that stands for unknown text, if it is left out."""
        return self._opened.unknown if self._table.drops_unknown else None

    @cached_property
    def _table(self) -> Table:
        return Table.load(self.model.folder, self._layout)

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return read_vocabulary(self.model.folder / self._layout.tokenizer)

    @property
    def _tokenizer(self) -> Tokenizer:
        return self._opened.tokenizer

    @cached_property
    def _opened(self) -> _Opened:
        file = self.model.folder / self._layout.tokenizer
        tokenizer = open_tokenizer(file)
        with tokenizing(self.model):
            truncation = tokenizer.truncation or {"max_length": ENDLESS}
            if truncation.get("direction", "right").lower() != "right":
                raise ModelError("it reads the end of long texts, not their beginning", where=str(file))
            tokenizer.no_truncation()
            return _Opened(tokenizer, truncation["max_length"], _find_unknown(tokenizer))


class _Opened(NamedTuple):
    """A tokenizer that cuts no text, at how many pieces it did, and the number of the piece for unknown text."""

    tokenizer: Tokenizer
    limit: int
    unknown: int | None


def _find_unknown(tokenizer: Tokenizer) -> int | None:
    """The number of the piece that stands for unknown text, if there is any."""
    if not hasattr(tokenizer.model, "unk_token"):  # a unigram model has a number instead
        unknown = json.loads(tokenizer.to_str())["model"].get("unk_id")
        return unknown if isinstance(unknown, int) else None
    piece = tokenizer.model.unk_token
    return None if piece is None else tokenizer.token_to_id(piece)
