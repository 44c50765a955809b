from __future__ import annotations

import pytest

from attnsearch.errors import (
    AttnsearchError,
    CatalogError,
    Exit,
    InputError,
    InternalError,
    ModelError,
    ShapeError,
    first_line,
)


@pytest.mark.parametrize(
    ("where", "hint", "line"),
    [
        ("", "", "no items"),
        ("x.yaml", "", "x.yaml: no items"),
        ("", "add one", "no items; add one"),
        ("x.yaml:3", "add one", "x.yaml:3: no items; add one"),
    ],
)
def test_an_error_is_one_line(where, hint, line):
    assert str(AttnsearchError("no items", where=where, hint=hint)) == line


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError, 2), (ShapeError, 2), (CatalogError, 3), (ModelError, 4), (InternalError, 70)],
)
def test_each_class_has_its_exit_code(error, code):
    assert issubclass(error, AttnsearchError)
    assert error("x").code == Exit(code)


def test_a_shape_error_is_a_value_error():
    assert issubclass(ShapeError, ValueError)


def test_what_another_program_says_is_one_line():
    assert first_line(OSError("\n no\nmore")) == "no"
    assert first_line(OSError()) == "OSError"
    assert first_line("x" * 999) == "x" * 300
