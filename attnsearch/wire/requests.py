"""Requests, as types, for the page and for scripts.

An unknown parameter is an error; otherwise a misspelled one would be ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from attnsearch.attention.projections import LOWEST_TEMPERATURE
from attnsearch.search.setting import MAX_LEXICAL

HITS = 10  # without `k` and `top_p`
MOST_HITS = 1_000
MOST_EXPLAINED = 50  # hits: the encoder reads each of them again
MOST_ROWS, MOST_COLUMNS, MOST_OF_EACH = 50, 100, 20  # of a heatmap: requests, items, and the best items of each request
MOST_PRIOR = 1_000  # logits, either way

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Names = Annotated[list[Name], Field(max_length=100)]
FewNames = Annotated[list[Name], Field(max_length=20)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=-MOST_PRIOR, le=MOST_PRIOR)]


class Request(BaseModel):
    """What every request has."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    catalogs: Annotated[FewNames, Field(description="names of catalogs, several as one; none: the default one")] = []


class Asking(Request):
    """How a catalog is asked."""

    where: Annotated[Names, Field(description="filters, such as `year >= 1990`; all must hold")] = []
    temperature: Annotated[float | None, Field(ge=LOWEST_TEMPERATURE, description="τ: lower is sharper")] = None
    priors: Annotated[
        dict[Name, Weight], Field(max_length=20, description="the weight, in logits, of fields of numbers or dates")
    ] = {}
    textbook: Annotated[bool, Field(description="W_Q = I, and nothing learned")] = False
    untrained: Annotated[bool, Field(description="without what the catalog has learned")] = False


class AskingInWords(Asking):
    """How a catalog is asked with a text."""

    lexical: Annotated[
        Annotated[float, Field(ge=0, le=MAX_LEXICAL)] | Literal["auto"] | None,
        Field(description="λ, the weight of shared words; `auto`: the learned one, else 0.3"),
    ] = None
    exact: Annotated[bool, Field(description="misspelled words are not corrected")] = False


class Showing(Request):
    """Which hits are wanted, and what of each."""

    k: Annotated[
        int | None, Field(ge=1, le=MOST_HITS, description=f"how many hits; by default {HITS}, or what `top_p` needs")
    ] = None
    top_p: Annotated[Share | None, Field(description="the fewest hits that hold this share of the attention")] = None
    min_weight: Annotated[Share, Field(description="leaves out hits with a smaller weight")] = 0
    min_score: Annotated[float, Field(ge=-1, le=1, description="leaves out hits with a smaller cosine")] = -1
    values: Annotated[FewNames, Field(description="fields to read out of the attention")] = []
    vector: Annotated[bool, Field(description="whether `output` is wanted")] = False
    explain: Annotated[
        bool, Field(description=f"whether `why` and `steps` are wanted; then `k` is at most {MOST_EXPLAINED}")
    ] = False


class QueryRequest(AskingInWords, Showing):
    """`attnsearch query`: what fits a text."""

    query: Annotated[Text, Field(description="what to look for")]
    like: Annotated[Names, Field(description="items, by id or title, that hits are to be like beside the text")] = []
    unlike: Annotated[Names, Field(description="items that they are to be unlike")] = []


class LikeRequest(Asking, Showing):
    """`attnsearch query --like`: what is like some items, which are not among the hits."""

    items: Annotated[Names, Field(description="items, by id or title, that hits are to be like")] = []
    unlike: Annotated[Names, Field(description="items that they are to be unlike")] = []


class ExplainRequest(AskingInWords):
    """`attnsearch explain`: why an item has its logit."""

    query: Annotated[Text, Field(description="what to look for")]
    item: Annotated[Name, Field(description="the item, by id or title")]
    over: Annotated[Name | None, Field(description="another item: why the first ranks above or below it")] = None
    matrix: Annotated[
        Literal["words", "pieces"] | None, Field(description="the logit as a sum over pairs of words or word pieces")
    ] = None


class HeatmapRequest(AskingInWords):
    """`attnsearch heatmap`: the attention of several requests."""

    queries: Annotated[
        list[Text], Field(min_length=1, max_length=MOST_ROWS, description="the texts, each of which has a row")
    ]
    items: Annotated[
        list[Name], Field(max_length=MOST_COLUMNS, description="items that have a column, and no others")
    ] = []
    k: Annotated[
        int | None,
        Field(ge=1, le=MOST_OF_EACH, description="a column for so many best items of each request; by default 3"),
    ] = None


class FeedbackRequest(Request):
    """`attnsearch feedback`: which items are right or wrong for a text."""

    query: Annotated[Text, Field(description="the text that was asked")]
    good: Annotated[Names, Field(description="items, by id or title, that are right for it")] = []
    bad: Annotated[Names, Field(description="items that are wrong for it")] = []
    remove: Annotated[bool, Field(description="take back what was judged of these items; of all, without any")] = False


class ItemRequest(BaseModel):
    """`attnsearch show`: all that a catalog has of an item."""

    model_config = ConfigDict(extra="forbid", strict=True)

    item: Annotated[Name, Field(description="its id or title")]
    catalog: Annotated[Name | None, Field(description="the name of its catalog; the default one")] = None
