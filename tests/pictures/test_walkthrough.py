from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from attnsearch.explanation.phrases import COMPONENTS
from attnsearch.explanation.steps import Step
from attnsearch.output.safe_text import Screen
from attnsearch.pictures.walkthrough import walkthrough

WORDS = st.text("abcdefgäλ月 ", min_size=1, max_size=40)
NUMBERS = st.floats(-1e7, 1e7, allow_subnormal=False) | st.floats(-1, 1) | st.floats(0, 1e-4)
MANY = st.lists(NUMBERS, min_size=9, max_size=9)


def read_numbers(text: str) -> list[str]:
    """The words of a text that are numbers."""
    return [word for word in text.split() if re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?", word)]


def is_near(number: str, value: float) -> bool:
    """Whether a value is shown as this number: rounded to its last digit."""
    digits, _, exponent = number.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(float(number) - value) <= 0.5 * unit * (1 + 1e-6) + 1e-9 * abs(value)


@given(st.integers(20, 200), st.lists(st.tuples(WORDS, MANY), min_size=1, max_size=4), WORDS)
def test_no_number_is_cut(width, rows, request):
    """At any width, all numbers are there, whole, but for the last components of a vector."""
    steps = [
        Step("keys", "K", "It.", ("rank", "item", "norm", *COMPONENTS),
             [(i, title, *numbers[:5]) for i, (title, numbers) in enumerate(rows, 1)]),
        Step("weights", "w", "It.", ("rank", "item", "exp(logit - max)", "weight"),
             [(i, title, *numbers[:2]) for i, (title, numbers) in enumerate(rows, 1)], [(None, "others", 1.5, None)]),
        Step("logits", "QK", "It.", ("row", "request", *(f"k{i} {title}" for i, (title, _) in enumerate(rows))),
             [(i, request, *numbers[: len(rows)]) for i, (_, numbers) in enumerate(rows, 1)]),
    ]  # fmt: skip
    for step in steps:
        _, _, *table = walkthrough([step], Screen(width=width)).splitlines()
        assert not re.search(r"\d…|…\d", re.sub(r"\bk\d+", "k", "\n".join(table)))
        shown = read_numbers("\n".join(table))
        components = [name for name in COMPONENTS[1:] if name in " ".join(table)]
        for row in (*step.rows, *step.totals):
            for name, cell in zip(step.columns, row, strict=True):
                if isinstance(cell, float) and (name not in COMPONENTS[1:] or name in components):
                    assert any(is_near(number, cell) for number in shown), (name, cell, table)
        if width >= 34 and step.name != "logits":
            assert all(len(line) <= max(width, 60) for line in table)


def test_a_table_is_folded_by_columns():
    step = Step("logits", "QK", "It.", ("row", "request", "k1 moon", "k2 sea", "k3 robot"),
                [(1, "what the moon does", 1.25, -11.5, 3.0), (2, "sea", 4.0, 5.0, 6.0)])  # fmt: skip
    assert walkthrough([step], Screen(width=24)).splitlines()[2:] == [
        "row  k1 moon    k2 sea",
        "  1   1.2500  -11.5000",
        "  2   4.0000    5.0000",
        "row  k3 robot",
        "  1    3.0000",
        "  2    6.0000",
    ]
    assert walkthrough([step], Screen(width=46)).splitlines()[2:] == [
        "row  request       k1 moon    k2 sea  k3 robot",
        "  1  what the mo…   1.2500  -11.5000    3.0000",
        "  2  sea            4.0000    5.0000    6.0000",
    ]


def test_a_narrow_window_loses_the_last_components():
    step = Step("query", "q", "It.", ("vector", "norm", *COMPONENTS), [("x", 391.9184, -0.05, 6.3, 0.0, 1.0)])
    assert walkthrough([step], Screen(width=40)).splitlines()[2:] == [
        "vector      norm      [0]     [1]",
        "x       391.9184  -0.0500  6.3000",
    ]


def test_shapes_do_not_read_as_a_product():
    shapes = {"Q": (1, 384), "Kᵀ": (384, 12000), "Q Kᵀ": (1, 12000)}
    step = Step("products", "Q Kᵀ", "It.", ("rank", "item", "q·k"), [(1, "moon", 2.0)], shapes=shapes)
    line = walkthrough([step], Screen(width=60)).splitlines()[2]
    assert line.strip() == "Q (1, 384), Kᵀ (384, 12000), Q Kᵀ (1, 12000)"


def test_colors_are_no_more_than_colors():
    rows = [(1, "moon", 0.75), (2, "sea", 0.2)]
    step = Step("weights", "softmax(Q Kᵀ)", "It.", ("rank", "item", "weight"), rows, (), {"V": (3, 4)}, "She reads.")
    plain = walkthrough([step], Screen(width=60))
    for colors in (16, 256, 1 << 24):
        drawn = walkthrough([step], Screen(width=60, colors=colors))
        assert re.sub("\x1b\\[[0-9;]*m", "", drawn) == plain
        assert drawn.count("\x1b[") > 10
    assert "V (3, 4)" in plain
