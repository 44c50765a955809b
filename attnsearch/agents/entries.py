"""Items and hits → entries of an answer: short, safe for a model, with ids that it can give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attnsearch.agents import portions
from attnsearch.agents.overview import spell_field, spell_value, spell_values
from attnsearch.agents.portions import Answer
from attnsearch.agents.words import line, lines, name, short
from attnsearch.sources.fields import leaves

if TYPE_CHECKING:
    from attnsearch.api.items import Item
    from attnsearch.search.result import Hit, Sum, Why
    from attnsearch.storage.database import Info
    from attnsearch.syntax.values import Value

_PASSAGE = 300  # characters
_VALUE = 80  # characters of a field's value in a list of hits
_FIELDS = 8  # of an item in a list of hits
_SAME = 80  # characters by which a passage is known to be the beginning of a description
TITLE, _ID, _NAMED = 200, 500, 30  # characters; the last of an id in advice
_WORDS, _WORD = 8, 40  # of an explanation, and characters of each
_PARTS = 12  # of a sum, beside the meaning


def show_hit(hit: Hit, info: Info) -> Answer:
    """A hit, without its passage if that is the beginning of its description."""
    description, passage = short(hit.description), short(hit.passage or "", _PASSAGE)
    is_start = passage.removeprefix(line(hit.title)).lstrip(" .")[:_SAME] == description[:_SAME]
    fields = _spell_fields(hit.fields, hit.description, info)
    return {
        "rank": hit.rank,
        "id": short_id(hit.id),
        "title": short(hit.title, TITLE),
        "weight": round(hit.weight, 5),
        "score": round(hit.score, 3),
        "description": description,
        **({"passage": passage} if passage and not is_start else {}),
        **({"fields": fields[:_FIELDS]} if fields else {}),
    }


def _spell_fields(fields: Mapping[str, Value], description: str, info: Info, *, most: int = _VALUE) -> list[str]:
    """Fields as filters name them, without those that are in the item's title or description already."""
    values: dict[str, list[str]] = {}
    for field, value in leaves(fields):
        values.setdefault(field, []).extend(spell_values(value))
    return [
        f"{spell_field(short(field, _VALUE))} = {short(', '.join(map(spell_value, texts)), max(most, _VALUE))}"
        for field, texts in values.items()
        if texts and field not in info.fields.own
        and not (field in info.fields.text and all(text in description for text in texts))
    ]  # fmt: skip


def short_id(ident: str) -> str:
    """An id as a model can give it back; a very long one is cut."""
    spelled = name(ident)
    return spelled if len(spelled) <= _ID else f"{spelled[:_ID]}…"


def spell_sum(why: Why) -> list[Answer]:
    """The logit as a sum, the meaning first, then what is added for words, fields and judgments."""
    added = [(f"shared word: {term}", share) for term, share in why.lexical.items()]
    added += [(f"field: {field}", share) for field, share in why.prior.items()]
    added += [(f"judged before: {request}", share) for request, share in why.memory.items()]
    added.sort(key=lambda part: -abs(part[1]))
    rest = sum(share for _, share in added[_PARTS:])
    parts = [("meaning", why.semantic), *added[:_PARTS], *([("all others", rest)] if rest else [])]
    return [{"part": short(part, 80), "adds": round(float(share), 3)} for part, share in parts]


def spell_words(total: Sum | None) -> list[Answer]:
    """The words with the largest shares, whether they add or take away."""
    words = sorted(total.words, key=lambda word: -abs(word.share))[:_WORDS] if total else []
    return [{"part": short(word.word, _WORD), "adds": round(float(word.share), 3)} for word in words]


def fit_items(items: Sequence[Item], info: Info, start: int, room: int) -> tuple[list[Answer], list[str]]:
    """As much of the items as takes `room` bytes, their texts from character `start` on; and what was left out."""
    entries: list[Answer] = []
    left_out: list[str] = []
    cuts: list[str] = []
    for item in items:
        text = lines(item.description)
        entry: Answer = {"id": short_id(item.id), "title": short(item.title, TITLE), "text": "", "length": len(text),
                         "fields": []}  # fmt: skip
        named = short(entry["id"], _NAMED)
        room -= portions.cost(entry) + 2
        if room < 0:
            left_out.append(named)
            continue
        part = text[start:]
        entry["text"] = portions.cut(part, room)
        room -= portions.cost(entry["text"])
        for field in _spell_fields(item.fields, item.description, info, most=room):
            if room < (taken := portions.cost(field) + 2):
                cuts.append(f"fields of '{named}'")
                break
            entry["fields"].append(field)
            room -= taken
        if len(entry["text"]) < len(part):
            stop = start + len(entry["text"])
            cuts.insert(0, f"the text of '{named}' from character {stop:,}: read on with start={stop}")
        entries.append(entry)
    if left_out:
        cuts.insert(0, f"{len(left_out)} items, such as '{left_out[0]}': get fewer at once")
    return entries, cuts
