"""Answers about catalogs, items, judgments and errors, as types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from attnsearch.wire.results import Answer


class Passage(Answer):
    """A part of an item's text that the encoder reads on its own."""

    start: int
    stop: int
    text: str


class Item(Answer):
    """All that a catalog has of an item."""

    schema_: Annotated[int, Field(alias="schema")]
    catalog: str
    id: str
    title: str
    description: str
    fields: dict[str, Any]
    text: Annotated[str, Field(description="what the encoder reads")]
    passages: list[Passage]


class Count(Answer):
    """A value of a field, and how many items have it."""

    value: str
    count: int


class FieldSummary(Answer):
    """What a catalog knows of a field."""

    name: str
    kind: Literal["number", "date", "yes/no", "text", "mixed", "list"]
    items: Annotated[int, Field(description="how many have it")]
    unread: Annotated[int, Field(description="how many values are not of its kind")]
    low: Annotated[str | None, Field(description="the lowest number, or the first date; null for other kinds")]
    high: str | None
    different: Annotated[int | None, Field(description="how many values there are; null if too many")]
    values: Annotated[list[Count], Field(description="the commonest")]


class CatalogSummary(Answer):
    """A catalog that may be asked; without what follows `problem` if it is not indexed yet, or can't be read."""

    name: str
    default: Annotated[bool, Field(description="whether it is asked if none is named")]
    built_in: Annotated[bool, Field(description="whether its first query will index it")] = False
    problem: Annotated[str, Field(description="why it can't be asked now")] = ""
    description: str = ""
    items: int = 0
    model: str = ""
    heads: list[str] = Field([], description="the models beside it")
    temperature: float = 0
    lexical: float = 0
    language: str = ""
    trained: Annotated[bool, Field(description="whether anything learned is in use")] = False
    updated: Annotated[str, Field(description="ISO 8601, UTC")] = ""
    fields: list[FieldSummary] = Field([])


class Judgments(Answer):
    """What was noted or removed of a query's judgments: 1 is right, 0 is wrong."""

    schema_: Annotated[int, Field(alias="schema")]
    catalog: str
    query: str
    noted: dict[str, float] = Field({})
    removed: dict[str, float] = Field({})
    grades: dict[str, float] = Field({}, description="all of the query's")
    remembered: Annotated[bool, Field(description="whether such queries find the right items now")] = False
    requests: Annotated[int, Field(description="how many have judgments")]


class Health(Answer):
    """That the server answers."""

    status: Literal["ok"]


class Mistake(Answer):
    """What went wrong, and what to do."""

    code: Annotated[int, Field(description="the exit code of the command line")]
    message: str
    hint: str


class Problem(Answer):
    """An error."""

    error: Mistake
