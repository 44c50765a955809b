"""A request → its word pieces in wordllama's table, without the tokenizer, which takes longer to load than all else.

The pieces are those of Llama 2, by byte-pair encoding: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path

from attnsearch.errors import ModelError
from attnsearch.models.model import ENDLESS

START = "▁"  # in pieces, a space; the tokenizer puts one before every text

_WORD = 60  # characters of a word, at most, that is split here: the time grows with their square
_MARKS = ("<unk>", "<s>", "</s>")  # pieces of their own wherever they stand in a text
_VOCABULARY = b'"vocab": '


def read_vocabulary(file: Path) -> dict[str, int]:
    """The word pieces in a tokenizer's file, in Latin-1 (see `latin`), each with its number; its merges are not read.

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

    >>> start = latin(START)
    >>> split_text("a hat", {start: 0, "a": 1, "h": 2, "t": 3, f"{start}a": 4, "at": 5, f"{start}h": 6})
    [4, 6, 5]
    """
    words = text.split(" ")
    if START in text or any(mark in text for mark in _MARKS) or not all(words):
        return None  # two spaces in a row may be one piece
    numbers: list[int] = []
    for word in words:
        split = _split_word(latin(START + word), [latin(letter) for letter in START + word], vocabulary)
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


def latin(text: str) -> str:
    """The bytes of a text in UTF-8, read as Latin-1: a file that is not decoded is read in less time, and memory."""
    return text.encode().decode("latin-1")
