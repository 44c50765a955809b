"""A request → its answer: the JSON of the command line, as a dict. Everything here may run in several threads."""

from __future__ import annotations

from typing import Any

from attnsearch.api.arguments import check_setting
from attnsearch.opening.index import Index
from attnsearch.opening.items import find_id
from attnsearch.output import formats
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.wire import Asking, QueryRequest


def answer_query(catalogs: Catalogs, request: QueryRequest) -> dict[str, Any]:
    """The answer of `attnsearch query`. Raises as it does."""
    with catalogs.lease(request.catalogs) as index:
        setting = _setting(index, request)._replace(
            like=tuple(find_id(index.store, name) for name in request.like),
            unlike=tuple(find_id(index.store, name) for name in request.unlike),
        )
        (result,) = search(
            index, [request.query], setting, k=request.k, top_p=request.top_p, min_weight=request.min_weight,
            min_score=request.min_score, values=request.values, output=request.vector, trace=request.explain,
        )  # fmt: skip
        return formats.as_json(result)


def _setting(index: Index, asking: Asking) -> Setting:
    return check_setting(
        index.info.d, asking.where, asking.lexical, asking.priors, asking.temperature, None, asking.textbook,
        asking.untrained, asking.exact,
    )  # fmt: skip
