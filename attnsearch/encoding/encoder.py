"""The protocol of everything that turns texts into unit vectors, and what its implementations share.

Axis letters: n = texts, d = width.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import CatalogError, ModelError
from attnsearch.models.model import ENDLESS, MARKS, Model
from attnsearch.models.prompts import resolve_use, use_of_files
from attnsearch.models.record import Head
from attnsearch.models.use import PLAIN, Role, Use
from attnsearch.sources.letters import strip_marks

if TYPE_CHECKING:
    from attnsearch.encoding.pieces import Pieces

Precision = Literal["float32", "bfloat16"]
OnTexts = Callable[[Sequence[int], NDArray[np.float32]], None]
"""Called with the numbers of n more texts that are embedded, and their unit vectors (n, d)."""

SLAB = 1 << 20  # characters that are cut into word pieces at once, with padding

_UNKNOWN_PIECES = {"[UNK]", "<unk>"}  # what tokenizers call a piece that they do not know
_MOST_UNKNOWN = 1 / 16  # of the pieces of a text in another script, at most, are unknown to an encoder that reads it
_EAST = "\u0900"  # the first letter of the scripts of India
_PIECES_WEST, _PIECES_EAST = 0.7, 1.4  # a letter, at most
_LEAST_LETTERS = 2  # of a text in another script
_LONG = 4  # letters: even an encoder that can't read a language may know its shortest words
_EXPANSION = 36  # word pieces of a character, at most: U+FDFA is 18 letters, normalized, of two bytes each
_TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 0.02}  # of 1 - cosine of two vectors of one text
_WORD = 100  # characters: longer words are one token each, so a cut within a word adds fewer tokens than this


class Encoder(Protocol):
    """What turns texts into vectors: each with the prompt of its role before it, of which no caller needs to know.

    Two encoders are the same if their models have the same name and hash, and are used in the same way.
    """

    @property
    def model(self) -> Model:
        """The model that it runs."""

    @property
    def use(self) -> Use:
        """Its prompts, and how many numbers of the model's vectors count; of several heads, the first's."""

    @property
    def precision(self) -> Precision:
        """The precision of its arithmetic; its vectors are float32 all the same."""

    @property
    def quick(self) -> bool:
        """Whether it starts within milliseconds."""

    @property
    def window(self) -> int:
        """How many tokens of a key text it reads, its own marks among them, but no prompt; it ignores the rest."""

    @property
    def query_window(self) -> int:
        """How many tokens of a request it reads in the same way."""

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:
        """The unit vectors (n, d) of the texts; `progress` gets them as they come, if they come in parts.

        Raises ModelError for a vector that has no direction.
        """

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text, beyond the window too, and the encoder's own marks."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins and ends (before which character); without the encoder's marks."""

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words, in lower case, that are one piece of its vocabulary each, in the vocabulary's order.

        Vocabularies have the commonest words first, as far as their makers sorted them at all.
        """

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to its text's unit vector; None if the vector is not a mean over word pieces."""

    def suited(self, length: int, precision: Precision | None = None) -> Encoder:
        """The encoder of the same model that is fastest for `length` characters of text, in `precision` if given."""


def join_precisions(precisions: Iterable[Precision | None]) -> Precision:
    """The lowest of these precisions, that of vectors of all of them together; None is of no vectors."""
    return "bfloat16" if "bfloat16" in precisions else "float32"


def parts_of(encoder: Encoder) -> tuple[Encoder, ...]:
    """The encoders of an encoder's heads, see `heads`; an encoder without heads is its only one."""
    parts: tuple[Encoder, ...] = getattr(encoder, "encoders", (encoder,))
    return parts


def describe_change(encoder: Encoder, heads: Sequence[Head], *, hashed: bool = False) -> str:
    """What to report of a catalog with these heads if a model of the encoder has changed since; "" if none has.

    A model is hashed only if its stamp differs, or always if `hashed`.
    """
    for part, head in zip(parts_of(encoder), heads, strict=True):
        if not part.model.made(head.sha256, head.identity, None if hashed else head.stamp):
            return part.model.describe_change(head.sha256)
    return ""


def check_uses(encoder: Encoder, heads: Sequence[Head], name: str) -> None:
    """Raise CatalogError unless an encoder uses its models as the catalog of this name, with these heads, does."""
    for part, head in zip(parts_of(encoder), heads, strict=True):
        if part.use != (use := resolve_use(head.use, part.model)):
            message = (
                f"was indexed with {part.model.name} and {use.in_words()}, but is asked with {part.use.in_words()}"
            )
            raise CatalogError(message, where=name)


def record_use(encoder: Encoder) -> Use | None:
    """What a catalog records of an encoder's use: nothing if it is plain, and the model's files ask for nothing else.

    So an older attnsearch reads a catalog that has no prompts, and no other.
    """
    return None if encoder.use == PLAIN == use_of_files(encoder.model.folder) else encoder.use


def find_window(encoder: Encoder, limit: int, role: Role) -> int:
    """How many of `limit` tokens the prompt of a role leaves for a text, with the encoder's own marks."""
    return limit if limit >= ENDLESS else limit - count_prompt(encoder, role)


def count_prompt(encoder: Encoder, role: Role) -> int:
    """How many tokens the prompt of a role has."""
    prompt = encoder.use.prompt(role)
    return len(encoder.tokens(prompt)) - len(encoder.tokens("")) if prompt else 0


def find_whole_words(words: Iterable[str], number_of: Callable[[str], int | None]) -> list[str]:
    """Those of the words that a vocabulary has whole, in its order; `number_of` has the number of a piece, if any.

    A vocabulary may have a word without its accents, with a capital, or with a mark for the beginning of a word.
    """
    numbers: dict[str, int] = {}
    for word in words:
        bare = word if word.isascii() else strip_marks(word)
        for form in dict.fromkeys((word, bare, word.capitalize(), f"▁{word}", f"Ġ{word}")):
            number = number_of(form)
            if number is not None:
                numbers[word] = number
                break
    return sorted(numbers, key=lambda word: (numbers[word], word))


def vectors_agree(encoder: Encoder, peer: Encoder, texts: Sequence[str]) -> bool:
    """Whether two encoders of one model give the same vectors, as far as their precisions can tell."""
    is_exact = encoder.precision == peer.precision
    return agree(encoder.encode(texts), peer.encode(texts), "float32" if is_exact else "bfloat16")


def agree(x: NDArray[np.float32], y: NDArray[np.float32], precision: Precision) -> bool:
    """Whether x and y (n, d) are unit vectors of the same texts, as far as a precision of both can tell."""
    return bool((np.vecdot(x, y) > 1 - _TOLERANCES[precision]).all())


def is_cut(encoder: Encoder, text: str, role: Role = "key") -> bool:
    """Whether the encoder stops before the end of the text."""
    window = encoder.query_window if role == "query" else encoder.window
    start = text[: _WORD * window]
    if len(start) < len(text) and len(encoder.tokens(start)) > window + _WORD:
        return True  # a tokenizer takes hundreds of bytes a character, so only a doubtful text is read whole
    most = len(text) + 1 if text.isascii() else _EXPANSION * len(text)  # tokenizers may put a mark before a text
    return most > window - MARKS and len(encoder.tokens(text)) > window


def reads(encoder: Encoder, text: str) -> bool:
    """Whether the encoder reads the language of a text, as far as its word pieces tell; if in doubt, it does.

    An encoder cuts what it has not learned into small pieces. It does not read a text in another script than Latin if
    it cuts it into letters, or does not know the pieces. It does not read a Latin text whose words look like another
    language's if it cuts most of that language's function words too: names and jargon are cut in English as well.
    """
    letters = [character for character in text if character.isalpha()]
    others = [letter for letter in letters if not _is_latin(letter)]
    if 2 * len(others) > len(letters) and len(others) >= _LEAST_LETTERS:
        return _reads_script(encoder, text, letters)
    from attnsearch.syntax import foreign  # which most requests do without

    words = [word.span(1) for word in foreign.find_words(text)]
    cut = zip((text[start:stop] for start, stop in words), _count_pieces(encoder, text, words), strict=True)
    language = foreign.guess_language(list(cut))
    return language is None or _knows(encoder, foreign.OTHERS[language])


def _count_pieces(encoder: Encoder, text: str, places: Sequence[tuple[int, int]]) -> list[int]:
    """How many word pieces of a text begin at each of its places."""
    starts = sorted(start for start, _ in encoder.spans(text))
    return [bisect_left(starts, stop) - bisect_left(starts, start) for start, stop in places]


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter < "\u1f00"


def _reads_script(encoder: Encoder, text: str, letters: Sequence[str]) -> bool:
    """Whether few of a text's word pieces are unknown, or as small as letters, or as bytes.

    Greek, Cyrillic, Hebrew and Arabic words have several letters a piece where they are read. Of scripts further to the
    east, pieces of one letter are usual.
    """
    pieces = sum(any(map(str.isalpha, text[start:stop])) for start, stop in encoder.spans(text))
    unknown = sum(token in _UNKNOWN_PIECES for token in encoder.tokens(text))
    usual = sum(_PIECES_WEST if letter < _EAST else _PIECES_EAST for letter in letters)
    return pieces <= usual and unknown <= _MOST_UNKNOWN * pieces


def _knows(encoder: Encoder, words: Iterable[str]) -> bool:
    """Whether the encoder has a piece of their own for most of the words that are long enough to tell."""
    text = " ".join(sorted(word for word in words if len(word) >= _LONG))
    counts = _count_pieces(encoder, text, [word.span() for word in re.finditer(r"\S+", text)])
    return 2 * counts.count(1) > len(counts)


def batch_by_length(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """The numbers of texts of these lengths in batches of similar length, shortest first.

    A batch is `most` long at most, with each text padded to the longest; a longer text is a batch of its own. So that
    there is little padding, a batch that is half full takes no longer texts.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        is_longer = bool(batch) and lengths[i] > lengths[batch[-1]]
        if batch and len(batch) * lengths[i] > (most // 2 if is_longer else most - lengths[i]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def normalize_rows(x: NDArray[np.float32], name: str, dims: int = 0) -> NDArray[np.float32]:
    """The rows of x (n, d), or their first `dims` numbers (n, dims), at length 1.

    Raises ModelError, for the encoder of that name, if a row has no direction, or if x is narrower.
    """
    if dims > x.shape[1]:
        raise ModelError(f"gave vectors of {x.shape[1]} numbers, of which {dims} were to count", where=name)
    x = x[:, : dims or None]
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("gave a vector without a direction (NaN, infinity or zeros)", where=name)
    unit: NDArray[np.float32] = np.divide(x, norms, dtype=np.float32)
    return unit
