"""What an evaluation found → a table, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from attnsearch.evaluation import CONFIDENCE, DEPTH, Comparison, Report, Row
from attnsearch.plain import PIPE, Screen, to_json
from attnsearch.render import SCHEMA, filled, listing


class Other(NamedTuple):
    """The same requests in another setting, which is called by its options, and what that changes."""

    options: str
    report: Report
    comparison: Comparison


def table(report: Report, screen: Screen = PIPE, *, worst: int = 5, other: Other | None = None) -> str:
    """The means, those of another setting beside them, the test of the difference, and the `worst` requests."""
    parts = [listing(_columns(other), _measures(report, other), screen)]
    if other:
        parts.append(filled(_tested(other), screen))
    if rows := [row for row in report.worst(worst) if row.ndcg != 1]:
        parts.append(listing(_WORST, rows, screen))
    if not screen.quiet:
        parts.append(filled(_footer(report), screen))
    return "\n".join(parts)


def as_json(
    report: Report, judgments: Sequence[str], screen: Screen = PIPE, *, worst: int = 5, other: Other | None = None
) -> str:
    """Every number, as one JSON object; `judgments` are the files that they were asked from."""
    told = {
        "schema": SCHEMA,
        "judgments": list(judgments),
        "catalog": report.catalog,
        "model": report.model,
        "items": report.items,
        "k": report.k,
        "queries": len(report.rows),
        "unanswerable": len(report.rows) - len(report.answerable),
        "unknown_ids": report.unknown,
        "worst": [row.query for row in report.worst(worst)],
        **_told(report),
    }
    if other:
        test = {"metric": "ndcg", "confidence": CONFIDENCE, **other.comparison._asdict()}
        told["compare"] = {"options": other.options, "differences": test.pop("differences"), "test": test}
        told["compare"] |= _told(other.report)
    return to_json(told, screen, indent=2)


def _told(report: Report) -> dict[str, Any]:
    """What another setting may change."""
    return {
        "temperature": report.temperature,
        "metrics": {**report.means, "calibration_error": report.calibration_error},
        "none_of_these": report.nothing and report.nothing._asdict(),
        "per_query": [row._asdict() for row in report.rows],
    }


def _values(report: Report) -> dict[str, float | None]:
    """The measures in words, and their values."""
    means = report.means
    found = {
        f"nDCG@{DEPTH}": means["ndcg"],
        "MRR": means["mrr"],
        f"recall@{report.k}": means["recall"],
        "precision at 1": means["precision_at_1"],
        "KL to the right items, nats": means["kl"],
        "calibration error of the top weight": report.calibration_error,
    }
    if report.nothing:
        found["none of these, where true"] = report.nothing.where_true
        found["none of these, where false"] = report.nothing.where_false
        found["none of these, balanced accuracy"] = report.nothing.balanced_accuracy
    return found


def _measures(report: Report, other: Other | None) -> list[tuple[str, ...]]:
    """A row for each measure: its name, its value, and with another setting that one's and the difference."""
    values = _values(report)
    if not other:
        return [(name, _number(value)) for name, value in values.items()]
    others = _values(other.report)
    return [(name, _number(value), _number(others.get(name)), _minus(others.get(name), value))
            for name, value in values.items()]  # fmt: skip


def _columns(other: Other | None) -> Mapping[str, Any]:
    names = ["measure", "value"] if not other else ["measure", "as asked", other.options or "as it is", "difference"]
    return {name: lambda row, at=at: row[at] for at, name in enumerate(names)}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _minus(one: float | None, other: float | None) -> str:
    return "" if one is None or other is None else f"{one - other:+.3f}"


def _came_first(row: Row) -> str:
    return row.top_title or row.top or ""


_WORST = {
    f"nDCG@{DEPTH}": lambda row: _number(row.ndcg),
    "right from": lambda row: f"rank {row.first:,}" if row.first else "nowhere",
    "request": lambda row: row.query,
    "on rank 1": _came_first,
}


def _tested(other: Other) -> str:
    """What chance leaves of the difference of nDCG, in a sentence."""
    test = other.comparison
    if test.low is None or test.high is None or test.p_value is None:
        return "no test: it takes two requests that have an answer"
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    return (
        f"difference of nDCG@{DEPTH}: {test.low:+.3f} to {test.high:+.3f} with {CONFIDENCE:.0%} confidence, {p}"
        f" (paired t-test, {test.queries:,} requests)"
    )


def _footer(report: Report) -> str:
    right = len(report.answerable)
    parts = [
        f"{right:,} requests with an answer, {len(report.rows) - right:,} without",
        f"{report.catalog}, {report.items:,} items",
        f"temperature {report.temperature:.3g}",
        report.model,
    ]
    return " · ".join(parts)
