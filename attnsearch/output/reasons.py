"""Reasons → lines with shaded words: each logit as a sum, and the words by what they add to it.

Without color, the strongest words and their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import draw, listing, wrap

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.reasons import Lead
    from attnsearch.search.result import Hit, Result, Sum, Why, Word

_FOR = ("194", "157", "120", "83", "46")  # greens and reds of the 256 colors, palest first
_AGAINST = ("224", "217", "210", "203", "196")
_MOST = 6  # words named that raise a logit
_LEAST = 3  # and that lower it
_SEEN = 0.005  # logits; less would be shown as 0.00
_KINDS = {
    "word": "query's word",
    "marks": "query's marks",
    "rounding": "rounding",
    "semantic": "semantic, as a whole",
    "term": "lexical term",
    "field": "prior",
}


def whys(result: Result, screen: Screen = PIPE) -> str:
    """Each hit's rank, its logit as a sum, and what the words of the query and the item add to it."""
    explained = zip(result.hits, result.whys or (), strict=True)
    return "\n".join("".join(_block(hit, why, screen)) for hit, why in explained)


def lead(comparison: Lead, screen: Screen = PIPE) -> str:
    """Why one hit ranks above or below another: a sentence, and a table of what makes the difference."""
    title, other = (inert(hit.title or hit.id) for hit in (comparison.one, comparison.other))
    above = "above" if comparison.one.rank < comparison.other.rank else "below"
    ratio = "" if comparison.ratio is None else f", {_factor(comparison.ratio)} times the weight"
    sentence = (
        f"{title} (rank {comparison.one.rank}) ranks {above} {other} (rank {comparison.other.rank}):"
        f" {comparison.one.logit:.2f} - {comparison.other.logit:.2f} = {comparison.difference:+.2f}{ratio}"
    )
    rows = [
        (f"{part.difference:+.2f}", _KINDS[part.kind], part.name)
        for part in comparison.parts
        if part.name or abs(part.difference) >= _SEEN
    ]
    rows.append((f"{comparison.difference:+.2f}", "total", ""))
    return wrap(sentence, screen) + "\n" + listing(("logit", "by", ""), rows, screen)


def _factor(ratio: float) -> str:
    return f"{ratio:,.0f}" if 100 <= ratio < 1e6 else f"{ratio:.3g}"


def _block(hit: Hit, why: Why, screen: Screen) -> Iterator[str]:
    yield wrap(f"#{hit.rank} {inert(hit.title or hit.id)}: {_sum(hit, why)}", screen)
    for name, words in (("query", why.query), ("item", why.item)):
        if words:
            yield draw(_shaded(name, words), screen, "256") if screen.color else wrap(_named(name, words), screen)
    if not (why.query or why.item):
        yield wrap("   (this model's vectors are not sums over words)", screen)


def _sum(hit: Hit, why: Why) -> str:
    """A logit as a sum: 11.02 = 10.31 semantic + 0.71 lexical (moon 0.50, sea 0.21)."""
    parts = [f"{why.semantic:.2f} semantic"]
    for name, added in (("lexical", why.lexical), ("prior", why.prior)):
        if added:
            each = ", ".join(f"{inert(word)} {share:.2f}" for word, share in _largest(added.items()))
            parts.append(f"{sum(added.values()):.2f} {name} ({each})")
    return f"{hit.logit:.2f} = {' + '.join(parts)}".replace("+ -", "- ")


def _named(name: str, total: Sum) -> str:
    """The words that raise the logit most, and those that lower it most. Repeated words are added up."""
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
    """The text, its words green if they raise the logit and red if they lower it, the darker the more."""
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
    """The text between two words, inert; spaces at its ends become one."""
    return " " * text[:1].isspace() + inert(text) + " " * (text[-1:].isspace() and not text.isspace())


def _shade(word: Word, strongest: float) -> str:
    level = round(abs(word.share) / strongest * len(_FOR)) if strongest else 0
    return f"color(16) on color({(_FOR if word.share > 0 else _AGAINST)[level - 1]})" if level else ""


def _rest(total: Sum) -> list[str]:
    parts = (("the marks", total.marks), ("rounding", total.rounding))
    return [f"{name} {share:+.2f}" for name, share in parts if abs(share) >= _SEEN]


def _largest(shares: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(shares, key=lambda share: -abs(share[1]))
