"""What a shell can complete the last word of a command line to.

A completion is silent about whatever is wrong, and offers nothing then.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from attnsearch.errors import AttnsearchError
from attnsearch.output.safe_text import inert

if TYPE_CHECKING:
    from pathlib import Path

    from attnsearch.sources.summary import Field

_ACTING = re.compile(r"""["'\\$`*?\[\]{}!]""")
_BLANK = re.compile(r"[\s()<>&|;#]")


def complete_catalog(incomplete: str) -> list[str]:
    """The catalogs whose name begins with `incomplete`."""
    from attnsearch.storage import home

    with _in_silence():
        names = {folder.name for folder in home.catalog_folders() if not folder.name.startswith("@")}
        return _spell_for_shell(sorted(names.union(home.BUILT_IN)), incomplete)
    return []


def complete_word(words: Sequence[str]) -> Callable[[str], list[str]]:
    """What completes an option that takes one of these words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def complete_filter(context: typer.Context, incomplete: str) -> list[str]:
    """How a filter can go on, for the catalog that the words before it name."""
    from attnsearch.postings import completion

    return _spell_for_shell(completion.complete_filter(incomplete, _fields(_asked_folders, context)), incomplete)


def complete_split_filter(context: typer.Context, incomplete: str) -> list[str]:
    """Values for a filter outside quotes, of which bash makes three words: FIELD, = and what is typed of the value."""
    *before, last = _bash_words() or [""]
    option, field, equals = [*before, *([last] if last == "=" else [])][-3:] if len(before) > 2 else ("", "", "")
    if option not in ("-w", "--where") or equals != "=":
        return []
    from attnsearch.postings import completion

    start = f"{field}="
    filters = completion.complete_filter(start + incomplete, _fields(_asked_folders, context))
    return _spell_for_shell((text.removeprefix(start) for text in filters), incomplete)


def complete_field(context: typer.Context, incomplete: str) -> list[str]:
    """The fields of the catalog that the words name."""
    return _spell_for_shell((field.name for field in _fields(_asked_folders, context)), incomplete)


def complete_shown(context: typer.Context, incomplete: str) -> list[str]:
    """The words that --show takes, and the fields of the catalog that the words name."""
    from attnsearch.output.columns import ALL, NONE

    return [*complete_field(context, incomplete), *_spell_for_shell((ALL, NONE), incomplete)]


def complete_prior(context: typer.Context, incomplete: str) -> list[str]:
    """The fields of numbers and dates of the catalog that the words name."""
    fields = (field for field in _fields(_asked_folders, context) if field.kind.name in ("number", "date", "mixed"))
    return _spell_for_shell((field.name for field in fields), incomplete)


def complete_source_field(context: typer.Context, incomplete: str) -> list[str]:
    """The fields of the catalog that `index` is to bring up to date."""
    return _spell_for_shell((field.name for field in _fields(_source_folders, context)), incomplete)


def _asked_folders(context: typer.Context) -> list[Path]:
    from attnsearch.storage import home
    from attnsearch.upkeep.default import default_catalog

    named = context.params.get("catalog") or default_catalog(is_terminal=True)
    return [home.find_catalog(ref).folder for ref in ([named] if isinstance(named, str) else named)]


def _source_folders(context: typer.Context) -> list[Path]:
    from attnsearch.storage import home

    name = context.params.get("name")
    sources = context.args or ["-"]  # words are not yet arguments while an option lacks its value
    return [home.catalog_folder(name) if name else home.find_catalog(sources[0]).folder]


def _fields(find_folders: Callable[[typer.Context], list[Path]], context: typer.Context) -> list[Field]:
    """The fields of the catalogs; of those of one name, the first."""
    from attnsearch.storage import home

    with _in_silence():
        fields = [field for folder in find_folders(context) for field in home.read_catalog_fields(folder)]
        return list({field.name: field for field in reversed(fields)}.values())[::-1]
    return []


@contextmanager
def _in_silence() -> Iterator[None]:
    """Errors end the body, and neither they nor warnings are shown."""
    threshold = logging.root.manager.disable
    logging.disable()
    try:
        with suppress(AttnsearchError):
            yield
    finally:
        logging.disable(threshold)


def _spell_for_shell(completions: Iterable[str], incomplete: str) -> list[str]:
    """Those of the completions that begin so and that no shell takes for anything but text.

    zsh evaluates what it is given, and typer does not escape all of it. For bash, blanks and the like are escaped,
    unless the word is in quotes.
    """
    suitable = [
        text for text in completions if text.startswith(incomplete) and text == inert(text) and not _ACTING.search(text)
    ]
    words = _bash_words()
    if words is None or words[-1].startswith(("'", '"')):
        return suitable
    return [_BLANK.sub(r"\\\g<0>", text) for text in suitable]


def _bash_words() -> list[str] | None:
    """The words up to the one that bash is to complete, with their quotes; None for other shells."""
    words, number = os.environ.get("COMP_WORDS"), os.environ.get("COMP_CWORD", "")
    if words is None or not (number.isascii() and number.isdecimal()):
        return None
    return [*words.split("\n"), ""][: int(number) + 1]
