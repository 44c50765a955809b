"""A training → its page: the verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.evaluation.significance import CONFIDENCE
from attnsearch.output.training import conclusion, gains, memory_as_json
from attnsearch.pages.page import render

if TYPE_CHECKING:
    from attnsearch.learning.training import Outcome
    from attnsearch.pages.figures import Picture


def training_page(
    outcome: Outcome, catalog: str, command: Sequence[str], *, stored: bool, picture: Picture | None = None
) -> str:
    """The page of a training, with the picture of what more requests gain. `stored`: the result is in use."""
    measured = gains(outcome.verdict) if outcome.verdict.requests > 1 else {}
    beside = {"memory": outcome.memory, "shared words": outcome.words} if measured else {}
    return render(
        "training",
        command,
        outcome=outcome,
        picture=picture,
        catalog=catalog,
        stored=stored,
        conclusion=conclusion(outcome, stored=stored),
        gains={name: gain.as_dict() for name, gain in measured.items()},
        confidence=CONFIDENCE,
        memory=memory_as_json(outcome),
        beside={
            name: {measure: gain.as_dict() for measure, gain in gains(verdict).items()}
            for name, verdict in beside.items()
            if verdict
        },
    )
