from __future__ import annotations

import pytest

from attnsearch.explanation.steps import Step
from attnsearch.output.safe_text import Screen
from attnsearch.pictures.walkthrough import walkthrough


@pytest.mark.parametrize("width", range(34, 100, 3))
def test_steps_lose_numbers_rather_than_digits(width):
    vector = Step(
        "query", "q", "It says so.", ("vector", "norm", "[0]", "[1]", "[2]"), [("x", 391.9184, -0.05, 6.3, 1e-5)]
    )
    ranked = Step(
        "weights", "w", "It says so.", ("rank", "item", "exp(logit - max)", "weight"), [(1, "moon " * 9, 1.0, 0.2)]
    )
    lines = walkthrough([vector, ranked], Screen(width=width)).splitlines()
    assert all(len(line) <= width for line in lines)
    numbers = ["391.9184", "-0.0500", "6.3000", "1e-05"]
    shown = lines[3].split()[1:]
    assert shown == numbers[: len(shown)]
    assert len(shown) > 1
    assert (lines[8].split()[0], lines[8].split()[-2:]) == ("1", ["1.0000", "0.2000"])
    if width > 90:
        assert shown == numbers
        assert "exp(logit - max)" in lines[7]
