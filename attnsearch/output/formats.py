"""Results → a table, JSON, JSONL, CSV, TSV or Markdown. Everything is returned; nothing is printed here."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attnsearch.output.notes import footer, notes, percent, values_as_json
from attnsearch.output.safe_text import PIPE, Screen, inert, to_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from attnsearch.explanation.steps import Step
    from attnsearch.indexing.update import Report
    from attnsearch.search.result import Hit, Result, Why

SCHEMA = 1  # of the JSON; raised when a field changes its meaning

_COLUMNS = ("query", "rank", "id", "title", "weight", "score", "logit", "description", "passage")
_TOLD = ("query", "catalog", "model", "temperature", "items", "masked", "none_of_these", "effective_items")
_BAR = 10  # cells of the longest bar
_GAP = 2  # cells between columns
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")


def render(
    results: Iterable[Result],
    form: str,
    screen: Screen = PIPE,
    *,
    several: bool = False,
    below: Callable[[Result, Screen], str] | None = None,
) -> Iterator[str]:
    """The results in one of `plain.FORMATS`, piece by piece, each with its line end.

    `several` says that there may be more than one result: JSON is then a list, and each table has a heading. `below`
    gives what is to stand under the table of a result.
    """
    match form:
        case "json":
            told = [as_json(result) for result in results]
            yield to_json(told if several else told[0], screen, indent=2)
        case "jsonl":
            for result in results:
                yield to_json(as_json(result), screen)
        case "csv" | "tsv":
            yield from _separated(results, "," if form == "csv" else "\t")
        case "md":
            for number, result in enumerate(results):
                yield ("\n" if number else "") + _markdown(result)
        case _:
            yield from _tables(results, screen, several, below)


def as_json(result: Result) -> dict[str, Any]:
    """The JSON object of one result, as the README documents it."""
    told: dict[str, Any] = {"schema": SCHEMA, **{name: getattr(result, name) for name in _TOLD}}
    told |= {"elapsed_ms": round(result.elapsed_ms, 3), "hits": [hit._asdict() for hit in result.hits]}
    if result.lexical:
        told["lexical"] = result.lexical
    if result.trained:
        told["trained"] = True
    if result.values:
        told["values"] = [values_as_json(read) for read in result.values]
    if result.output is not None:
        told["output"] = result.output.tolist()
    for hit, why in zip(told["hits"], result.whys or (), strict=False):
        hit["why"] = _why_as_json(why)
    if result.trace:
        from attnsearch.explanation.steps import explain

        told["steps"] = [_step_as_json(step) for step in explain(result)]
    return told


def steps(found: Sequence[Step], screen: Screen = PIPE) -> str:
    """The steps of the formula, each a heading, a sentence and a small table."""
    parts = []
    for number, step in enumerate(found, 1):
        table = _plain_table()
        for name, cell in zip(step.columns, step.rows[0] if step.rows else step.columns, strict=True):
            is_word = isinstance(cell, str)
            table.add_column(name, justify="left" if is_word else "right", no_wrap=True, overflow="ellipsis")
        for row in step.rows:
            table.add_row(*(_cell(cell) for cell in row))
        says = filled(inert(step.says), screen)
        parts.append(f"{number}. {step.name}: {step.formula}\n{says}{drawn(table, screen)}")
    return "\n".join(parts)


def listing(columns: Mapping[str, Callable[[Any], Any]], rows: Iterable[Any], screen: Screen = PIPE) -> str:
    """A table of `rows`: under each column's name, what its function makes of a row."""
    table = _plain_table()
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(_cell(get(row)) for get in columns.values()))
    return drawn(table, screen)


def report(done: Report) -> str:
    """What indexing did, in one line."""
    counts = [(done.added, "new"), (done.changed, "changed"), (done.removed, "removed")]
    did = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "nothing changed"
    embedded = f"{done.embedded:,} embedded in {done.seconds:.1f} s" if done.embedded else "nothing to embed"
    keys = f" in {done.info.keys:,} passages" if done.info.keys > done.info.items else ""
    return inert(f"{done.info.name}: {done.info.items:,} items{keys}; {did}; {embedded}") + "\n"


def _tables(
    results: Iterable[Result], screen: Screen, several: bool, below: Callable[[Result, Screen], str] | None
) -> Iterator[str]:
    for number, result in enumerate(results):
        if several:
            yield ("\n" if number else "") + inert(result.query) + "\n"
        yield _table(result, screen)
        if below and result.hits:
            yield "\n" + below(result, screen)
        if result.trace:
            from attnsearch.explanation.steps import explain

            yield "\n" + steps(explain(result), screen)


def _table(result: Result, screen: Screen) -> str:
    """The ranked table; in a narrow window first the description goes, then the bar, then the score."""
    from rich.cells import cell_len
    from rich.text import Text

    titles = [inert(hit.title or hit.id) for hit in result.hits]
    top = max((hit.weight for hit in result.hits), default=0.0)
    columns: list[tuple[str, dict[str, Any], list[str]]] = [
        ("#", {"justify": "right"}, [str(hit.rank) for hit in result.hits]),
        ("title", {"style": "bold"}, titles),
        ("weight", {"justify": "right"}, [percent(hit.weight) for hit in result.hits]),
        ("", {"style": "cyan"}, [bar(hit.weight / top if top else 0.0, unicode=screen.unicode) for hit in result.hits]),
        ("score", {"justify": "right"}, [f"{hit.score:.3f}" for hit in result.hits]),
        ("description", {"style": "dim"}, [inert(_told(hit)) for hit in result.hits]),
    ]
    widths = _widths([max(map(cell_len, (name, *cells))) for name, _, cells in columns], screen.width)
    table = _plain_table()
    for (name, look, _), width in zip(columns, widths, strict=True):
        if width:
            table.add_column(name, no_wrap=True, overflow="ellipsis", width=width, **look)
    for row in zip(*(cells for _, _, cells in columns), strict=True):
        table.add_row(*(Text(cell) for cell, width in zip(row, widths, strict=True) if width))
    return drawn(table, screen) + ("" if screen.quiet else "".join(filled(line, screen) for line in notes(result)))


def _told(hit: Hit) -> str:
    """What describes the hit: the passage that was met, between dots, where the text has several."""
    return f"… {hit.passage} …" if hit.passage else hit.description


def _widths(needed: list[int], window: int | None) -> list[int]:
    """Cells for each column of the ranked table, fitted to the window; 0 leaves a column out."""
    if window is None:
        return needed
    rank, title, weight, _, score, description = needed
    bars, scores, tells = window >= 48, window >= 36, window >= 72
    fixed = rank + weight + (_BAR + _GAP) * bars + (score + _GAP) * scores + 2 * _GAP
    title = max(4, min(title, 2 * window // 5 if tells else window - fixed))
    left = window - fixed - title - _GAP
    return [rank, title, weight, _BAR * bars, score * scores, min(description, left) * tells]


def filled(sentence: str, screen: Screen) -> str:
    """A sentence in lines that fit the window."""
    return (textwrap.fill(sentence, screen.width) if screen.width else sentence) + "\n"


def bar(share: float, *, unicode: bool = True) -> str:
    """A bar of up to ten cells, in eighths of a cell.

    >>> bar(1.0), bar(0.25), bar(0.25, unicode=False)
    ('██████████', '██▌', '##')
    """
    if not unicode:
        return "#" * round(share * _BAR)
    whole, eighths = divmod(round(share * _BAR * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _plain_table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_edge=False)


def drawn(table: Table | Text, screen: Screen, colors: Literal["standard", "256"] = "standard") -> str:
    """The table, or a text in lines, without the spaces that rich puts behind each."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=screen.width or 1_000_000,
        force_terminal=screen.color,
        color_system=colors if screen.color else None,
        no_color=not screen.color,
        highlight=False,
        legacy_windows=False,
    )
    console.print(table)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def _cell(cell: object) -> Any:
    from rich.text import Text

    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e-3 and cell else f"{cell:.4f}"
    return Text(inert(str(cell)))


def _separated(results: Iterable[Result], delimiter: str) -> Iterator[str]:
    yield _line(_COLUMNS, delimiter)
    for result in results:
        for hit in result.hits:
            told = {**hit._asdict(), "query": result.query}
            yield _line([told[name] for name in _COLUMNS], delimiter)


def _line(cells: Sequence[Any], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(
        [inert(cell) if isinstance(cell, str) else cell for cell in cells]
    )
    return out.getvalue()


def _markdown(result: Result) -> str:
    lines = [
        f"**{_escaped(result.query)}**",
        "",
        "| # | title | weight | score | description |",
        "|--:|:--|--:|--:|:--|",
    ]
    lines += [
        f"| {hit.rank} | {_escaped(hit.title or hit.id)} | {percent(hit.weight)} | {hit.score:.3f} |"
        f" {_escaped(_told(hit))} |"
        for hit in result.hits
    ]
    return "\n".join(
        [*lines, "", *(f"{_escaped(line)}  " for line in notes(result)[:-1]), _escaped(footer(result)), ""]
    )


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", inert(text))


def _step_as_json(step: Step) -> dict[str, Any]:
    rows = [dict(zip(step.columns, row, strict=True)) for row in step.rows]
    return {"name": step.name, "formula": step.formula, "says": step.says, "rows": rows}


def _why_as_json(why: Why) -> dict[str, Any]:
    query, item = why.query, why.item
    return {
        "semantic": why.semantic,
        "lexical": dict(why.lexical),
        "prior": dict(why.prior),
        "query_words": query and [word._asdict() for word in query.words],
        "item_words": item and [word._asdict() for word in item.words],
        "item_text": item and item.text,
        "marks": {"query": query and query.marks, "item": item and item.marks},
        "rounding": {"query": query and query.rounding, "item": item and item.rounding},
    }
