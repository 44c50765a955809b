"""Groups of duplicates → a table, JSON, JSONL, CSV or TSV. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attnsearch.output.formats import SCHEMA, separated_line
from attnsearch.output.notes import counted
from attnsearch.output.safe_text import PIPE, Screen, inert, to_json

if TYPE_CHECKING:
    from attnsearch.search.duplicates import Duplicates, Group, Member

FORMATS = ("table", "json", "jsonl", "csv", "tsv")
GROUPS = 20  # of the table, unless the user wants another number
MEMBERS = 10  # of a group in the table

_COLUMNS = ("group", "id", "title", "score", "same_as")


def render(
    duplicates: Duplicates,
    form: str,
    screen: Screen = PIPE,
    *,
    catalog: str,
    min_score: float,
    groups: int | None = None,
) -> Iterator[str]:
    """The first `groups` in one of `FORMATS`, piece by piece; by default all, or `GROUPS` in a table."""
    match form:
        case "json":
            fields = {
                "schema": SCHEMA,
                "catalog": catalog,
                "items": duplicates.items,
                "min_score": min_score,
                "copies": duplicates.copies,
                "near": duplicates.near,
                "groups": [_as_json(group) for group in duplicates.read(groups)],
            }
            yield to_json(fields, screen, indent=2)
        case "jsonl":
            for group in duplicates.read(groups):
                yield to_json({"schema": SCHEMA, "catalog": catalog, **_as_json(group)}, screen)
        case "csv" | "tsv":
            delimiter = "," if form == "csv" else "\t"
            yield separated_line(_COLUMNS, delimiter)
            for number, group in enumerate(duplicates.read(groups), 1):
                yield from (separated_line([number, *member], delimiter) for member in group.members)
        case _:
            yield from _table(duplicates, screen, catalog, min_score, GROUPS if groups is None else groups)


def _as_json(group: Group) -> dict[str, Any]:
    return {"items": [member._asdict() for member in group.members]}


def _table(duplicates: Duplicates, screen: Screen, catalog: str, min_score: float, groups: int) -> Iterator[str]:
    from attnsearch.output.table import listing, wrap

    rows: list[tuple[str, str, str, str]] = []
    for number, group in enumerate(duplicates.read(groups, MEMBERS), 1):
        rows += [("", "", "", "")] * bool(rows)
        keep = group.members[0]
        for i, member in enumerate(group.members):
            rows.append(("" if i else str(number), _score(member, keep), member.title or member.id, member.id))
        if group.size > len(group.members):
            rows.append(("", "", f"… and {group.size - len(group.members):,} more", ""))
    if rows:
        yield listing(("#", "score", "title", "id"), rows, screen, elastic=("title", "id"))
    lines = []
    if len(duplicates) > groups:
        lines.append(f"… and {counted(len(duplicates) - groups, 'more group')}; -k lists more")
    if not screen.quiet:
        lines.append(_footer(duplicates, catalog, min_score))
    yield from (wrap(line, screen) for line in lines)


def _score(member: Member, keep: Member) -> str:
    if member is keep:
        return "keep"
    return f"{member.score:.3f}" if member.same_as is None else "same"


def _footer(duplicates: Duplicates, catalog: str, min_score: float) -> str:
    """What there is, in one line."""
    parts = [f"{duplicates.copies:,} the same", f"{duplicates.near:,} near (cosine at least {min_score:g})"]
    if not duplicates.copies + duplicates.near:
        parts = [f"no duplicates (cosine at least {min_score:g})"]
    elif not duplicates.copies:
        del parts[0]
    elif not duplicates.near:
        del parts[1]
    groups = [counted(len(duplicates), "group")] if len(duplicates) else []
    return inert(" · ".join([catalog, counted(duplicates.items, "item"), *groups, *parts]))
