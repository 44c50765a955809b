"""A request → its answer: the JSON of the command line, as a dict. Everything here may run in several threads.

Of a path on this machine, such as that of a model's folder, an answer has only the last part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attnsearch.api.arguments import check_setting
from attnsearch.api.feedback import check_taught, note_judgments, remove_judgments
from attnsearch.calibration.fit_file import load_fit
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.explanation import reasons
from attnsearch.explanation.cells import TOP, compute_heatmap
from attnsearch.models.model import is_path
from attnsearch.opening.index import Index
from attnsearch.opening.items import find_id, find_ids, keys_of_item
from attnsearch.output import formats, heatmap, items
from attnsearch.output.catalogs import describe_catalog
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.serve import failures
from attnsearch.serve.catalogs import Catalogs
from attnsearch.sources.judgments import normalize_request
from attnsearch.storage import home
from attnsearch.storage.failures import MissingError
from attnsearch.storage.segment import all_heads, find_fit_file
from attnsearch.wire.requests import (
    HITS,
    MOST_EXPLAINED,
    MOST_HITS,
    Asking,
    ExplainRequest,
    FeedbackRequest,
    HeatmapRequest,
    ItemRequest,
    LikeRequest,
    QueryRequest,
    Showing,
)

MOST_JOINED = 50  # hits of a request that is answered together with others which want fewer

_SUMMARY = ("description", "items", "model", "temperature", "lexical", "language", "updated", "fields")


def answer_query(catalogs: Catalogs, request: QueryRequest) -> dict[str, Any]:
    """The answer of `attnsearch query`. Raises as it does."""

    def answer(requests: list[QueryRequest]) -> list[dict[str, Any]]:
        with catalogs.lease(request.catalogs) as index:
            setting = _add_examples(index, _read_setting(index, request), request.like, request.unlike)
            return _search(index, [other.query for other in requests], setting, requests)

    # Together, requests that differ only in their text and their k take a third of the time that they take one by one.
    needs_own_k = (request.k or HITS) > MOST_JOINED
    key = request.model_dump_json(exclude={"query"} if needs_own_k else {"query", "k"})
    return catalogs.batches.ask(key, request, answer)


def answer_like(catalogs: Catalogs, request: LikeRequest) -> dict[str, Any]:
    """The answer of `attnsearch query --like` without a TEXT. Raises as it does."""
    if not (request.items or request.unlike):
        raise InputError("neither 'items' nor 'unlike' names an item", hint="name an item by its id or its title")
    with catalogs.lease(request.catalogs) as index:
        setting = _add_examples(index, _read_setting(index, request), request.items, request.unlike)
        return _search(index, [""], setting, [request])[0]


def answer_explain(catalogs: Catalogs, request: ExplainRequest) -> dict[str, Any]:
    """The answer of `attnsearch explain` with an ITEM. Raises as it does."""
    if request.matrix and request.over is not None:
        hint = "ask for a matrix of each, or for 'over' alone, which compares them by the words of the query"
        raise InputError("'matrix' is for one item, and 'over' for two, which have different words", hint=hint)
    names = [request.item, *([] if request.over is None else [request.over])]
    with catalogs.lease(request.catalogs) as index:
        setting = _read_setting(index, request)
        explained = reasons.explain_items(index, request.query, setting, names, request.matrix)
        return _hide_paths(index, formats.explanation_as_json(*explained))


def answer_heatmap(catalogs: Catalogs, request: HeatmapRequest) -> dict[str, Any]:
    """The answer of `attnsearch heatmap`. Raises as it does."""
    if request.items and request.k is not None:
        raise InputError("'items' and 'k' exclude each other", hint="leave one of them out")
    with catalogs.lease(request.catalogs) as index:
        idents = find_ids(index.store, request.items) or None
        setting = _read_setting(index, request)
        result = compute_heatmap(index, request.queries, setting, k=request.k or TOP, idents=idents)
        return _hide_paths(index, heatmap.as_dict(result))


def answer_feedback(catalogs: Catalogs, request: FeedbackRequest) -> dict[str, Any]:
    """The answer of `attnsearch feedback`. Raises as it does."""
    if not (request.good or request.bad or request.remove):
        hint = "name some as 'good' or 'bad', or say 'remove'"
        raise InputError("no items that are right or wrong", hint=hint)
    with catalogs.lease(request.catalogs) as index:
        notebook = check_taught(index)
        if request.remove:
            change = remove_judgments(notebook, request.query, [*request.good, *request.bad])
        else:
            change = note_judgments(index, request.query, request.good, request.bad)
        name = home.displayed_name(index.store.folder, index.info)
        return formats.judgment_as_json(name, normalize_request(request.query), change)


def show_item(catalogs: Catalogs, request: ItemRequest) -> dict[str, Any]:
    """The answer of `attnsearch show`. Raises as it does."""
    with catalogs.lease([] if request.catalog is None else [request.catalog]) as index:
        keys = keys_of_item(index.store, find_id(index.store, request.item))
        return items.as_json(index.store.spans_at(keys), index.info_of(keys[0]).name)


def list_catalogs(catalogs: Catalogs) -> list[dict[str, Any]]:
    """What `attnsearch list` and `info` say of the catalogs that may be asked, but for files and folders."""
    default = None
    with suppress(AttnsearchError):  # no default, or one that is gone: a request that names no catalog gets that error
        default = catalogs.default()
    return [{"name": name, "default": name == default, **_summarize(name)} for name in catalogs.names()]


def _summarize(name: str) -> dict[str, Any]:
    try:
        folder = home.catalog_folder(name)  # never a file of that name
        info = home.read_catalog_info(folder)
        fields = describe_catalog(folder, load_fit(find_fit_file(info), info.model, info.use))
    except AttnsearchError as problem:
        if isinstance(problem, MissingError) and home.built_in_file(name):
            return {"built_in": True}
        return {"problem": failures.as_json(problem)["error"]["message"]}
    learned = fields["learned"]
    return {name: fields[name] for name in _SUMMARY} | {
        "model": _last_part(info.model),
        "heads": [_last_part(head.model) for head in info.heads],
        "trained": bool(learned and learned["in_use"]),
    }


def _search(index: Index, texts: Sequence[str], setting: Setting, requests: Sequence[Showing]) -> list[dict[str, Any]]:
    """The answer to each text, whose requests differ in `k` alone; "" stands for the items of the setting alone."""
    request = requests[0]
    most = MOST_EXPLAINED if request.explain else MOST_HITS
    results = search(
        index,
        texts,
        setting,
        k=[_count_hits(other, most) for other in requests],
        top_p=1 if request.top_p is None else request.top_p,
        min_weight=request.min_weight,
        min_score=request.min_score,
        values=request.values,
        output=request.vector,
        trace=request.explain,
    )
    results = reasons.explain_hits(index, results) if request.explain else results
    return [_hide_paths(index, formats.as_json(result)) for result in results]


def _count_hits(request: Showing, most: int) -> int:
    """How many hits a request wants. Raises InputError for more than `most`."""
    if request.k is not None and request.k > most:
        raise InputError(f"'k' must be at most {most} with 'explain', not {request.k:,}", hint="explain fewer hits")
    return request.k or (HITS if request.top_p is None else most)


def _read_setting(index: Index, asking: Asking) -> Setting:
    with _refusing():
        return check_setting(
            index.info.d, asking.where, getattr(asking, "lexical", None), asking.priors, asking.temperature, None,
            asking.textbook, asking.untrained, getattr(asking, "exact", False),
        )  # fmt: skip


def _add_examples(index: Index, setting: Setting, like: Sequence[str], unlike: Sequence[str]) -> Setting:
    """The setting with the items that hits are to be like or unlike, by id or title."""
    ids = find_ids(index.store, [*like, *unlike])
    return setting._replace(like=tuple(ids[: len(like)]), unlike=tuple(ids[len(like) :]))


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn the errors that the Python API raises for wrong arguments into InputError."""
    try:
        yield
    except AttnsearchError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from None


def _hide_paths(index: Index, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with the last part of each model's path in place of the path."""
    models = [head.model for store in index.stores for head in all_heads(store.info)]
    paths = {model: _last_part(model) for model in models if is_path(model)}
    return _rename(answer, paths) if paths else answer


def _last_part(model: str) -> str:
    return Path(model).name if is_path(model) else model


def _rename(value: Any, names: dict[str, str]) -> Any:
    match value:
        case str():
            for path, name in names.items():
                value = value.replace(path, name)
            return value
        case dict():
            return {_rename(name, names): _rename(part, names) for name, part in value.items()}
        case list() | tuple():
            return [_rename(part, names) for part in value]
    return value
