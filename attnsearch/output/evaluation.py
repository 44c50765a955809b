"""An evaluation → a table, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from attnsearch.evaluation.mass import SHOWN_TOPS, Mass
from attnsearch.evaluation.report import DEPTH, Evaluation, NoneOfThese, Row
from attnsearch.evaluation.significance import CONFIDENCE, FEW, Comparison, Interval, intervals
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import asked_as_each, counted, doubt_few
from attnsearch.output.safe_text import PIPE, Screen, to_json
from attnsearch.output.table import decimals, listing, signed, spell_interval, wrap


class SecondSetting(NamedTuple):
    """A setting to compare: its options as the user wrote them, its evaluation on the same requests, the changes."""

    options: str
    evaluation: Evaluation
    comparison: Comparison

    @property
    def name(self) -> str:
        """What the setting is called beside the first one, which is *as asked*."""
        return self.options or "defaults"


class Measure(NamedTuple):
    """A measure by its name in words; its value and the interval of that are None where they are unknown."""

    name: str
    value: float | None
    interval: Interval | None = None


class Change(NamedTuple):
    """A measure in the first setting and in the second."""

    first: Measure
    second: Measure

    @property
    def change(self) -> float | None:
        """After minus before; None if either is unknown."""
        before, after = self.first.value, self.second.value
        return None if before is None or after is None else after - before


def table(evaluation: Evaluation, screen: Screen = PIPE, *, worst: int = 5, second: SecondSetting | None = None) -> str:
    """The means and the `worst` requests; with a second setting, both means and a test of the difference."""
    parts = [_mean_table(evaluation, second, screen)]
    if second:
        parts.append(wrap(_describe_test(second), screen))
    elif is_few(evaluation):
        parts.append(wrap(doubt_few(len(evaluation.answerable)), screen))
    if rows := imperfect_rows(evaluation, worst):
        parts.append(_worst_table(rows, screen))
    if warning := describe_training([evaluation, second.evaluation] if second else [evaluation]):
        parts.append(wrap(warning, screen))
    if not screen.quiet:
        parts += [wrap(line, screen) for line in asked_as_each(evaluation.asked)]
        parts.append(wrap(footer(evaluation), screen))
    return "\n".join(parts)


def as_json(
    evaluation: Evaluation,
    judgments: Sequence[str],
    screen: Screen = PIPE,
    *,
    worst: int = 5,
    second: SecondSetting | None = None,
) -> str:
    """Every number, as one JSON object; `judgments` names the files that the requests came from."""
    fields = {
        "schema": SCHEMA,
        "judgments": list(judgments),
        "catalog": evaluation.catalog,
        "model": evaluation.model,
        "items": evaluation.items,
        "k": evaluation.k,
        "gain": evaluation.gain,
        "queries": len(evaluation.rows),
        "unanswerable": evaluation.unanswerable,
        "unknown_ids": evaluation.unknown_ids,
        "worst": [row.query for row in evaluation.worst(worst)],
        **_setting_fields(evaluation),
    }
    if second:
        test = {"metric": "ndcg", "confidence": CONFIDENCE, **second.comparison._asdict()}
        fields["compare"] = {"options": second.options, "differences": test.pop("differences"), "test": test}
        fields["compare"] |= _setting_fields(second.evaluation)
    return to_json(fields, screen, indent=2)


def _setting_fields(evaluation: Evaluation) -> dict[str, Any]:
    """The fields that depend on the setting."""
    return {
        "temperature": evaluation.temperature,
        "taught": evaluation.trained_on,
        **({"asked": dict(evaluation.asked)} if evaluation.asked else {}),
        "metrics": {**evaluation.means, "calibration_error": evaluation.calibration_error},
        "intervals": {name: part and part._asdict() for name, part in intervals(evaluation).items()},
        "reliability": [part._asdict() for part in evaluation.reliability],
        "mass": _mass_as_json(evaluation.mass),
        "none_of_these": _null_as_json(evaluation.none_of_these),
        "per_query": [row._asdict() for row in evaluation.rows],
    }


def _mass_as_json(mass: Mass | None) -> dict[str, Any] | None:
    return mass and {**mass._asdict(), "tops": [top._asdict() for top in mass.tops]}


def _null_as_json(null: NoneOfThese | None) -> dict[str, Any] | None:
    return null and {**null._asdict(), "reliability": [part._asdict() for part in null.reliability]}


def _mean_table(evaluation: Evaluation, second: SecondSetting | None, screen: Screen) -> str:
    """The table of means: a row for each measure, with a second setting its value and the change too."""
    if not second:
        few = is_few(evaluation)
        columns = ("measure", f"{CONFIDENCE:.0%} interval", "mean") if few else ("measure", "value", "interval")
        rows = [
            (part.name, spell_interval(part.interval), decimals(part.value))
            if few
            else (part.name, decimals(part.value), spell_interval(part.interval))
            for part in measures(evaluation)
        ]
        return listing(columns, rows, screen, elastic=["measure"], middle=["measure"], optional=columns[2:])
    compared = [
        (row.first.name, decimals(row.first.value), decimals(row.second.value), signed(row.change, 3))
        for row in compare_measures(evaluation, second)
    ]
    return listing(
        ("measure", "as asked", second.name, "difference"),
        compared,
        screen,
        elastic=["measure", second.name],
        middle=["measure"],
    )


def is_few(evaluation: Evaluation) -> bool:
    """Whether the requests with an answer are so few that intervals say more than means."""
    return 0 < len(evaluation.answerable) < FEW


def measures(evaluation: Evaluation) -> list[Measure]:
    """Each measure, in the order in which they are shown."""
    names = {
        "ndcg": f"nDCG@{DEPTH}",
        "mrr": "MRR",
        "recall": f"recall@{evaluation.k}",
        "precision_at_1": "precision at 1",
        "kl": "KL to the right items, nats",
    }
    around = intervals(evaluation)
    lines = [Measure(words, evaluation.means[name], around[name]) for name, words in names.items()]
    lines.append(Measure("calibration error, top weight", evaluation.calibration_error))
    if mass := evaluation.mass:
        lines.append(Measure("calibration error, all weights", mass.calibration_error))
        lines.append(Measure("weight on the right items", mass.weight))
        shown = [top for top in mass.tops if top.share in SHOWN_TOPS]
        lines += [Measure(f"right items in the top {top.share:.0%}", top.covered) for top in shown]
    if null := evaluation.none_of_these:
        lines.append(Measure("none of these when true", null.where_true))
        lines.append(Measure("none of these when false", null.where_false))
        lines.append(Measure("its balanced accuracy", null.balanced_accuracy))
        lines.append(Measure("its calibration error", null.calibration_error))
        lines.append(Measure("its Brier score", null.brier))
    return lines


def compare_measures(evaluation: Evaluation, second: SecondSetting) -> list[Change]:
    """Each measure in both settings."""
    after = {part.name: part for part in measures(second.evaluation)}
    return [Change(part, after.get(part.name, Measure(part.name, None))) for part in measures(evaluation)]


def imperfect_rows(evaluation: Evaluation, worst: int) -> list[Row]:
    """The `worst` requests, without those that could not be answered better."""
    return [row for row in evaluation.worst(worst) if row.ndcg != 1]


def _worst_table(rows: Sequence[Row], screen: Screen) -> str:
    """The table of the worst requests. In a narrow window its texts are cut, but not its numbers."""
    columns = (f"nDCG@{DEPTH}", "first right", "request", "on rank 1")
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


def _describe_test(second: SecondSetting) -> str:
    """The confidence interval and the p-value of the difference of nDCG, in a sentence."""
    test = second.comparison
    if test.low is None or test.high is None or test.p_value is None:
        return "no test: it needs at least two requests with an answer"
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    return (
        f"difference of nDCG@{DEPTH}: {signed(test.low, 3)} to {signed(test.high, 3)} with {CONFIDENCE:.0%} confidence,"
        f" {p} (paired t-test, {test.queries:,} requests)"
    )


def describe_training(evaluations: Sequence[Evaluation]) -> str:
    """A warning if some of the requests were learned from or are remembered, else an empty text."""
    most = max(evaluations, key=lambda evaluation: evaluation.trained_on)
    if not most.trained_on:
        return ""
    import shlex

    was, is_ = ("was", "is") if most.trained_on == 1 else ("were", "are")
    return (
        f"{most.trained_on:,} of these {counted(len(most.rows), 'request')} {was} learned from or {is_} remembered,"
        " which flatters the figures: use other requests, or --untrained; of a training,"
        f" 'attnsearch info {shlex.quote(most.catalog)}' has the held-out gain"
    )


def footer(evaluation: Evaluation) -> str:
    """The counts of requests and items, and the setting."""
    answerable = len(evaluation.answerable)
    unknown = len(evaluation.rows) - answerable - evaluation.unanswerable
    parts = [
        f"{counted(answerable, 'request')} with an answer, {evaluation.unanswerable:,} without"
        + (f", {unknown:,} unknown" if unknown else ""),
        f"{evaluation.catalog}, {counted(evaluation.items, 'item')}",
        f"temperature {evaluation.temperature:.3g}",
        *([f"gain {evaluation.gain}"] if evaluation.is_graded or evaluation.gain != "linear" else []),
        evaluation.model,
    ]
    return " · ".join(parts)
