"""Reasons → lines: each logit as a sum, and the strongest words with what they add to it.

A screen with colors has the text above them, each of its words shaded by what it adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import count_cells, draw, listing, signed, wrap
from attnsearch.pictures.palette import style
from attnsearch.sources.fields import first_names
from attnsearch.sources.judgments import name_judged

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.reasons import Lead
    from attnsearch.search.result import Hit, Result, Sum, Why

_MAX_FOR = 6  # words named that raise a logit
_MAX_AGAINST = 3  # words named that lower it
_MAX_JUDGED = 3  # judged requests named that raise it
_BREAK = re.compile(r"(?<=[,;]) ")
_INDENT, _ROOMY = 3, 30  # cells, and those of a window that has room for them
_VISIBLE = 0.005  # logits; less would be shown as 0.00
KINDS = {
    "word": "query's word",
    "marks": "query's marks",
    "rounding": "rounding",
    "semantic": "semantic, as a whole",
    "term": "lexical term",
    "field": "prior",
    "memory": "judged request",
}


def whys(result: Result, screen: Screen = PIPE) -> str:
    """Each hit's rank, its logit as a sum, and what the words of the query and the item add to it."""
    explained = zip(result.hits, result.whys or (), strict=True)
    return "\n".join("".join(_explain_hit(hit, why, screen)) for hit, why in explained)


def lead(comparison: Lead, screen: Screen = PIPE) -> str:
    """Why one hit ranks above or below another: a sentence, and a table of what makes the difference."""
    rows = [
        (signed(part.difference), KINDS[part.kind], part.name)
        for part in comparison.parts
        if part.name or abs(part.difference) >= _VISIBLE
    ]
    rows.append((signed(comparison.difference), "total", ""))
    return wrap(spell_lead(comparison), screen) + "\n" + listing(("logit", "by", ""), rows, screen)


def spell_lead(comparison: Lead) -> str:
    """By how much one hit ranks above or below another, in a sentence."""
    first, second = comparison.first, comparison.second
    above = "above" if first.rank < second.rank else "below"
    ratio = "" if comparison.ratio is None else f", {_format_ratio(comparison.ratio)} times the weight"
    return (
        f"{inert(first.name)} (rank {first.rank}) ranks {above}"
        f" {inert(second.name)} (rank {second.rank}):"
        f" {first.logit:.2f} - {second.logit:.2f} = {signed(comparison.difference)}{ratio}"
    )


def _format_ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if 100 <= ratio < 1e6 else f"{ratio:.3g}"


def _explain_hit(hit: Hit, why: Why, screen: Screen) -> Iterator[str]:
    yield wrap(f"#{hit.rank} {inert(hit.name)}: {_spell_sum(hit, why)}", screen)
    for side, total in (("query", why.query), ("item", why.item)):
        if total and screen.colors:
            yield _indent(_shade_words(side, total, screen), screen)
            yield _indent(_name_words(total), screen)
        elif total:
            yield _indent(f"{side}: {_name_words(total)}", screen)
    if not (why.query or why.item):
        yield _indent("(this model's vectors are not sums over words)", screen)


def _indent(content: str | Text, screen: Screen) -> str:
    """A paragraph that belongs to the line above it; a narrow window needs the room for numbers."""
    from rich.padding import Padding
    from rich.text import Text

    indent = 0 if screen.width is not None and screen.width < _ROOMY else _INDENT
    if isinstance(content, str):
        names = content if screen.unicode else content.replace("…", "...")  # which takes more room
        content = Text(_fill(names, screen.width and screen.width - indent))
    return draw(Padding(content, (0, 0, 0, indent), expand=False), screen)


def _fill(names: str, cells: int | None) -> str:
    """Words with their numbers in lines that break after a comma or a semicolon, so that each keeps its number."""
    lines: list[str] = []
    for part in _BREAK.split(names):
        if lines and (cells is None or count_cells(lines[-1]) + 1 + count_cells(part) <= cells):
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return "\n".join(lines)


def _spell_sum(hit: Hit, why: Why) -> str:
    """A logit as a sum: 11.02 = 10.31 semantic + 0.71 lexical (moon 0.50, sea 0.21).

    What memory adds has its reason: + 2.10 memory, because "sour soup" was judged.
    """
    heads = ", ".join(f"{inert(model)} {share:.2f}" for model, share in why.heads.items())
    parts = [f"{why.semantic:.2f} semantic" + (f" ({heads})" if heads else "")]
    for name, added in (("lexical", why.lexical), ("prior", why.prior)):
        if added:
            shares = ", ".join(f"{inert(word)} {share:.2f}" for word, share in _largest_first(added.items()))
            parts.append(f"{sum(added.values()):.2f} {name} ({shares})")
    if abs(sum(why.memory.values())) >= _VISIBLE:
        parts.append(f"{sum(why.memory.values()):.2f} memory, because {_name_judged(why)}")
    return f"{hit.logit:.2f} = {' + '.join(parts)}".replace("+ -", "- ")


def _name_judged(why: Why) -> str:
    """The judged requests that raise a logit most."""
    requests = [request for request, share in why.memory.items() if share >= _VISIBLE] or list(why.memory)
    return inert(name_judged(requests, _MAX_JUDGED))


def _name_words(total: Sum) -> str:
    """The words that raise the logit most, and those that lower it most. Repeated words are added up."""
    shares: dict[str, float] = {}
    spellings: dict[str, str] = {}
    for word in total.words:
        spellings.setdefault(word.word.casefold(), word.word)
        shares[word.word.casefold()] = shares.get(word.word.casefold(), 0.0) + word.share
    ranked = [
        (inert(spellings[word]), share) for word, share in _largest_first(shares.items()) if abs(share) >= _VISIBLE
    ]
    supporting = [f"{word} {signed(share)}" for word, share in ranked if share > 0]
    opposing = [f"{word} {signed(share)}" for word, share in ranked if share < 0]
    parts = [
        f"{head} {first_names(words, count)}"
        for head, words, count in (("mostly", supporting, _MAX_FOR), ("against it", opposing, _MAX_AGAINST))
        if words
    ]
    return "; ".join([*parts, *_other_parts(total)])


def _shade_words(side: str, total: Sum, screen: Screen) -> Text:
    """The text, its words in the palette's colors: for what raises the logit, and for what lowers it."""
    from rich.text import Text

    text = Text(f"{side}: ")
    end = 0
    for word, strength in zip(total.words, strengths(total), strict=True):
        text.append(gap(total.text[end : word.start]))
        text.append(inert(word.word), style(strength, screen))
        end = word.stop
    return text.append(gap(total.text[end:]).rstrip())


def strengths(total: Sum) -> list[float]:
    """What each word adds, as a part of the most that any of them adds or takes, from -1 to 1."""
    strongest = max((abs(word.share) for word in total.words), default=0.0)
    return [word.share / strongest if strongest else 0.0 for word in total.words]


def gap(text: str) -> str:
    """The text between two words, inert; spaces at its ends become one."""
    return " " * text[:1].isspace() + inert(text) + " " * (text[-1:].isspace() and not text.isspace())


def _other_parts(total: Sum) -> list[str]:
    """What the marks and rounding add, unless it is next to nothing."""
    parts = (("the marks", total.marks), ("rounding", total.rounding))
    return [f"{name} {signed(share)}" for name, share in parts if abs(share) >= _VISIBLE]


def _largest_first(shares: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(shares, key=lambda share: -abs(share[1]))
