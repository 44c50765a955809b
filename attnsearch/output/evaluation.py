"""An evaluation → a table, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from attnsearch.evaluation.report import DEPTH, Evaluation, Row
from attnsearch.evaluation.significance import CONFIDENCE, Comparison
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import counted
from attnsearch.output.safe_text import PIPE, Screen, to_json
from attnsearch.output.table import decimals, listing, signed, wrap


class SecondSetting(NamedTuple):
    """A setting to compare: its options as the user wrote them, its evaluation on the same requests, the changes."""

    options: str
    evaluation: Evaluation
    comparison: Comparison

    @property
    def name(self) -> str:
        """What the setting is called beside the first one, which is *as asked*."""
        return self.options or "defaults"


class Change(NamedTuple):
    """A measure by its name in words, in the first setting and in the second; None where it is unknown."""

    name: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """After minus before."""
        return None if self.before is None or self.after is None else self.after - self.before


def table(evaluation: Evaluation, screen: Screen = PIPE, *, worst: int = 5, second: SecondSetting | None = None) -> str:
    """The means and the `worst` requests; with a second setting, both means and a test of the difference."""
    parts = [_mean_table(evaluation, second, screen)]
    if second:
        parts.append(wrap(_describe_test(second), screen))
    if rows := imperfect_rows(evaluation, worst):
        parts.append(_worst_table(rows, screen))
    if warning := describe_training([evaluation, second.evaluation] if second else [evaluation]):
        parts.append(wrap(warning, screen))
    if not screen.quiet:
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
        "metrics": {**evaluation.means, "calibration_error": evaluation.calibration_error},
        "none_of_these": evaluation.none_of_these and evaluation.none_of_these._asdict(),
        "per_query": [row._asdict() for row in evaluation.rows],
    }


def _mean_table(evaluation: Evaluation, second: SecondSetting | None, screen: Screen) -> str:
    """The table of means: a row for each measure, with a second setting its value and the change too."""
    if not second:
        rows = [(name, decimals(value)) for name, value in measures(evaluation).items()]
        return listing(("measure", "value"), rows, screen, elastic=["measure"], middle=["measure"])
    compared = [
        (row.name, decimals(row.before), decimals(row.after), signed(row.change, 3))
        for row in compare_measures(evaluation, second)
    ]
    return listing(
        ("measure", "as asked", second.name, "difference"),
        compared,
        screen,
        elastic=["measure", second.name],
        middle=["measure"],
    )


def measures(evaluation: Evaluation) -> dict[str, float | None]:
    """The value of each measure, by its name in words."""
    means = evaluation.means
    values = {
        f"nDCG@{DEPTH}": means["ndcg"],
        "MRR": means["mrr"],
        f"recall@{evaluation.k}": means["recall"],
        "precision at 1": means["precision_at_1"],
        "KL to the right items, nats": means["kl"],
        "calibration error, top weight": evaluation.calibration_error,
    }
    if evaluation.none_of_these:
        values["none of these when true"] = evaluation.none_of_these.where_true
        values["none of these when false"] = evaluation.none_of_these.where_false
        values["its balanced accuracy"] = evaluation.none_of_these.balanced_accuracy
    return values


def compare_measures(evaluation: Evaluation, second: SecondSetting) -> list[Change]:
    """The value of each measure in both settings."""
    after = measures(second.evaluation)
    return [Change(name, value, after.get(name)) for name, value in measures(evaluation).items()]


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
    """A warning if some of the requests were used for training, else an empty text."""
    most = max(evaluations, key=lambda evaluation: evaluation.trained_on)
    if not most.trained_on:
        return ""
    import shlex

    verb = "was" if most.trained_on == 1 else "were"
    return (
        f"{most.trained_on:,} of these {counted(len(most.rows), 'request')} {verb} used for training, which flatters"
        f" the figures: use other requests, or see the held-out gain in 'attnsearch info {shlex.quote(most.catalog)}';"
        " --untrained is not affected"
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
        evaluation.model,
    ]
    return " · ".join(parts)
