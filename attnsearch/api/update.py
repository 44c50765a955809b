"""Files, or items as dicts → a catalog that is up to date."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, get_args

import numpy as np

from attnsearch.api import arguments
from attnsearch.api.arguments import FilePath, Names
from attnsearch.encoding.encoder import Precision
from attnsearch.indexing import update as indexing
from attnsearch.indexing.update import Report
from attnsearch.models.use import Wanted
from attnsearch.search.setting import LEXICAL
from attnsearch.sources.fields import Fields
from attnsearch.syntax import strict_json, values
from attnsearch.syntax.formats import AS_FOUND, Reading, check_form

_ITEMS = "items"  # what messages call the items of a program

Sources = FilePath | Iterable[FilePath] | Iterable[Mapping[str, Any]]


def update(
    sources: Sources, *, name: str | None = None, model: str | None = None, head: Names = (), id_field: Names = (),
    title_field: str | None = None, text_field: Names = (), from_: str | None = None, delimiter: str | None = None,
    encoding: str | None = None, table: str | None = None, sql: str | None = None, items: str | None = None,
    glob: str | None = None, precision: Precision | None = None, lexical: arguments.Lexical = None,
    language: str | None = None, query_prompt: str | None = None, key_prompt: str | None = None,
    dims: int | None = None, keep: bool = False, offline: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> Report:  # fmt: skip
    """Make a catalog hold exactly these items: those of a file or folder, of several, or of dicts.

    Only what is new or changed is embedded. The options are those of `attnsearch index`; an existing catalog keeps
    what it had of them. Several files, and dicts, need a `name`. A dict is an item as in a JSON file: texts, numbers,
    booleans, None, lists and dicts; dates too, NumPy's numbers and arrays, and NaN, which is no value. `progress` is
    called with how many texts are embedded, and of how many, which is None while items are read.

    All or nothing: on any error the catalog stays as it was.

    Raises InputError for files or items that can't be read, CatalogError, ModelError.

    >>> update([{"title": "Storm lantern", "price": 39.5}], name="shop").added  # doctest: +SKIP
    1
    """
    paths, records = _split_sources(sources)
    texts = {
        "name": name, "model": model, "title_field": title_field, "from_": from_, "delimiter": delimiter,
        "encoding": encoding, "table": table, "sql": sql, "items": items, "glob": glob, "language": language,
    }  # fmt: skip
    for option, text in texts.items():
        if text is not None:
            arguments.check_text(text, option)
    check_form(from_)
    reading = Reading(from_, items, encoding, delimiter, glob, table, sql)
    if records is not None and reading != AS_FOUND:
        raise ValueError("from_, delimiter, encoding, table, sql, items and glob are for files, not for dicts")
    if records is not None and name is None:
        raise ValueError("a catalog of dicts needs a name")
    if precision is not None and precision not in get_args(Precision):
        raise ValueError(f"precision must be 'float32' or 'bfloat16', not {precision!r}")
    weight = arguments.check_lexical(lexical)
    for option, prompt in (("query_prompt", query_prompt), ("key_prompt", key_prompt)):
        if not isinstance(prompt, str | None):
            raise TypeError(f"{option} must be a str, not {type(prompt).__name__}")
    wanted = Wanted(query_prompt, key_prompt, None if dims is None else arguments.check_count(dims, "dims"))
    return indexing.update(
        paths,
        name=name,
        model=model,
        heads=arguments.check_names(head, "head") or None,
        wanted=wanted,
        fields=Fields(
            arguments.check_names(id_field, "id_field"),
            title_field or "",
            arguments.check_names(text_field, "text_field"),
        ),
        reading=reading,
        keep=arguments.check_flag(keep, "keep"),
        precision=precision,
        lexical=LEXICAL if weight == "auto" else weight,
        language=language,
        offline=arguments.check_flag(offline, "offline"),
        progress=progress,
        records=records,
    )


def _split_sources(sources: object) -> tuple[list[str], Iterator[values.Mapping] | None]:
    """The paths, and None; or for dicts, the path of what can't be read again, and their records."""
    if isinstance(sources, Mapping):
        raise TypeError("sources must be a path, several, or dicts, not a dict; for one item, write [item]")
    if isinstance(sources, Iterable) and not isinstance(sources, (str, bytes, os.PathLike)):
        parts = iter(sources)
        first = list(itertools.islice(parts, 1))
        sources = itertools.chain(first, parts)
        if first and isinstance(first[0], Mapping):
            return ["-"], _read_items(sources)
    return arguments.check_paths(sources, "sources"), None


def _read_items(items: Iterable[object]) -> Iterator[values.Mapping]:
    """Items as records, under the limits that hold for JSON; the line of each is its number, from 1."""
    for number, item in enumerate(items, 1):
        if not isinstance(item, Mapping):
            raise TypeError(f"sources[{number - 1}] must be a dict, as the first is, not {type(item).__name__}")
        if not all(isinstance(name, str) for name in item):
            raise TypeError(f"sources[{number - 1}] has a field whose name is not a str")
        fields = {name: None if _is_nan(value) else value for name, value in item.items()}
        yield strict_json.parse_line(json.dumps(fields, default=_plain), where=_ITEMS, line=number)


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating, date)) and value != value


def _plain(value: object) -> object:
    """A value of another library as JSON has it. Raises TypeError for one that it does not have."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an item can't hold a value of the type {type(value).__name__}")
