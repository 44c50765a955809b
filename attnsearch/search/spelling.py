"""A request as it was typed → as it is read: a misspelled word as the word that it probably stands for.

A word counts as misspelled if neither the catalog nor the encoder's vocabulary has it whole, or has a word that it is
made of. It is read as one that differs in a letter: one of the catalog, by how many items have it, else one of the
encoder's vocabulary. A long word may also be read as one of the catalog that differs in two letters. What is not a
plain word, such as the name of a file, an abbreviation or a word with a digit, is left alone. So is a request with
mostly unknown words, not all of which can be corrected: it may be in a language that the encoder does not read.

Axis letters: m = requests, d = width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import OnTexts, reads
from attnsearch.opening.index import Index
from attnsearch.sources.letters import normalize_text

if TYPE_CHECKING:
    from attnsearch.encoding.encoder import Encoder
    from attnsearch.postings.vocabulary import Vocabulary

SHORTEST = 4  # letters of a word that is corrected
SHORT = 5  # letters of a word that is corrected only if its beginning is right
LONG = 8  # letters, at least, of a word that may have two mistakes, or stand for one that few items have
LONGEST = 40  # letters
LONGEST_TEXT = 10_000  # characters of a request that is corrected, and
MOST = 50  # different words that neither the catalog nor the encoder has: a mistake takes milliseconds
COMMON = 50  # a word that 1 in so many items has is common in the catalog
RARE = 1_000  # a word that less than 1 in so many items has is rare in the catalog
MANY = 2  # unknown words, at most, of a request that has few others and in which not all can be corrected

_PART = 4  # letters, at least, of a word that others are made with
# The ending of a form of a word, and of the word itself; most endings may also follow a doubled consonant.
_ENDINGS = {
    "s": ("",), "es": ("", "e"), "ies": ("y", "ie"), "ed": ("", "e"), "ied": ("y",), "ing": ("", "e"), "ly": ("",),
    "ily": ("y",), "er": ("", "e"), "ers": ("", "e"), "y": ("",), "ness": ("",), "iness": ("y",), "less": ("",),
    "an": ("a",), "ful": ("",), "ish": ("", "e"), "ism": ("", "e"), "ist": ("", "e"),
}  # fmt: skip
_BEGINNINGS = ("un", "re", "non", "pre", "in", "dis", "over", "sub", "multi", "micro", "inter", "anti")
_CHUNK = re.compile(r"\S+")
_AROUND = ".,;:!?…()[]{}<>*-–—"  # what may stand around a word
_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*(?:['’]s)?")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
_MIDDLING = 7  # letters: shorter words are near to others by chance
_LIKELY = 0.5  # of the likeliest mistakes: a letter left out
_ONLY_KNOWN = 0.5  # items that stand for the encoder's knowing a word that no item has
_SUFFIXES = ("able", "ment", "ness", "ing", "ion", "ive", "ous", "ian", "ic", "al", "ed", "es", "er", "ly", "e")
_ASCII = "abcdefghijklmnopqrstuvwxyz"


class Correction(NamedTuple):
    """A word of a request as it was typed, and as it is read."""

    typed: str
    read: str


class Reading(NamedTuple):
    """A request as it is read, and what was corrected in it."""

    text: str
    corrections: tuple[Correction, ...] = ()


class _Word(NamedTuple):
    """A word of a request: the characters from `start` to before `stop`, and the word in lower case.

    `is_capital` says that it begins with a capital, and `is_name` that the request does not begin with it.
    """

    start: int
    stop: int
    lower: str
    is_capital: bool
    is_name: bool


def read_requests(index: Index, texts: Sequence[str]) -> list[Reading]:
    """Each request as it is read."""
    return [_read(index, text) for text in texts]


def read_texts(index: Index, texts: Sequence[str]) -> list[str]:
    """The text of each request as it is read."""
    return [reading.text for reading in read_requests(index, texts)]


def embed_requests(index: Index, texts: Sequence[str], progress: OnTexts | None = None) -> NDArray[np.float32]:
    """The unit vectors (m, d) of requests as they are read."""
    return index.encoder.encode(read_texts(index, texts), "query", progress)


def _read(index: Index, text: str) -> Reading:
    """A request as it is read; as it was typed if nothing can be corrected, or words are not counted yet."""
    words = list(_plain_words(text))
    if not words:
        return Reading(text)
    whole = set(index.encoder.whole_words({word.lower for word in words}))
    unknown = [word for word in words if word.lower not in whole]
    if not unknown:
        return Reading(text)
    vocabulary = index.find_vocabulary()
    if vocabulary is None:
        return Reading(text)
    counts = vocabulary.count({word.lower for word in unknown})
    unknown = [word for word in unknown if not counts[word.lower]]
    if not unknown or len({word.lower for word in unknown}) > MOST:
        return Reading(text)
    speller = _Speller(index.encoder, vocabulary, index.info.items)
    corrections, typed_text = [], text
    different = {word._replace(start=0, stop=0): word for word in unknown}
    near_of = {key: speller.correct(word) for key, word in different.items()}
    for word in reversed(unknown):
        if near := near_of[word._replace(start=0, stop=0)]:
            typed = text[word.start : word.stop]
            read = near.capitalize() if typed[0].isupper() else near
            text = text[: word.start] + read + text[word.stop :]
            corrections.append(Correction(typed, read))
    is_strange = len(unknown) > MANY and len(unknown) * 2 > len(words) and len(corrections) < len(unknown)
    if is_strange or (corrections and not reads(index.encoder, typed_text)):
        return Reading(typed_text)
    return Reading(text, tuple(reversed(corrections)))


def _plain_words(text: str) -> Iterator[_Word]:
    """The words of a request that may be misspelled."""
    if len(text) > LONGEST_TEXT:
        return
    for chunk in _CHUNK.finditer(_QUOTED.sub(lambda quoted: "\0" * len(quoted[0]), text)):
        bare = chunk[0].strip(_AROUND)
        if not _WORDS.fullmatch(bare):
            continue
        first = chunk.start() + chunk[0].index(bare)
        for part in re.finditer(r"[^\W\d_]+", bare):
            word = part[0]
            is_plain = word.islower() or word[1:].islower()
            if SHORTEST <= len(word) <= LONGEST and is_plain and normalize_text(word, "NFKC") == word:  # no ligature
                start = first + part.start()
                is_capital = word[0].isupper()
                yield _Word(start, start + len(word), word.lower(), is_capital, is_capital and start > 0)


class _Speller:
    """Finds what the misspelled words of a request stand for."""

    def __init__(self, encoder: Encoder, vocabulary: Vocabulary, items: int) -> None:
        self._encoder = encoder
        self._vocabulary = vocabulary
        self._items = items
        self._least = items / RARE
        self._letters = vocabulary.letters | {*_ASCII}

    def correct(self, word: _Word) -> str | None:
        """What a word stands for; None if it may be right, or if nothing is near."""
        from attnsearch.syntax.nearest import edit_once

        typed = word.lower
        edited = edit_once(typed, self._letters)
        whole = self._encoder.whole_words(edited)  # the commonest first: of equal ones it is chosen
        near: dict[str, float] = {}
        if len(typed) > SHORTEST and not word.is_name:
            near = {other: _ONLY_KNOWN for other in whole if _may_be_meant(typed, other)}
        for other, items in sorted(self._vocabulary.count(edited).items()):
            if len(typed) >= LONG or items >= self._least or other in {*whole}:
                near[other] = items
        if len(typed) <= SHORT:
            common = self._items / COMMON
            near = {other: items for other, items in near.items() if _starts_alike(typed, other) or items >= common}
        if not near and len(typed) >= LONG and not word.is_capital:
            near = self._find_far(typed)
        if near and self._is_form(typed):
            near = {other: items for other, items in near.items() if _drop_twins(typed) == _drop_twins(other)}
        if near and self._is_compound(typed):
            near = {other: items for other, items in near.items() if items >= max(2, self._items / COMMON)}
        return max(near, key=lambda other: near[other] * _likelihood(typed, other)) if near else None

    def _find_far(self, typed: str) -> dict[str, float]:
        """The words of the catalog that differ in two letters, but for other forms of the same word."""
        from attnsearch.syntax.nearest import within

        begun = self._vocabulary.beginning_with(typed[0], len(typed) - 2, len(typed) + 2)
        stem = next((typed.removesuffix(suffix) for suffix in _SUFFIXES if typed.endswith(suffix)), typed)
        return {other: begun[other] for other in sorted(within(2, typed, begun)) if not other.startswith(stem)}

    def _is_form(self, word: str) -> bool:
        """Whether a word is known with another ending or beginning."""
        parts: set[str] = set()
        for ending, ends in _ENDINGS.items():
            base = word.removesuffix(ending)
            if base != word and base[-1:] != ending:
                parts |= {base + end for end in ends}
                if base[-2:-1] == base[-1:] and ending != "s":
                    parts.add(base[:-1])
        parts |= {word.removeprefix(beginning) for beginning in _BEGINNINGS}
        parts = {part for part in parts if part != word and len(part) >= (_PART - 1 if word == f"{part}s" else _PART)}
        return self._is_known(parts)

    def _is_compound(self, word: str) -> bool:
        """Whether two words of the catalog make the word."""
        halves = [{word[:cut], word[cut:]} for cut in range(_PART, len(word) - _PART + 1)]
        known = self._vocabulary.count(set().union(*halves)) if halves else {}
        return any(pair <= known.keys() for pair in halves)

    def _is_known(self, words: set[str]) -> bool:
        return bool(self._encoder.whole_words(words) or self._vocabulary.count(words))


def _starts_alike(typed: str, other: str) -> bool:
    """Whether two words begin with the same letter, or with the same two in another order."""
    return typed[0] == other[0] or typed[:2] == other[1::-1]


def _may_be_meant(typed: str, other: str) -> bool:
    """Whether a word that only the encoder knows may be meant: for a short word, only by a likely mistake."""
    return _starts_alike(typed, other) and (len(typed) >= _MIDDLING or _likelihood(typed, other) >= _LIKELY)


def _drop_twins(word: str) -> str:
    """The word with each doubled letter once."""
    return re.sub(r"(.)\1", r"\1", word)


def _likelihood(typed: str, other: str) -> float:
    """How likely a mistake turns the other word into the typed one, as a share of the likeliest mistakes.

    These are two letters swapped, and a letter doubled or not doubled.
    """
    chance = 0.1
    is_replaced = len(typed) == len(other) and sum(map(str.__ne__, typed, other)) == 1
    if sorted(typed) == sorted(other) or (_drop_twins(typed) == _drop_twins(other) and not is_replaced):
        chance = 1.0
    elif len(typed) < len(other):
        chance = _LIKELY
    return chance if _starts_alike(typed, other) else chance / 10
