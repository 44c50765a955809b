"""What went wrong → the error object of the command line, and a fitting status."""

from __future__ import annotations

from typing import Any

from attnsearch.errors import AttnsearchError, CatalogError, InputError, ModelError

STATUS: dict[type[AttnsearchError], int] = {InputError: 400, CatalogError: 503, ModelError: 503}


def status_of(problem: AttnsearchError) -> int:
    """The status of HTTP that fits an error."""
    return next((status for kind, status in STATUS.items() if isinstance(problem, kind)), 500)


def as_json(problem: AttnsearchError) -> dict[str, Any]:
    """The error object, as docs/reference.md describes it."""
    return {"error": {"code": int(problem.code), "message": problem.message, "hint": problem.hint}}
