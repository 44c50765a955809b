"""Why a hit has its logit → lines for a person: the sum, and the words shaded by their shares.

On a terminal without color, and down a pipe, the strongest words and their numbers instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import drawn, filled, listing

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
    explained = zip(result.hits, result.whys or (), strict=True)
    return "\n".join("".join(_block(hit, why, screen)) for hit, why in explained)


def lead(comparison: Lead, screen: Screen = PIPE) -> str:
    """Why one hit ranks above or below another: a sentence, and the parts of the difference."""
    one, other = (inert(hit.title or hit.id) for hit in (comparison.one, comparison.other))
    above = "above" if comparison.one.rank < comparison.other.rank else "below"
    ratio = "" if comparison.ratio is None else f", {_factor(comparison.ratio)} times the weight"
    sentence = (
        f"{one} (rank {comparison.one.rank}) ranks {above} {other} (rank {comparison.other.rank}):"
        f" {comparison.one.logit:.2f} - {comparison.other.logit:.2f} = {comparison.difference:+.2f}{ratio}"
    )
    rows = [
        (f"{part.difference:+.2f}", _KINDS[part.kind], part.name)
        for part in comparison.parts
        if part.name or abs(part.difference) >= _SEEN
    ]
    rows.append((f"{comparison.difference:+.2f}", "in all", ""))
    return filled(sentence, screen) + "\n" + listing(("logit", "by", ""), rows, screen)


def _factor(ratio: float) -> str:
    return f"{ratio:,.0f}" if 100 <= ratio < 1e6 else f"{ratio:.3g}"


def _block(hit: Hit, why: Why, screen: Screen) -> Iterator[str]:
    yield filled(f"#{hit.rank} {inert(hit.title or hit.id)}: {_sum(hit, why)}", screen)
    for name, words in (("query", why.query), ("item", why.item)):
        if words:
            yield drawn(_shaded(name, words), screen, "256") if screen.color else filled(_named(name, words), screen)
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


def _named(name: str, total: Sum) -> str:
    """The words that say most, and those that say most against it; a word that is there twice is one."""
    shares: dict[str, float] = {}
    spelled: dict[str, str] = {}
    for word in total.words:
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
    return f"   {name}: {'; '.join([*parts, *_rest(total)])}"


def _shaded(name: str, total: Sum) -> Text:
    """The words as they stand, the darker the more they say: green for the logit, red against it."""
    from rich.text import Text

    text = Text(f"   {name}: ")
    strongest = max((abs(word.share) for word in total.words), default=0.0)
    end = 0
    for word in total.words:
        text.append(_between(total.text[end : word.start]))
        text.append(inert(word.word), _shade(word, strongest))
        end = word.stop
    text.append(_between(total.text[end:]).rstrip())
    rest = "; ".join(_rest(total))
    return text.append(f" ({rest})" if rest else "", "dim")


def _between(text: str) -> str:
    """What stands between two words, inert, its outer spaces kept as one."""
    return " " * text[:1].isspace() + inert(text) + " " * (text[-1:].isspace() and not text.isspace())


def _shade(word: Word, strongest: float) -> str:
    level = round(abs(word.share) / strongest * len(_FOR)) if strongest else 0
    return f"color(16) on color({(_FOR if word.share > 0 else _AGAINST)[level - 1]})" if level else ""


def _rest(total: Sum) -> list[str]:
    parts = (("the marks", total.marks), ("rounding", total.rounding))
    return [f"{name} {share:+.2f}" for name, share in parts if abs(share) >= _SEEN]


def _largest(shares: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(shares, key=lambda share: -abs(share[1]))
