"""A training → its page: the verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.evaluation.report import DEPTH
from attnsearch.evaluation.significance import CONFIDENCE
from attnsearch.output.training import conclusion
from attnsearch.pages.page import render

if TYPE_CHECKING:
    from attnsearch.learning.training import Outcome
    from attnsearch.pages.figures import Picture


def training_page(
    outcome: Outcome, catalog: str, command: Sequence[str], *, stored: bool, picture: Picture | None = None
) -> str:
    """The page of a training, with the picture of what more requests gain. `stored`: the result is in use."""
    verdict = outcome.verdict
    gains = [(f"nDCG@{DEPTH}", verdict.ndcg.as_dict()), ("KL to the right items, nats", verdict.kl.as_dict())]
    return render(
        "training",
        command,
        outcome=outcome,
        picture=picture,
        catalog=catalog,
        stored=stored,
        conclusion=conclusion(outcome, stored=stored),
        gains=gains if verdict.requests > 1 else [],
        confidence=CONFIDENCE,
    )
