"""An evaluation → its page: the measures, the worst requests, and every request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.evaluation.report import DEPTH
from attnsearch.evaluation.significance import CONFIDENCE
from attnsearch.output.evaluation import (
    SecondSetting,
    compare_measures,
    describe_training,
    footer,
    imperfect_rows,
    is_few,
    measures,
)
from attnsearch.output.notes import asked_as_each, doubt_few
from attnsearch.pages.page import render

if TYPE_CHECKING:
    from attnsearch.evaluation.report import Evaluation
    from attnsearch.pages.figures import Picture


def evaluation_page(
    evaluation: Evaluation,
    command: Sequence[str],
    *,
    worst: int = 5,
    second: SecondSetting | None = None,
    picture: Picture | None = None,
) -> str:
    """The page of an evaluation; with a second setting, of both."""
    evaluations = [evaluation, second.evaluation] if second else [evaluation]
    return render(
        "evaluation",
        command,
        evaluation=evaluation,
        picture=picture,
        second=second,
        measures=measures(evaluation),
        changes=compare_measures(evaluation, second) if second else [],
        depth=DEPTH,
        confidence=CONFIDENCE,
        warning=describe_training(evaluations),
        doubt=doubt_few(len(evaluation.answerable)) if is_few(evaluation) else "",
        evaluations={"as asked": evaluation, second.name: second.evaluation} if second else {"": evaluation},
        footer=footer(evaluation),
        remarks=list(asked_as_each(evaluation.asked)),
        worst=imperfect_rows(evaluation, worst),
    )
