"""Answers to requests, as types: the JSON of the command line, as docs/reference.md describes it.

They serve /openapi.json and tests; an answer is not validated before it is sent, which would cost time. A field that
may be absent has a default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """What every answer has."""

    model_config = ConfigDict(extra="forbid")


class Word(Answer):
    """A word, its place in its text in code points, and what it adds to the logit."""

    word: str
    start: int
    stop: int
    share: float


class Sides(Answer):
    """A number for the query and one for the item; null for a model without word pieces."""

    query: float | None
    item: float | None


class LogitSum(Answer):
    """A logit as a sum."""

    semantic: Annotated[float, Field(description="what the embeddings give")]
    lexical: Annotated[dict[str, float], Field(description="λ·BM25 by term")]
    prior: Annotated[dict[str, float], Field(description="by field")]
    memory: Annotated[dict[str, float], Field(description="what judged requests add, by their texts")]


class Why(LogitSum):
    """Why a hit has its logit."""

    heads: Annotated[dict[str, float], Field(description="of several heads: what each adds, by model")] = {}
    query_words: list[Word] | None
    item_words: list[Word] | None
    item_text: Annotated[str | None, Field(description="the text in which the item's words have their places")]
    marks: Annotated[Sides, Field(description="what the encoder's own marks add")]
    rounding: Sides


class Hit(Answer):
    """An item that answers."""

    rank: int
    id: str
    title: str
    weight: Annotated[float, Field(description="its share of the attention")]
    score: Annotated[float, Field(description="the cosine")]
    logit: float
    description: str
    fields: dict[str, Any]
    passage: Annotated[str | None, Field(description="of a long text, the passage that matched")]
    catalog: str
    why: Annotated[Why | None, Field(description="if `explain` was asked for")] = None


class Correction(Answer):
    """A misspelled word, and how it was read."""

    typed: Annotated[str, Field(alias="from")]
    read: Annotated[str, Field(alias="to")]


class Value(Answer):
    """A value, and its share of the attention."""

    value: str
    share: float


class Readout(Answer):
    """A field, read out of the attention."""

    field: str
    known: Annotated[float, Field(description="the share of the attention on items that have it")]
    mean: float | str = 0
    spread: float = 0
    spread_days: float = 0
    shares: list[Value] = []


class Step(Answer):
    """A step of the formula."""

    name: str
    formula: str
    story: str
    says: str
    shapes: dict[str, list[int]]
    rows: list[dict[str, Any]]
    totals: list[dict[str, Any]]


class Provenance(Answer):
    """Which catalog and model an answer is from. A field with a default is there only if it has another value."""

    schema_: Annotated[int, Field(alias="schema")]
    catalog: str
    catalogs: Annotated[list[str], Field(description="of several, their names")] = []
    model: str
    heads: Annotated[list[str], Field(description="the models beside it")] = []
    temperature: float
    lexical: float = 0
    trained: bool = False
    items: Annotated[int, Field(description="how many the catalog has")]
    masked: Annotated[int, Field(description="how many of them were hidden")]
    emptied_by: Annotated[str, Field(description="which filter hid the last of them")] = ""


class Parts(Answer):
    """Who compared the keys, where the server asks a cluster."""

    segments: Annotated[int, Field(description="how many were read")]
    workers: Annotated[int, Field(description="by how many processes")]


class Result(Provenance):
    """The answer to a query."""

    query: str
    none_of_these: Annotated[float | None, Field(description="the chance that nothing answers; null if unknown")]
    unreadable: Annotated[bool, Field(description="whether the model does not read the query's language")] = False
    effective_items: Annotated[float, Field(description="how many items share the attention")]
    elapsed_ms: float
    parts: Parts | None = None
    hits: list[Hit]
    asked: Annotated[str, Field(description="how a misspelled query was read")] = ""
    corrections: list[Correction] = []
    like: list[str] = []
    unlike: list[str] = []
    recalled: Annotated[dict[str, float], Field(description="judged requests like this one, with their shares")] = {}
    values: list[Readout] = []
    output: list[float] = []
    steps: list[Step] = []


class Part(Answer):
    """What a word, a term, a field or a judged request adds to the difference of two logits."""

    kind: Literal["word", "marks", "rounding", "semantic", "term", "field", "memory"]
    name: str
    difference: float


class Lead(Answer):
    """Why an item ranks above another, or below it."""

    difference: Annotated[float, Field(description="of the two logits")]
    ratio: Annotated[float | None, Field(description="of the two weights; null if it is too large")]
    parts: list[Part]


class Line(Answer):
    """A row or a column of a matrix: a word, a word piece, or the encoder's marks."""

    kind: Literal["word", "piece", "mark"]
    label: str
    start: int | None
    stop: int | None
    sum: float


class Matrix(LogitSum):
    """A logit as a double sum: over the words of the query, and those of the item."""

    by: Literal["words", "pieces"]
    query: str
    text: Annotated[str, Field(description="the item's text, as the encoder read it")]
    rows: list[Line]
    columns: list[Line]
    cells: Annotated[list[list[float]], Field(description="what two of them add together; a list for each row")]
    strongest: Annotated[float, Field(description="the largest cell, whatever its sign")]
    sum: float
    rounding: float
    logit: float


class Explanation(Result):
    """Why an item has its logit, or ranks above another or below it."""

    over: Annotated[Lead | None, Field(description="if there are two")] = None
    matrix: Annotated[Matrix | None, Field(description="if it was asked for")] = None


class Column(Answer):
    """An item that has a column."""

    id: str
    title: str
    catalog: str


class Heatmap(Provenance):
    """The attention of several requests: of matrices, a list for each of `queries`, in the order of `columns`."""

    queries: list[str]
    asked: Annotated[list[str], Field(description="if some are misspelled, how all were read")] = []
    recalled: Annotated[list[dict[str, float]], Field(description="of each, judged requests like it")] = []
    columns: list[Column]
    weights: list[list[float]]
    logits: list[list[float | None]]
    scores: list[list[float | None]]
    others: Annotated[list[float], Field(description="the weight of all items without a column")]
    none_of_these: list[float] | None
