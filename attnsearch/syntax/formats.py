"""The formats of files, and how a user says in which a file is.

A query knows them, too, and does without all that reads files.
"""

from __future__ import annotations

from typing import NamedTuple

from attnsearch.errors import InputError

FORMATS = ("yaml", "json", "jsonl", "csv", "tsv")  # which a file's extension or its first lines tell
FORMS = (*FORMATS, "lines")
SUFFIXES = {f".{name}": name for name in FORMATS} | {
    ".yml": "yaml", ".ndjson": "jsonl", ".geojson": "json", ".jsonld": "json", ".tab": "tsv",
}  # fmt: skip

EXPORT = "attnsearch_export"  # what marks a file of `attnsearch export`, see `exports`


class Reading(NamedTuple):
    """How the files of a catalog are to be read, where they do not tell: see the options of `attnsearch index`."""

    form: str | None = None
    items: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    glob: str | None = None
    table: str | None = None
    sql: str | None = None

    def over(self, other: Reading) -> Reading:
        """What is said here, and what the other says of the rest."""
        return Reading(*(own if own is not None else theirs for own, theirs in zip(self, other, strict=True)))


AS_FOUND = Reading()  # all is left to the file


def check_form(form: str | None) -> None:
    """Raise InputError for a form that is not one of `FORMS`."""
    if form and form not in FORMS:
        raise InputError(f"invalid --from '{form}'", hint=f"use one of {', '.join(FORMS)}")
