"""What may be asked, and what is answered, as types: the page, HTTP and agents have the same ones.

An unknown parameter is an error: what is misspelled would be ignored otherwise.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from attnsearch.attention.projections import LOWEST_TEMPERATURE
from attnsearch.search.setting import MAX_LEXICAL

MOST_HITS = 1_000

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Names = Annotated[list[Name], Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class Request(BaseModel):
    """What every request has."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    catalogs: Annotated[Names, Field(description="names of catalogs; several are asked as one")] = []


class Asking(Request):
    """How a catalog is asked."""

    where: Annotated[Names, Field(description="filters, such as 'year >= 1990'; all must hold")] = []
    lexical: Annotated[float | None, Field(ge=0, le=MAX_LEXICAL, description="λ, the weight of shared words")] = None
    temperature: Annotated[float | None, Field(ge=LOWEST_TEMPERATURE, description="τ: lower is sharper")] = None
    priors: Annotated[dict[Name, float], Field(description="fields, each with its weight in logits")] = {}
    textbook: Annotated[bool, Field(description="W_Q = I, and nothing learned")] = False
    untrained: Annotated[bool, Field(description="nothing that the catalog has learned")] = False
    exact: Annotated[bool, Field(description="misspelled words are not corrected")] = False


class QueryRequest(Asking):
    """A request in words."""

    query: Text
    like: Names = []
    unlike: Names = []
    k: Annotated[int, Field(ge=1, le=MOST_HITS, description="how many hits")] = 10
    top_p: Annotated[Share, Field(description="the fewest hits that hold this share of the attention")] = 1
    min_weight: Share = 0
    min_score: Annotated[float, Field(ge=-1, le=1)] = -1
    values: Annotated[Names, Field(description="fields to read out")] = []
    vector: Annotated[bool, Field(description="whether `output` is wanted")] = False
    explain: Annotated[bool, Field(description="whether `why` and `steps` are wanted")] = False
