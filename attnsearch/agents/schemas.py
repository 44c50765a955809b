"""Types → JSON schemas that every client can read: without unions, null or references.

Some clients refuse a tool, or a whole server, for `anyOf`, a list of types, or `$ref`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_DROPPED = {"title", "$defs"}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a type, whole, without references."""
    schema = model.model_json_schema()
    flat: dict[str, Any] = _flatten(schema, schema.get("$defs", {}))
    flat.pop("description", None)  # the docstring of the type
    return flat


def _flatten(node: Any, types: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_flatten(part, types) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = types[node["$ref"].rpartition("/")[2]] | {key: part for key, part in node.items() if key != "$ref"}
    return {
        key: {name: _flatten(part, types) for name, part in value.items()} if key == "properties"
        else _flatten(value, types)
        for key, value in node.items()
        if key not in _DROPPED
    }  # fmt: skip
