"""A request that does not fit its type → one sentence that names the parameter, and says what it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from attnsearch.errors import InputError
from attnsearch.syntax.nearest import find_nearest

_SHOWN = 60  # characters of what was given, in a message


def refuse(kind: type[BaseModel], errors: Sequence[Mapping[str, Any]]) -> InputError:
    """The error for a request that does not fit this type: the first of pydantic's `errors`."""
    error = errors[0]
    place, schema = error["loc"], _schema_of(kind)
    if not place:
        return InputError("the request is not a JSON object", hint=f"it has {spell_names(schema['properties'])}")
    name = str(place[0])
    if error["type"] == "extra_forbidden":
        near = find_nearest(name, schema["properties"])
        hint = f"did you mean '{near[0]}'?" if near else f"there are {spell_names(schema['properties'])}"
        return InputError(f"no parameter '{name[:_SHOWN]}'", hint=hint)
    allowed = spell_type(schema["properties"][name], schema.get("$defs", {}))
    if error["type"] == "missing":
        return InputError(f"'{name}' is missing", hint=f"it is {allowed}")
    within = "".join(f"[{part}]" for part in place[1:] if isinstance(part, int))
    return InputError(f"'{name}' must be {allowed}, not {_spell_value(error['input'], within)}")


@lru_cache
def _schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    return kind.model_json_schema()


def spell_names(names: Iterable[str]) -> str:
    """The names as a list in words: "a, b and c"; empty if there are none."""
    *others, last = [*names] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def spell_type(schema: Mapping[str, Any], shared: Mapping[str, Any] = {}) -> str:
    """What a parameter may be, in words, from its JSON schema; null, which means the same as nothing, is left out.

    >>> spell_type({"type": "integer", "minimum": 1, "maximum": 1000})
    'a whole number from 1 to 1,000'
    """
    if "$ref" in schema:
        return spell_type(shared[schema["$ref"].rpartition("/")[2]], shared)
    if "anyOf" in schema:
        return " or ".join(spell_type(part, shared) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return " or ".join(f"'{value}'" for value in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "string":
            return f"a text{_spell_range(schema, 'Length', ' of', ' characters')}"
        case "integer":
            return f"a whole number{_spell_range(schema, 'imum')}"
        case "number":
            return f"a number{_spell_range(schema, 'imum')}"
        case "boolean":
            return "true or false"
        case "array":
            each = spell_type(schema["items"], shared).removeprefix("a ").replace("text", "texts", 1)
            return f"a list{_spell_range(schema, 'Items', ' of')} {each}"
    each = spell_type(schema["additionalProperties"], shared)
    return f"an object of at most {schema['maxProperties']:,} names, each with {each}"


def _spell_range(schema: Mapping[str, Any], suffix: str, of: str = "", unit: str = "") -> str:
    low, high = (schema.get(f"{end}{suffix}") for end in ("min", "max"))
    if low is not None and high is not None:
        return f"{of or ' from'} {low:,} to {high:,}{unit}"
    if high is not None:
        return f"{of} at most {high:,}{unit}"
    return "" if low is None else f" of at least {low:,}{unit}"


def _spell_value(value: Any, within: str) -> str:
    match value:
        case None:
            shown = "null"
        case bool():
            shown = str(value).lower()
        case str():
            shown = f"'{value}'" if len(value) <= _SHOWN else f"a text of {len(value):,} characters"
        case list():
            shown = f"a list of {len(value):,}"
        case dict():
            shown = "an object"
        case _:
            shown = str(value)[:_SHOWN]
    return f"{shown} in {within}" if within else shown
