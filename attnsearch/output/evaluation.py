"""An evaluation → a table, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from attnsearch.evaluation.report import DEPTH, Evaluation, Row
from attnsearch.evaluation.significance import CONFIDENCE, Comparison
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import counted
from attnsearch.output.safe_text import PIPE, Screen, to_json
from attnsearch.output.table import decimals, listing, wrap


class Other(NamedTuple):
    """Another setting: its options, as the user wrote them, its report on the same requests, and what it changes."""

    options: str
    report: Evaluation
    comparison: Comparison


def table(report: Evaluation, screen: Screen = PIPE, *, worst: int = 5, other: Other | None = None) -> str:
    """The means, beside those of another setting and with a test of the difference; then the `worst` requests."""
    parts = [_means(report, other, screen)]
    if other:
        parts.append(wrap(_test(other), screen))
    if rows := [row for row in report.worst(worst) if row.ndcg != 1]:
        parts.append(_worst(rows, screen))
    if warning := _warning([report, other.report] if other else [report]):
        parts.append(wrap(warning, screen))
    if not screen.quiet:
        parts.append(wrap(_footer(report), screen))
    return "\n".join(parts)


def as_json(
    report: Evaluation, judgments: Sequence[str], screen: Screen = PIPE, *, worst: int = 5, other: Other | None = None
) -> str:
    """Every number, as one JSON object; `judgments` names the files that the requests came from."""
    fields = {
        "schema": SCHEMA,
        "judgments": list(judgments),
        "catalog": report.catalog,
        "model": report.model,
        "items": report.items,
        "k": report.k,
        "queries": len(report.rows),
        "unanswerable": report.unanswerable,
        "unknown_ids": report.unknown_ids,
        "worst": [row.query for row in report.worst(worst)],
        **_measured(report),
    }
    if other:
        test = {"metric": "ndcg", "confidence": CONFIDENCE, **other.comparison._asdict()}
        fields["compare"] = {"options": other.options, "differences": test.pop("differences"), "test": test}
        fields["compare"] |= _measured(other.report)
    return to_json(fields, screen, indent=2)


def _measured(report: Evaluation) -> dict[str, Any]:
    """The fields that depend on the setting."""
    return {
        "temperature": report.temperature,
        "taught": report.trained_on,
        "metrics": {**report.means, "calibration_error": report.calibration_error},
        "none_of_these": report.none_of_these and report.none_of_these._asdict(),
        "per_query": [row._asdict() for row in report.rows],
    }


def _means(report: Evaluation, other: Other | None, screen: Screen) -> str:
    """The table of means: a row for each measure, with the value in another setting and the change."""
    values = _values(report)
    if not other:
        return listing(("measure", "value"), [(name, decimals(value)) for name, value in values.items()], screen)
    others = _values(other.report)
    options = other.options or "as it is"
    rows = [
        (name, decimals(value), decimals(others.get(name)), _change(value, others.get(name)))
        for name, value in values.items()
    ]
    return listing(("measure", "as asked", options, "difference"), rows, screen, elastic=[options])


def _values(report: Evaluation) -> dict[str, float | None]:
    """The value of each measure, by its name in words."""
    means = report.means
    values = {
        f"nDCG@{DEPTH}": means["ndcg"],
        "MRR": means["mrr"],
        f"recall@{report.k}": means["recall"],
        "precision at 1": means["precision_at_1"],
        "KL to the right items, nats": means["kl"],
        "calibration error, top weight": report.calibration_error,
    }
    if report.none_of_these:
        values["none of these where true"] = report.none_of_these.where_true
        values["none of these where false"] = report.none_of_these.where_false
        values["balanced accuracy of that"] = report.none_of_these.balanced_accuracy
    return values


def _change(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{after - before:+.3f}"


def _worst(rows: Sequence[Row], screen: Screen) -> str:
    """The table of the worst requests. In a narrow window its texts are cut, but not its numbers."""
    columns = (f"nDCG@{DEPTH}", "right from", "request", "on rank 1")
    cells = [
        (
            decimals(row.ndcg),
            f"rank {row.first:,}" if row.first else "nowhere",
            row.query,
            row.top_title or row.top or "",
        )
        for row in rows
    ]
    return listing(columns, cells, screen, elastic=("request", "on rank 1"))


def _test(other: Other) -> str:
    """The confidence interval and the p-value of the difference of nDCG, in a sentence."""
    test = other.comparison
    if test.low is None or test.high is None or test.p_value is None:
        return "no test: it needs two requests that have an answer"
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    return (
        f"difference of nDCG@{DEPTH}: {test.low:+.3f} to {test.high:+.3f} with {CONFIDENCE:.0%} confidence, {p}"
        f" (paired t-test, {test.queries:,} requests)"
    )


def _warning(reports: Sequence[Evaluation]) -> str:
    """A warning if some of the requests were used for training; else nothing."""
    most = max(reports, key=lambda report: report.trained_on)
    if not most.trained_on:
        return ""
    were = "was" if most.trained_on == 1 else "were"
    return (
        f"{most.trained_on:,} of these {counted(len(most.rows), 'request')} {were} used for training, which flatters"
        f" the figures: judge others, or see the held-out gain in 'attnsearch info {most.catalog}'; --untrained is fair"
    )


def _footer(report: Evaluation) -> str:
    right = len(report.answerable)
    unknown = len(report.rows) - right - report.unanswerable
    parts = [
        f"{counted(right, 'request')} with an answer, {report.unanswerable:,} without"
        + (f", {unknown:,} unknown" if unknown else ""),
        f"{report.catalog}, {counted(report.items, 'item')}",
        f"temperature {report.temperature:.3g}",
        report.model,
    ]
    return " · ".join(parts)
