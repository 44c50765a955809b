"""Result → the lines under its table: whether anything fits, what attention read out, the counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attnsearch.output.columns import short_names
from attnsearch.output.safe_text import inert

if TYPE_CHECKING:
    from attnsearch.explanation.heatmap import Heatmap
    from attnsearch.indexing.update import Report
    from attnsearch.search.readout import Readout
    from attnsearch.search.result import Hint, Result, Unwanted

_MAX_VALUES = 4  # of a category


def notes(result: Result) -> list[str]:
    """The lines under a result's table; the last one has the counts."""
    values = [f"{inert(value.field)}: {readout_in_words(value)}" for value in result.values]
    return [*remarks(result), *values, footer(result)]


def remarks(result: Result) -> list[str]:
    """Whether anything fits, what hides it, and what else to ask for."""
    lines: list[str] = [asked_as(result.asked)] if result.asked is not None else []
    if result.masked == result.items:
        lines += nothing_left(result, by_filter=not (result.like or result.unlike))
    elif result.unreadable:
        lines.append("the model can't read this request, which seems to be in another language")
    elif result.is_none_of_these:
        lines.append("nothing here matches well")
    if not result.hits and result.masked < result.items:
        lines.append("every item is below --min-weight or --min-score")
    if result.hint:
        lines.append(inert(_hint_in_words(result.hint, len(result.hits))))
    return lines


def asked_as(text: str) -> str:
    """How a request with misspelled words was read.

    >>> asked_as("science fiction")
    'asked as "science fiction"; to ask as typed: --exact'
    """
    return inert(f'asked as "{text}"; to ask as typed: --exact')


def asked_as_each(asked: Mapping[str, str]) -> Iterator[str]:
    """How several requests with misspelled words were read, each by how it was typed; nothing without any.

    >>> list(asked_as_each({"sience ficton": "science fiction", "gosts": "ghosts"}))
    ['2 requests have misspelled words: "sience ficton" is asked as "science fiction"; to ask as typed: --exact']
    """
    for typed, read in list(asked.items())[:1]:
        have = "1 request has" if len(asked) == 1 else f"{len(asked):,} requests have"
        yield inert(f'{have} misspelled words: "{typed}" is asked as "{read}"; to ask as typed: --exact')


def recalled_by_each(recalled: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """That several requests are like judged ones, with the share of the first; nothing without any.

    >>> list(recalled_by_each({"soups": {"sour soup": 0.875}, "beets": {"beet": 0.5}}))
    ['2 requests are like judged ones: "soups" has 87.5% from memory, because "sour soup" was judged']
    """
    for query, shares in list(recalled.items())[:1]:
        are = "1 request is" if len(recalled) == 1 else f"{len(recalled):,} requests are"
        yield inert(f'{are} like judged ones: "{query}" has {_from_memory(shares)}')


def _from_memory(shares: Mapping[str, float]) -> str:
    """What judged requests have of the attention, and which they are."""
    from attnsearch.sources.judgments import name_judged

    return f"{percent(sum(shares.values()))} from memory, because {name_judged(list(shares))}"


def nothing_left(answer: Result | Heatmap, *, by_filter: bool = True) -> Iterator[str]:
    """That every item is hidden, and what hid the last of them."""
    every = "the only item" if answer.items == 1 else f"all {answer.items:,} items"
    reason = f": --where hides {every}" if by_filter else ""
    yield f"nothing is left{reason}"
    if answer.emptied_by:
        yield inert(answer.emptied_by)


def _hint_in_words(hint: Hint | Unwanted, shown: int) -> str:
    """What else to ask for, of a result that shows so many items.

    >>> from attnsearch.search.result import Hint, Unwanted
    >>> _hint_in_words(Hint("author", "Verne", 4), 10)
    "4 items have 'Verne' in author: -w 'author ~ Verne'"
    >>> _hint_in_words(Unwanted("description", "cheese", 8), 10)
    "8 of these 10 have 'cheese' in description: -w 'not description ~ cheese'"
    >>> _hint_in_words(Unwanted("title", "cheese", 1), 10)
    "the first has 'cheese' in title: -w 'not title ~ cheese'"
    """
    import shlex  # which most results do without

    from attnsearch.search import result as search_result  # with numpy, which `--help` does without

    field = hint.field if hint.field.replace(".", "").isidentifier() else '"' + hint.field.replace('"', '""') + '"'
    condition = f"{field} ~ {hint.word}"
    if isinstance(hint, search_result.Unwanted):
        words = "the first has" if hint.hits == 1 else f"{hint.hits:,} of these {shown:,} have"
        condition = f"not {condition}"
    else:
        words = f"{counted(hint.items, 'item')} {'has' if hint.items == 1 else 'have'}"
    return f"{words} '{hint.word}' in {hint.field}: -w {shlex.quote(condition)}"


def footer(result: Result) -> str:
    """The catalog, its counts, how far attention is spread, *none of these*, and what is not the default."""
    parts = catalogs_in_words(result)
    if result.masked < result.items:
        parts.append(f"attention spread over about {_round(result.effective_items)}")
        if result.none_of_these is not None:
            parts.append(f"chance that nothing fits {percent(result.none_of_these)}")
    if result.recalled:
        parts.append(_from_memory(result.recalled))
    return inert(" · ".join([*parts, *setting_in_words(result)]))


def catalogs_in_words(result: Result | Heatmap) -> list[str]:
    """The names of the catalogs, and how many items they have."""
    seen = result.items - result.masked
    return [
        name_catalogs(result),
        f"{seen:,} of {counted(result.items, 'item')}" if result.masked else counted(seen, "item"),
    ]


def name_catalogs(result: Result | Heatmap) -> str:
    """The short names of the catalogs that were asked."""
    return ", ".join(short_names(result.catalogs or [result.catalog]).values())


def setting_in_words(result: Result | Heatmap) -> list[str]:
    """What is not the default of how the catalogs were asked."""
    from attnsearch.attention.projections import TEMPERATURE  # these two bring numpy, which `--help` does without
    from attnsearch.models.model import DEFAULT

    parts = ["trained"] if result.trained else []
    if result.temperature != TEMPERATURE:
        parts.append(f"temperature {result.temperature:.3g}")
    if result.lexical:
        parts.append(f"lexical {result.lexical:.3g}")
    if result.model != DEFAULT:
        parts.append(result.model)
    return [*parts, *(f"with {model}" for model in result.heads)]


def _round(count: float) -> str:
    """A number of items that share the attention.

    >>> _round(16.58), _round(3.14), _round(1.0), _round(9.97)
    ('17', '3.1', '1', '10')
    """
    return f"{count:.1f}".removesuffix(".0") if count < 9.95 else f"{count:,.0f}"


def indexing_note(report: Report, workers: int = 0) -> str:
    """What indexing did, in one line, and in another one, which fields it read; other `workers` may have embedded."""
    counts = [(report.added, "new"), (report.changed, "changed"), (report.removed, "removed")]
    changes = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "nothing changed"
    by = f" by {counted(workers, 'worker')}" if workers else ""
    embedded = f"{report.embedded:,} embedded{by} in {report.seconds:.1f} s" if report.embedded else "nothing to embed"
    keys = f" in {report.info.keys:,} passages" if report.info.keys > report.info.items else ""
    return (
        inert(f"{report.info.name}: {counted(report.info.items, 'item')}{keys}; {changes}; {embedded}")
        + f"\n{inert(report.read.sentence())}\n"
    )


def range_in_words(low: str, high: str) -> str:
    """The lowest and the highest value of a field: of times only the days if they differ, of fractions a few digits.

    >>> range_in_words("2024-03-01T10:00:00Z", "2024-03-28T09:00:00Z"), range_in_words("0", "5.571428571428571")
    ('2024-03-01 to 2024-03-28', '0 to 5.571…')
    """
    days = [match[0] for end in (low, high) if (match := re.match(r"\d{4}-\d\d-\d\d(?=[T ]\d)", end))]
    if len(set(days)) == 2:
        low, high = days
    low, high = (re.sub(r"(?<=\.\d{3})\d{3,}$", "…", end) for end in (low, high))
    return low if low == high else f"{low} to {high}"


def readout_in_words(readout: Readout) -> str:
    """A readout, such as "about 1968 ± 14" or "62.0% science fiction, 11.0% horror", and the share that it covers."""
    coverage = (
        "" if readout.known > 0.995 else f" ({percent(readout.known)} of the attention is on items that have one)"
    )
    if readout.mean is not None:
        return f"about {' ± '.join(readout.spelled)}{coverage}"
    shares = [f"{percent(share)} {inert(value)}" for value, share in readout.shares.items()]
    return ", ".join(shares[:_MAX_VALUES]) + coverage if shares else "no visible item has one"


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "item"), counted(2500, "item")
    ('1 item', '2,500 items')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def doubt_few(requests: int) -> str:
    """That means over so many requests say less than their intervals; for fewer than `significance.FEW`.

    >>> doubt_few(21), doubt_few(1)
    ('21 requests are few: trust the intervals, not the means', '1 request says little about others')
    """
    if requests == 1:
        return "1 request says little about others"
    return f"{counted(requests, 'request')} are few: trust the intervals, not the means"


def readout_as_json(readout: Readout) -> dict[str, Any]:
    """The JSON object of a readout, as docs/reference.md describes it."""
    fields: dict[str, Any] = {"field": readout.field, "known": readout.known}
    if readout.mean is not None:
        spread = "spread_days" if isinstance(readout.mean, str) else "spread"
        return {**fields, "mean": readout.mean, spread: readout.spread}
    return {**fields, "shares": [{"value": value, "share": share} for value, share in readout.shares.items()]}


def percent(share: float) -> str:
    """A share in percent. Only 0 is shown as 0.

    >>> percent(0.4421), percent(0.00021), percent(0.0)
    ('44.2%', '<0.1%', '0.0%')
    """
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"
