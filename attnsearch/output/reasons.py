"""Why a hit has its logit → lines for a person: the sum, and the words shaded by their shares.

On a terminal without color, and down a pipe, the strongest words and their numbers instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING

from attnsearch.output.formats import drawn, filled, listing
from attnsearch.output.safe_text import PIPE, Screen, inert

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.reasons import Lead
    from attnsearch.search.result import Hit, Result, Sum, Why, Word

_FOR = ("194", "157", "120", "83", "46")  # greens and reds of a terminal's 256 colors, palest first
_AGAINST = ("224", "217", "210", "203", "196")
_MOST = 6  # words named for a logit
_LEAST = 3  # and against it
_SEEN = 0.005  # logits: less is 0.00
_KINDS = {
    "word": "query's word",
    "marks": "query's marks",
    "rounding": "rounding",
    "semantic": "semantic, as a whole",
    "term": "lexical term",
    "field": "prior",
}


def whys(result: Result, screen: Screen = PIPE) -> str:
    """For each hit of a result its rank, its sum, and what the words of the query and of the item add to it."""
    told = zip(result.hits, result.whys or (), strict=True)
    return "\n".join("".join(_block(hit, why, screen)) for hit, why in told)


def lead(found: Lead, screen: Screen = PIPE) -> str:
    """Why one hit ranks above or below another: a sentence, and the parts of the difference."""
    one, other = (inert(hit.title or hit.id) for hit in (found.one, found.other))
    above = "above" if found.one.rank < found.other.rank else "below"
    ratio = "" if found.ratio is None else f", {_number(found.ratio)} times the weight"
    sentence = (
        f"{one} (rank {found.one.rank}) ranks {above} {other} (rank {found.other.rank}):"
        f" {found.one.logit:.2f} - {found.other.logit:.2f} = {found.difference:+.2f}{ratio}"
    )
    rows = [
        (f"{part.difference:+.2f}", _KINDS[part.kind], part.name)
        for part in found.parts
        if part.name or abs(part.difference) >= _SEEN
    ]
    rows.append((f"{found.difference:+.2f}", "in all", ""))
    columns = {name: itemgetter(at) for at, name in enumerate(("logit", "by", ""))}
    return filled(sentence, screen) + "\n" + listing(columns, rows, screen)


def _number(ratio: float) -> str:
    return f"{ratio:,.0f}" if 100 <= ratio < 1e6 else f"{ratio:.3g}"


def _block(hit: Hit, why: Why, screen: Screen) -> Iterator[str]:
    yield filled(f"#{hit.rank} {inert(hit.title or hit.id)}: {_sum(hit, why)}", screen)
    for name, told in (("query", why.query), ("item", why.item)):
        if told:
            yield drawn(_shaded(name, told), screen, "256") if screen.color else filled(_named(name, told), screen)
    if not (why.query or why.item):
        yield filled("   (this model's vector is no sum over words)", screen)


def _sum(hit: Hit, why: Why) -> str:
    """11.02 = 10.31 semantic + 0.71 lexical (moon 0.50, sea 0.21)."""
    parts = [f"{why.semantic:.2f} semantic"]
    for name, added in (("lexical", why.lexical), ("prior", why.prior)):
        if added:
            each = ", ".join(f"{inert(word)} {share:.2f}" for word, share in _largest(added.items()))
            parts.append(f"{sum(added.values()):.2f} {name} ({each})")
    return f"{hit.logit:.2f} = {' + '.join(parts)}".replace("+ -", "- ")


def _named(name: str, told: Sum) -> str:
    """The words that say most, and those that say most against it; a word that is there twice is one."""
    shares: dict[str, float] = {}
    spelled: dict[str, str] = {}
    for word in told.words:
        spelled.setdefault(word.word.casefold(), word.word)
        shares[word.word.casefold()] = shares.get(word.word.casefold(), 0.0) + word.share
    ranked = [(inert(spelled[word]), share) for word, share in _largest(shares.items()) if abs(share) >= _SEEN]
    most = [f"{word} {share:+.2f}" for word, share in ranked if share > 0]
    against = [f"{word} {share:+.2f}" for word, share in ranked if share < 0]
    parts = [
        f"{head} {', '.join(words[:count])}{', …' if len(words) > count else ''}"
        for head, words, count in (("mostly", most, _MOST), ("against it", against, _LEAST))
        if words
    ]
    return f"   {name}: {'; '.join([*parts, *_rest(told)])}"


def _shaded(name: str, told: Sum) -> Text:
    """The words as they stand, the darker the more they say: green for the logit, red against it."""
    from rich.text import Text

    text = Text(f"   {name}: ")
    strongest = max((abs(word.share) for word in told.words), default=0.0)
    at = 0
    for word in told.words:
        text.append(_between(told.text[at : word.start]))
        text.append(inert(word.word), _shade(word, strongest))
        at = word.stop
    text.append(_between(told.text[at:]).rstrip())
    rest = "; ".join(_rest(told))
    return text.append(f" ({rest})" if rest else "", "dim")


def _between(text: str) -> str:
    """What stands between two words, inert, its outer spaces kept as one."""
    return " " * text[:1].isspace() + inert(text) + " " * (text[-1:].isspace() and not text.isspace())


def _shade(word: Word, strongest: float) -> str:
    level = round(abs(word.share) / strongest * len(_FOR)) if strongest else 0
    return f"color(16) on color({(_FOR if word.share > 0 else _AGAINST)[level - 1]})" if level else ""


def _rest(told: Sum) -> list[str]:
    parts = (("the marks", told.marks), ("rounding", told.rounding))
    return [f"{name} {share:+.2f}" for name, share in parts if abs(share) >= _SEEN]


def _largest(shares: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(shares, key=lambda one: -abs(one[1]))
