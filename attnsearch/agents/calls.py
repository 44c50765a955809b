"""A tool's arguments → its answer, as JSON. Everything here may run in several threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from attnsearch.agents import entries, overview, portions, tools
from attnsearch.agents.overview import Catalogs, spell_field, spell_value
from attnsearch.agents.portions import Answer
from attnsearch.agents.words import line, read_name, short
from attnsearch.api.items import publish_item
from attnsearch.encoding.encoder import is_cut
from attnsearch.errors import InputError
from attnsearch.explanation.reasons import explain_hits
from attnsearch.hints.names import find_hint
from attnsearch.hints.negation import find_unwanted
from attnsearch.opening.items import find_id, find_ids
from attnsearch.postings.filters import parse_filter
from attnsearch.search.result import Hint, Result
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from attnsearch.wire.mistakes import refuse

if TYPE_CHECKING:
    from attnsearch.opening.index import Index
    from attnsearch.storage.store import Store

_ADVICE = 2_000  # bytes for advice of four parts, and for what the protocol puts around an answer


def call(catalogs: Catalogs, tool: str, arguments: Mapping[str, Any]) -> Answer:
    """The answer of a tool. Raises InputError for wrong arguments, and what the command line raises."""
    kind = next(known for known in tools.TOOLS if known.name == tool)
    try:
        asked = kind.arguments.model_validate(arguments)
    except ValidationError as problem:
        raise refuse(kind.arguments, problem.errors()) from None
    return _CALLS[tool](catalogs, asked)


def _search(catalogs: Catalogs, asked: tools.Search) -> Answer:
    where = tuple(map(parse_filter, asked.where))
    lexical: Literal["auto"] | None = "auto" if asked.lexical else None
    setting = Setting(where=where, lexical=lexical, spell=False)  # an agent can spell, and could not undo it
    with catalogs.lease([chosen := asked.catalog or catalogs.default()]) as index:
        (result,) = search(index, [asked.query], setting, k=asked.k)
        result = result._replace(hint=find_hint(index, result) or find_unwanted(index, result))
        is_long = is_cut(index.encoder, asked.query, "query")
        return _show_hits(index, result, chosen, is_long=is_long)


def _like(catalogs: Catalogs, asked: tools.Like) -> Answer:
    setting = Setting(where=tuple(map(parse_filter, asked.where)))
    with catalogs.lease([chosen := asked.catalog or catalogs.default()]) as index:
        setting = setting._replace(like=(_find_id(index.store, asked.item),))
        (result,) = search(index, [""], setting, k=asked.k)
        return _show_hits(index, result, chosen)


def _get(catalogs: Catalogs, asked: tools.Get) -> Answer:
    with catalogs.lease([chosen := asked.catalog or catalogs.default()]) as index:
        idents, problems = _find_each(index.store, asked.ids)
        if not idents:
            raise problems[0]
        keys = index.store.keys_of(idents)
        spans = index.store.spans_at([keys[ident][0] for ident in dict.fromkeys(idents)])
        items = [publish_item(span.item, index.info.fields) for span in spans]
        info = index.info
    missing = _tell_missing(problems)
    answer: Answer = {"catalog": chosen, "items": [], **({"missing": missing} if missing else {})}
    room = portions.MOST - _ADVICE - portions.cost(answer)
    shown, cuts = entries.fit_items(items, info, asked.start, room)
    if len(missing) < len(problems):
        cuts.insert(0, f"what is wrong with {len(problems) - len(missing)} more ids")
    advice = {"advice": f"left out: {'; '.join(cuts[:4])}"} if cuts else {}
    return {**answer, "items": shown, "truncated": bool(cuts), **advice}


def _explain(catalogs: Catalogs, asked: tools.Explain) -> Answer:
    with catalogs.lease([chosen := asked.catalog or catalogs.default()]) as index:
        ident = _find_id(index.store, asked.item)
        (result,) = explain_hits(index, [rank_items(index, asked.query, Setting(spell=False), [ident])])
    (hit,), (why,) = result.hits, result.whys or ()
    answer: Answer = {
        **_head(result, chosen),
        "id": entries.short_id(hit.id),
        "title": short(hit.title, entries.TITLE),
        "rank": hit.rank,
        "weight": round(hit.weight, 5),
        "score": round(hit.score, 3),
        **_note(result),
        "logit": round(hit.logit, 3),
        "parts": entries.spell_sum(why),
        "query_words": entries.spell_words(why.query),
        "item_words": entries.spell_words(why.item),
    }
    return {**answer, "truncated": False}


def _catalogs(catalogs: Catalogs, asked: tools.ListCatalogs) -> Answer:
    answer = overview.describe_catalogs(catalogs, asked.catalog)
    if asked.catalog:  # what does not fit are its last fields
        (only,) = answer["catalogs"]
        part = portions.fit({**answer, "fields": only["fields"], "catalogs": [{**only, "fields": []}]}, "fields",
                            lambda shown, count: f"only {shown} of {count} fields are shown", optional={})  # fmt: skip
        shown = {**only, "fields": part.pop("fields")}
        return {**part, "catalogs": [shown]}

    def advise(shown: int, count: int) -> str:
        left_out = "fields are left out" if shown == count else f"only {shown} of {count} catalogs are listed"
        return f"{left_out}: {overview.NAME_ONE}"

    return portions.fit(answer, "catalogs", advise, optional={"fields": []})


_CALLS: Mapping[str, Callable[[Catalogs, Any], Answer]] = {
    "search": _search, "like": _like, "get": _get, "explain": _explain, "catalogs": _catalogs,
}  # fmt: skip


def _find_each(store: Store, texts: Sequence[str]) -> tuple[list[str], list[InputError]]:
    """The ids of the items with these ids or titles, and the errors of those that name no item."""
    try:
        return find_ids(store, texts), []  # in one pass over the items
    except InputError:
        pass
    idents: list[str] = []
    problems: list[InputError] = []
    for text in texts:
        try:
            idents.append(_find_id(store, text))
        except InputError as problem:
            problems.append(problem)
    return idents, problems


def _tell_missing(problems: Sequence[InputError]) -> list[str]:
    """What is wrong with ids: of the first that there is room for."""
    missing: list[str] = []
    room = portions.MOST // 4
    for problem in problems:
        text = short(f"{problem.message}; {problem.hint}")
        room -= portions.cost(text) + 2
        if room < 0:
            break
        missing.append(text)
    return missing


def _find_id(store: Store, text: str) -> str:
    """The id of the item of this id or title. Raises InputError with the nearest names."""
    try:
        return find_id(store, text)
    except InputError:
        if (ident := read_name(text)) == text:
            raise
        return find_id(store, ident)


def _show_hits(index: Index, result: Result, catalog: str, *, is_long: bool = False) -> Answer:
    """The hits of a search, as many as there is room for."""
    hits = [entries.show_hit(hit, index.info) for hit in result.hits]

    def advise(shown: int, count: int) -> str:
        if shown == count:
            return "fields of the last hits are left out: get these by their ids, or ask for a smaller k"
        return f"only {shown} of {count} hits are shown: ask for a smaller k, or narrow it with `where`"

    answer = {**_head(result, catalog), **_note(result, is_long=is_long), "hits": hits}
    return portions.fit(answer, "hits", advise, optional={"fields": None, "passage": None})


def _head(result: Result, catalog: str) -> Answer:
    null = {} if result.none_of_these is None else {"none_of_these": round(result.none_of_these, 3)}
    query = short(result.as_read)
    return {"catalog": catalog, "query": query, "searched": result.items - result.masked, **null}


def _note(result: Result, *, is_long: bool = False) -> dict[str, str]:
    """What to know before the hits are used; nothing if there is nothing to say."""
    notes = list[str]()
    if result.masked == result.items:
        reason = f": {line(result.emptied_by)}" if result.emptied_by else ""
        notes.append(f"The filters leave no item{reason}")
    elif result.unreadable:
        notes.append("The model can't read this query, which seems to be in another language than the catalog's: ask "
                     "again in that one, and don't trust these hits.")  # fmt: skip
    elif result.is_none_of_these:
        notes.append(
            "Nothing in this catalog fits the query well: say so, instead of presenting the nearest as answers."
        )
    if is_long:
        notes.append("The query is longer than the model reads; its end was ignored.")
    if result.hint:
        word = spell_value(line(result.hint.word))
        field = spell_field(line(result.hint.field))
        if isinstance(result.hint, Hint):
            notes.append(f'{result.hint.items:,} items have {word} in {field}: add to where: "{field} ~ {word}".')
        else:
            notes.append(f"{result.hint.hits:,} of these hits have {word} in {field}; to leave them out, add to where: "
                         f"\"not {field} ~ {word}\".")  # fmt: skip
    return {"note": short(" ".join(notes), 600)} if notes else {}
