from __future__ import annotations

import math

import pytest

from attnsearch.evaluation.report import METRICS, Report, Row
from attnsearch.output.evaluation import table
from attnsearch.output.safe_text import Screen


def report(*rows: Row, **fields) -> Report:
    usual = {
        "catalog": "shop", "model": "small", "temperature": 0.05, "items": 3, "k": 10, "unknown": 0,
        "means": dict.fromkeys(METRICS, 0.5), "calibration_error": 0.25, "nothing": None, "without": 0,
        "rows": list(rows),
    }  # fmt: skip
    return Report(**{**usual, **fields})


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_in_a_window(columns):
    """Texts are cut, numbers are not."""
    long = Row("moon " * 30, "x.jsonl:1", 1, ndcg=1 / math.log2(3), mrr=0.5, first=2, top="a", top_title="moon")
    out = table(report(long), Screen(width=columns, quiet=True))
    row = out.splitlines()[-1]
    assert row.split()[:5] == [f"{1 / math.log2(3):.3f}", "rank", "2", "moon", "moon"]
    assert all(len(line) <= columns for line in out.splitlines())
    assert ("…" in row) == (columns < 200)
    assert row.endswith("  moon")
