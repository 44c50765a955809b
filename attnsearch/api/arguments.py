"""What a caller passed → what the house takes; TypeError and ValueError for what can't be meant.

Whatever a catalog has to be asked for, such as a field of that name, is checked later, and is an InputError.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from attnsearch.attention.projections import LOWEST_TEMPERATURE, textbook
from attnsearch.search.setting import MAX_LEXICAL, Setting

if TYPE_CHECKING:
    from attnsearch.postings.conditions import Where
    from attnsearch.storage.learned import Learned

TOP_K = 10  # hits, unless `k` or `top_p` says otherwise

Names = str | Iterable[str]
FilePath = str | os.PathLike[str]
Lexical = float | Literal["auto"] | None


class Limits(NamedTuple):
    """Which hits are shown, as `search` takes them."""

    k: int | None
    top_p: float
    min_weight: float
    min_score: float


def check_text(value: object, name: str) -> str:
    """A text with something in it."""
    if not isinstance(value, str):
        hint = "; query_many takes several" if isinstance(value, (list, tuple)) else ""
        raise TypeError(f"{name} must be a str, not {_kind(value)}{hint}")
    if not value.strip():
        raise ValueError(f"{name} is empty")
    return value


def check_texts(values: object, name: str) -> list[str]:
    """Several texts; a str alone is not taken for its letters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        hint = f"; for one, write [{name.removesuffix('s')}]" if isinstance(values, str) else ""
        raise TypeError(f"{name} must be a sequence of str, not {_kind(values)}{hint}")
    return [check_text(value, f"{name}[{number}]") for number, value in enumerate(values)]


def check_names(values: object, name: str) -> tuple[str, ...]:
    """A str, or several of them."""
    if isinstance(values, str):
        return (check_text(values, name),)
    if isinstance(values, (bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a str or a sequence of them, not {_kind(values)}")
    return tuple(check_text(value, f"{name}[{number}]") for number, value in enumerate(values))


def check_path(value: object, name: str) -> str:
    """A path as text; a path object is a file, never the name of a catalog."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
        if isinstance(value, str):
            return os.path.join(os.curdir, value)  # noqa: PTH118 (a Path drops the dot)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str or a path, not {_kind(value)}")
    return check_text(value, name)


def check_paths(values: object, name: str) -> list[str]:
    """A path, or several."""
    if isinstance(values, (str, bytes, os.PathLike)) or not isinstance(values, Iterable):
        return [check_path(values, name)]
    paths = [check_path(value, f"{name}[{number}]") for number, value in enumerate(values)]
    if not paths:
        raise ValueError(f"{name} is empty")
    return paths


def check_count(value: object, name: str) -> int:
    """A whole number of 1 or more."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int, not {_kind(value)}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def check_number(value: object, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within a range."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {_kind(value)}")
    number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        extent = (
            f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}" if low > -math.inf else ""
        )
        raise ValueError(f"{name} must be a finite number{extent}, not {number:g}")
    return number


def check_flag(value: object, name: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, not {_kind(value)}")
    return bool(value)


def check_limits(k: object, top_p: object, min_weight: object, min_score: object) -> Limits:
    """The limits of the hits; `top_p` alone sets no `k`."""
    return Limits(
        (TOP_K if top_p is None else None) if k is None else check_count(k, "k"),
        1.0 if top_p is None else check_number(top_p, "top_p", 0, 1),
        check_number(min_weight, "min_weight", 0, 1),
        check_number(min_score, "min_score", -1, 1),
    )


def check_setting(
    d: int,
    where: object,
    lexical: object,
    priors: object,
    temperature: object,
    projections: object,
    is_textbook: object,
    untrained: object,
    exact: object = False,
) -> Setting:
    """How a catalog of width d is to be asked. Raises InputError for a filter or a file that can't be read."""
    trees: tuple[Where, ...] = ()
    if filters := check_names(where, "where"):
        from attnsearch.postings.filters import parse_filter

        trees = tuple(map(parse_filter, filters))
    learned: Learned | None = None
    if projections is not None:
        from attnsearch.storage.learned import read_projections

        learned = read_projections(Path(check_path(projections, "projections")), "projections")
    setting = Setting(
        projections=textbook(d) if check_flag(is_textbook, "textbook") else None,
        where=trees,
        lexical=check_lexical(lexical),
        priors=_check_priors(priors),
        temperature=None if temperature is None else check_number(temperature, "temperature", LOWEST_TEMPERATURE),
        learned=learned,
        untrained=check_flag(untrained, "untrained"),
        spell=not check_flag(exact, "exact"),
    )
    if setting.projections and setting.temperature is not None:
        raise ValueError("textbook and temperature exclude each other")
    if setting.learned and (setting.projections or setting.untrained):
        raise ValueError(f"projections and {'textbook' if setting.projections else 'untrained'} exclude each other")
    return setting


def check_lexical(value: object) -> Lexical:
    """λ, "auto" for the learned one or the usual one, or None."""
    if value is None:
        return None
    if isinstance(value, str):
        if value == "auto":
            return "auto"
        raise TypeError(f"lexical must be a number or 'auto', not {value!r}")
    return check_number(value, "lexical", 0, MAX_LEXICAL)


def _check_priors(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise TypeError(f"priors must be a dict of fields and weights, such as {{'year': 1.0}}, not {_kind(value)}")
    fields = ((check_text(field, "a field of priors"), weight) for field, weight in value.items())
    return {field: check_number(weight, f"priors[{field!r}]") for field, weight in fields}


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
