"""A request that says what it does not want → the filter that hides the hits that are about it.

Embeddings overlook negation: "soup without cheese" is near the soups with cheese.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from attnsearch.opening.index import Index
from attnsearch.search.result import Hit, Result, Unwanted
from attnsearch.sources.fields import plain_text
from attnsearch.sources.letters import normalize_text

SHORTEST = 3  # letters of what is unwanted
_TEXT = ("title", "description", "tags")  # the fields of a text, unless the catalog names them
_FEWEST = 2  # hits that name it; one is enough if it has
_MOST = 0.5  # of the attention
_FAR = 4  # words between a negation and what it negates

_NEGATIONS = {"no", "not", "without", "except", "excluding", "avoid", "avoiding"}
_PAIRS = {("other", "than"), ("free", "of"), ("free", "from"), ("instead", "of"), ("apart", "from"), ("rather", "than")}
_AUXILIARIES = {"do", "does", "did", "can", "could", "will", "would", "should", "must", "is", "are", "was", "were"}
# Between a negation and what it negates: "not about the war", "don't want any cheese".
_BETWEEN_WORDS = (
    "a about an and any at based be by contain containing contains eat eating for from have having in include includes "
    "including into involve involving it like much of on or set so some than that the there these this those too use "
    "using very want with"
)
# After a negation that leaves nothing out: "no longer", "not only", "has no effect".
_IDIOM_WORDS = (
    "all always association change correlation difference doubt easy effect effects enough every everyone even "
    "evidence exist found idea impact influence just known least less longer many matter more much necessarily need "
    "one only other others problem really relationship role same sooner such sure way yet"
)
_BETWEEN, _IDIOMS = frozenset(_BETWEEN_WORDS.split()), frozenset(_IDIOM_WORDS.split())
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[.,;:!?()]")


def find_unwanted(index: Index, result: Result) -> Unwanted | None:
    """The filter that hides what a request does not want, if its hits name that; None if a filter hid any.

    Two of them must name it, or the one with most of the attention. A hit names it in a field, as a word of its own or
    in the plural. Where the filter would hide hits for other words that contain it, such as "warm" for "war", there is
    none.
    """
    if result.masked:
        return None
    words = _unwanted_words(normalize_text(result.as_read))
    hints = (_find_in_hits(index, result.hits, word) for word in words)
    return next((hint for hint in hints if hint), None)


def _unwanted_words(text: str) -> Iterator[str]:
    """The words of a request that a negation leaves out."""
    tokens = _TOKEN.findall(text.casefold().replace("’", "'"))
    for number, (before, word) in enumerate(itertools.pairwise(["", *tokens])):
        if word in _NEGATIONS or word.endswith("n't") or (before, word) in _PAIRS:
            is_verb_next = word.endswith("n't") or (word == "not" and before in _AUXILIARIES)
            yield from _negated(tokens[number + 1 : number + 1 + _FAR], is_verb_next=is_verb_next)


def _negated(following: Sequence[str], *, is_verb_next: bool) -> Iterator[str]:
    """What a negation negates, of the words that follow it: the first that says something, or several with "or"."""
    for number, word in enumerate(following):
        if word in _BETWEEN or (word == "," and number):
            continue
        is_participle = word.endswith(("ing", "ed"))
        if not word.isalpha() or word in _IDIOMS | _NEGATIONS or is_participle or (is_verb_next and number == 0):
            return
        if len(word) >= SHORTEST:
            yield word
        if number + 1 == len(following) or following[number + 1] not in ("or", "and", ","):
            return


def _find_in_hits(index: Index, hits: Sequence[Hit], word: str) -> Unwanted | None:
    """The field in which most hits name the word; None if too few name it, or it is within other words."""
    whole = re.compile(rf"(?<![^\W_]){re.escape(word)}(?:s|es)?(?![^\W_])")
    best: Unwanted | None = None
    for field in dict.fromkeys([*(index.info.fields.text or _TEXT), *(name for hit in hits for name in hit.fields)]):
        texts = [(hit.weight, text) for hit in hits if word in (text := _text_of(index, hit, field))]
        fewest = 1 if any(weight > _MOST for weight, _ in texts) else _FEWEST
        is_whole = all(len(whole.findall(text)) == text.count(word) for _, text in texts)
        if is_whole and len(texts) >= (best.hits + 1 if best else fewest):
            best = Unwanted(field, word, len(texts))
    return best


def _text_of(index: Index, hit: Hit, field: str) -> str:
    """What a hit has in a field, without case."""
    own = {"title": hit.title, index.info.fields.title: hit.title, "description": hit.description}
    text = own[field] if field in own and field not in hit.fields else plain_text(hit.fields.get(field))
    return normalize_text(text or "").casefold()
