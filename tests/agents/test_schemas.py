"""Schemas that every client can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from attnsearch.agents.schemas import schema_of
from attnsearch.agents.tools import TOOLS

SCHEMAS = {
    f"{tool.name} {part}": schema_of(kind)
    for tool in TOOLS
    for part, kind in (("takes", tool.arguments), ("answers", tool.answer))
}
REFUSED = {"anyOf", "oneOf", "allOf", "not", "if", "$ref", "$defs", "definitions", "patternProperties", "prefixItems"}


def walk(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema inside a schema, and where it is."""
    yield place, schema
    for name, part in schema.get("properties", {}).items():
        yield from walk(part, f"{place}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{place}[]")


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_nothing_that_clients_refuse(schema):
    assert schema["type"] == "object"
    for place, part in walk(schema):
        assert not REFUSED & {*part}, place
        assert part["type"] in ("object", "array", "string", "integer", "number", "boolean"), place
        assert part.get("default", "") is not None, place
        if part["type"] == "object":
            assert part["additionalProperties"] is False, place
            required = {name for name, inner in part["properties"].items() if "default" not in inner}
            assert required - {"none_of_these"} == {*part.get("required", ())}, place


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_everything_is_described_in_a_sentence(schema):
    for place, part in walk(schema):
        for name, inner in part.get("properties", {}).items():
            assert inner.get("description", "").endswith("."), f"{place}.{name}"


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_they_are_schemas(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_type_inside_another_is_written_out():
    class Inner(BaseModel):
        title: int = 1

    class Outer(BaseModel):
        title: Inner
        parts: list[Inner]

    inner = {"properties": {"title": {"default": 1, "type": "integer"}}, "type": "object"}
    assert schema_of(Outer) == {
        "properties": {"title": inner, "parts": {"items": inner, "type": "array"}},
        "required": ["title", "parts"],
        "type": "object",
    }
