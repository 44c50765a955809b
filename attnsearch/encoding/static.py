"""The encoder that is a table: a text's vector is the mean of its word pieces' rows, and no layer comes after it.

Axis letters: n = texts, t = word pieces, d = width.

The table and the pieces are those of WordLlama (Miller 2024, https://github.com/dleemiller/WordLlama): rows trained for
whole texts, and the byte-pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) of Llama 2.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

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
from attnsearch.encoding.tokenizer import encode_texts, load_tokenizer, tokenizing
from attnsearch.errors import ModelError
from attnsearch.models.model import ENDLESS, TABLE_TOKENIZER, TABLE_WEIGHTS, Model
from attnsearch.models.use import PLAIN, Role, Use
from attnsearch.networks.weights import read_weights

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnsearch.encoding.pieces import Pieces

START = "▁"  # in pieces, a space; the tokenizer puts one before every text
EMPTY = " "  # what an empty text is read as
SHORT = 2_000  # characters of requests, at most, for which no tokenizer is loaded
WINDOW = 1_024  # word pieces of a text; what `pieces` says of so many takes 2 MB

_BATCH = 30_000  # characters whose rows are gathered at once, 8 MB in float32
_PIECE = 50  # characters of a word piece, at most
_WORD = 60  # characters of a word, at most, that is split here: the time grows with their square
_MARKS = ("<unk>", "<s>", "</s>")  # pieces of their own wherever they stand in a text
_VOCABULARY = b'"vocab": '

Floats = NDArray[np.float32]


class StaticEncoder:
    """A table with a row for each word piece.

    It could read texts of any length, but the longer a text is, the less its mean says of any part.
    """

    quick = True
    precision: Precision = "float32"

    def __init__(self, model: Model, use: Use = PLAIN) -> None:
        self.model = model
        self.use = use

    @cached_property
    def window(self) -> int:
        """How many word pieces of a key text it reads."""
        return find_window(self, WINDOW, "key")

    @cached_property
    def query_window(self) -> int:
        """How many word pieces of a request it reads."""
        return find_window(self, WINDOW, "query")

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> Floats:
        """The unit vectors (n, d)."""
        texts = [self.use.prompt(role) + text for text in texts]
        x = np.empty((len(texts), self.use.dims or self._table.shape[1]), np.float32)
        for batch in batch_by_length(texts, _BATCH):
            numbers = self._number_pieces([texts[i] for i in batch], role)
            sums = np.array([self._table[row].sum(axis=0, dtype=np.float32) for row in numbers])
            x[batch] = normalize_rows(sums, f"model {self.model.name}", self.use.dims)
            if progress:
                progress(batch, x[batch])
        return x

    def suited(self, length: int, precision: Precision | None = None) -> StaticEncoder:  # noqa: ARG002 (there is no other)
        """Itself."""
        return self

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text."""
        with tokenizing(self.model):
            return list(self._tokenizer.encode(text or EMPTY, add_special_tokens=False).tokens)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins, without the spaces before it, and ends."""
        with tokenizing(self.model):
            spans = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return [(stop - len(text[start:stop].lstrip(" ")), stop) for start, stop in spans]

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words that are one piece each, in the order of the vocabulary."""
        return find_whole_words(words, lambda piece: self._vocabulary.get(_latin(piece)))

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to its text's unit vector."""
        from attnsearch.encoding.pieces import (
            find_spans,
            pieces_of_mean,
        )  # which a query without `explain` does without

        pieces: list[Pieces | None] = []
        prompt, dims = self.use.prompt(role), self.use.dims or None
        for text in texts:
            with tokenizing(self.model):
                encoding = self._tokenizer.encode(_cut(prompt + text), add_special_tokens=False)
            spans = find_spans(encoding.offsets[:WINDOW], len(prompt)) if prompt + text else [None]
            rows = self._table[encoding.ids[:WINDOW], :dims]
            pieces.append(pieces_of_mean(rows, spans, encoding.tokens[:WINDOW]))
        return pieces

    def _number_pieces(self, texts: list[str], role: Role) -> list[list[int]]:
        """The numbers of each text's word pieces, of which there is one at least; without a tokenizer if possible."""
        with tokenizing(self.model):
            if role == "query" and "_tokenizer" not in self.__dict__ and sum(map(len, texts)) <= SHORT:
                split = [split_text(text, self._vocabulary) for text in texts]
                if None not in split:
                    return [numbers[:WINDOW] for numbers in split if numbers]
            encodings = encode_texts(self._tokenizer, [_cut(text) for text in texts], marks=False)
        return [encoding.ids[:WINDOW] for encoding in encodings]

    @cached_property
    def _table(self) -> NDArray[np.float16]:
        """The rows (pieces, d), as they lie in the mapped file: only what a text needs of them is read."""
        file = self.model.folder / TABLE_WEIGHTS
        tensors = list(read_weights(file).values())
        if len(tensors) != 1 or tensors[0].ndim != 2:
            raise ModelError("is not a table with a row for each word piece", where=str(file))
        table: NDArray[np.float16] = tensors[0]
        return table

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return read_vocabulary(self.model.folder / TABLE_TOKENIZER)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.model.folder / TABLE_TOKENIZER, None)


def read_vocabulary(file: Path) -> dict[str, int]:
    """The word pieces in a tokenizer's file, in Latin-1 (see `_latin`), each with its number; its merges are not read.

    Raises ModelError for a file without.
    """
    try:
        data = file.read_bytes()
        start = data.index(_VOCABULARY) + len(_VOCABULARY)
        pieces, _ = json.JSONDecoder().raw_decode(data[start : data.index(b'"merges"', start)].decode("latin-1"))
        if not isinstance(pieces, dict):
            raise TypeError("it is not a mapping")
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"has no vocabulary: {error}", where=str(file)) from None
    return pieces


def split_text(text: str, vocabulary: Mapping[str, int]) -> list[int] | None:
    """The numbers of a text's word pieces; None where only the tokenizer can tell, which takes longer to load.

    No piece goes past the end of a word, so each word is split alone.

    >>> start = _latin(START)
    >>> split_text("a hat", {start: 0, "a": 1, "h": 2, "t": 3, f"{start}a": 4, "at": 5, f"{start}h": 6})
    [4, 6, 5]
    """
    words = text.split(" ")
    if START in text or any(mark in text for mark in _MARKS) or not all(words):
        return None  # two spaces in a row may be one piece
    numbers: list[int] = []
    for word in words:
        split = _split_word(_latin(START + word), [_latin(letter) for letter in START + word], vocabulary)
        if split is None:
            return None
        numbers += split
    return numbers


def _split_word(word: str, letters: list[str], vocabulary: Mapping[str, int]) -> list[int] | None:
    """The numbers of a word's pieces: of all neighbors that make a piece, the piece of lowest number is made first.

    The tokenizer goes by a list of pairs of parts, in the order of the pieces that they make. A piece may stand there
    with other parts too, but by its turn all lower ones are made, and so it has the same parts in every place. None for
    a very long word.
    """
    if word in vocabulary:
        return [vocabulary[word]]
    if len(letters) > _WORD:
        return None
    parts = [part for letter in letters for part in ([letter] if letter in vocabulary else _bytes(letter))]
    while True:
        numbers = [vocabulary.get(left + right, ENDLESS) for left, right in itertools.pairwise(parts)]
        lowest = min(numbers, default=ENDLESS)
        if lowest == ENDLESS:
            return [vocabulary[part] for part in parts]
        place = numbers.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def _bytes(letter: str) -> list[str]:
    """The pieces of a letter that is not one itself: one for each of its bytes."""
    return [f"<0x{ord(byte):02X}>" for byte in letter]


def _latin(text: str) -> str:
    """The bytes of a text in UTF-8, read as Latin-1: a file that is not decoded is read in less time, and memory."""
    return text.encode().decode("latin-1")


def _cut(text: str) -> str:
    """As much of a text as has `WINDOW` word pieces, and more."""
    return text[: _PIECE * WINDOW] or EMPTY
