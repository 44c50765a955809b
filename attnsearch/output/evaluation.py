"""What an evaluation, or a training, found → a table, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.evaluation.report import DEPTH, Report, Row
from attnsearch.evaluation.significance import CONFIDENCE, Comparison
from attnsearch.learning.acceptance import Gain
from attnsearch.learning.training import Outcome
from attnsearch.output.formats import SCHEMA, filled, listing
from attnsearch.output.safe_text import PIPE, Screen, inert, to_json

_MEASURES = 53  # cells that the table of means needs beside the options of another setting
_NUMBERS = 23  # cells that the table of the worst needs beside its texts


class Other(NamedTuple):
    """The same requests in another setting, which is called by its options, and what that changes."""

    options: str
    report: Report
    comparison: Comparison


def table(report: Report, screen: Screen = PIPE, *, worst: int = 5, other: Other | None = None) -> str:
    """The means, those of another setting beside them, the test of the difference, and the `worst` requests."""
    parts = [listing(_columns(other, screen), _measures(report, other), screen)]
    if other:
        parts.append(filled(_tested(other), screen))
    if rows := [row for row in report.worst(worst) if row.ndcg != 1]:
        parts.append(listing(_worst(rows, screen), rows, screen))
    if said := _taught([report, other.report] if other else [report]):
        parts.append(filled(said, screen))
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
        "unanswerable": report.without,
        "unknown_ids": report.unknown,
        "worst": [row.query for row in report.worst(worst)],
        **_told(report),
    }
    if other:
        test = {"metric": "ndcg", "confidence": CONFIDENCE, **other.comparison._asdict()}
        told["compare"] = {"options": other.options, "differences": test.pop("differences"), "test": test}
        told["compare"] |= _told(other.report)
    return to_json(told, screen, indent=2)


def verdict(outcome: Outcome, screen: Screen = PIPE, *, kept: bool = True) -> str:
    """What held-out requests say of what was learned, and what comes of it, or would if it were `kept`."""
    said = outcome.verdict
    rows = [(f"nDCG@{DEPTH}", said.ndcg), ("KL to the right items, nats", said.kl)]
    columns: Mapping[str, Callable[[tuple[str, Gain]], str]] = {
        "held out": lambda row: row[0],
        "untrained": lambda row: _number(row[1].before),
        "trained": lambda row: _number(row[1].after),
        "change": lambda row: f"{row[1].change:+.3f}",
        f"{CONFIDENCE:.0%} interval": lambda row: _interval(row[1]),
    }
    told = [listing(columns, rows, screen)] if said.requests > 1 else []
    return "\n".join([*told, filled(_conclusion(outcome, kept=kept), screen)])


def _interval(gain: Gain) -> str:
    return f"{gain.low:+.3f} to {gain.high:+.3f}"


def _conclusion(outcome: Outcome, *, kept: bool) -> str:
    learned, said = outcome.learned, outcome.verdict
    if learned is None:
        more = f"; {_about(said.more)} judged requests more might show a gain" if said.more else ""
        return f"nothing learned: {said.why}{more}. --force takes it all the same."
    parts = ["W_Q"] if learned.story["pull"] else []
    if learned.temperature != TEMPERATURE:
        parts.append(f"temperature {learned.temperature:.3g}")
    if learned.lexical is not None:
        parts.append(f"--lexical {learned.lexical:g}")
    if learned.null is not None:
        parts.append("the null key")
    why = said.why if said.accepted else f"{said.why}; taken all the same"
    what = f"{'' if kept else 'would be '}learned from {learned.story['from']}: {', '.join(parts)}; W_K = W_V = I"
    return f"{what}. {why[:1].upper()}{why[1:]}."


def _about(count: int) -> str:
    """A number rounded up to one digit, for it is a guess.

    >>> _about(4), _about(127)
    ('4', 'some 200')
    """
    if count < 10:
        return str(count)
    step = 10 ** (len(str(count)) - 1)
    return f"some {-(-count // step) * step:,}"


def verdict_as_json(outcome: Outcome, catalog: str, screen: Screen = PIPE, **more: Any) -> str:
    """The same with every number, as one JSON object; `more` is put into it."""
    learned, said = outcome.learned, outcome.verdict
    told = {
        "schema": SCHEMA,
        "catalog": catalog,
        "requests": said.requests,
        "unknown_ids": outcome.unknown,
        "accepted": said.accepted,
        "why": said.why,
        "more": said.more,
        "held_out": {"confidence": CONFIDENCE, "ndcg": said.ndcg.told(), "kl": said.kl.told()},
        "temperature": learned and learned.temperature,
        "lexical": learned and learned.lexical,
        "null_key": learned and learned.null and learned.null._asdict(),
        **more,
    }
    return to_json(told, screen, indent=2)


def _told(report: Report) -> dict[str, Any]:
    """What another setting may change."""
    return {
        "temperature": report.temperature,
        "taught": report.taught,
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
        "calibration error, top weight": report.calibration_error,
    }
    if report.nothing:
        found["none of these where true"] = report.nothing.where_true
        found["none of these where false"] = report.nothing.where_false
        found["balanced accuracy of that"] = report.nothing.balanced_accuracy
    return found


def _measures(report: Report, other: Other | None) -> list[tuple[str, ...]]:
    """A row for each measure: its name, its value, and with another setting that one's and the difference."""
    values = _values(report)
    if not other:
        return [(name, _number(value)) for name, value in values.items()]
    others = _values(other.report)
    return [(name, _number(value), _number(others.get(name)), _minus(others.get(name), value))
            for name, value in values.items()]  # fmt: skip


def _columns(other: Other | None, screen: Screen) -> Mapping[str, Any]:
    names = ["measure", "value"]
    if other:
        options = _cut(other.options, max((screen.width or 1 << 20) - _MEASURES, 12))
        names = ["measure", "as asked", options or "as it is", "difference"]
    return {name: lambda row, at=at: row[at] for at, name in enumerate(names)}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _minus(one: float | None, other: float | None) -> str:
    return "" if one is None or other is None else f"{one - other:+.3f}"


def _came_first(row: Row) -> str:
    return row.top_title or row.top or ""


def _worst(rows: Sequence[Row], screen: Screen) -> Mapping[str, Callable[[Row], str]]:
    """The columns of the table of the worst; in a narrow window its texts are cut, not its numbers."""
    left = max((screen.width or 1 << 20) - _NUMBERS, 20)
    first = min(max(len(inert(_came_first(row))) for row in rows), 2 * left // 5)
    return {
        f"nDCG@{DEPTH}": lambda row: _number(row.ndcg),
        "right from": lambda row: f"rank {row.first:,}" if row.first else "nowhere",
        "request": lambda row: _cut(row.query, left - max(first, len("on rank 1"))),
        "on rank 1": lambda row: _cut(_came_first(row), first),
    }


def _cut(text: str, length: int) -> str:
    shown = inert(text)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


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


def _taught(reports: Sequence[Report]) -> str:
    """That the figures flatter, where somebody was asked what he learned from."""
    most = max(reports, key=lambda report: report.taught)
    if not most.taught:
        return ""
    return (
        f"{most.taught:,} of these {len(most.rows):,} requests were used for training, so that the figures flatter:"
        f" judge others, or take the held-out gain that 'attnsearch info {most.catalog}' tells; --untrained is fair"
    )


def _footer(report: Report) -> str:
    right = len(report.answerable)
    unknown = len(report.rows) - right - report.without
    parts = [
        f"{right:,} requests with an answer, {report.without:,} without"
        + (f", {unknown:,} unknown" if unknown else ""),
        f"{report.catalog}, {report.items:,} items",
        f"temperature {report.temperature:.3g}",
        report.model,
    ]
    return " · ".join(parts)
