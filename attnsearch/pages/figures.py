"""Figures → pictures that a page holds itself; without matplotlib, it says what they need."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.errors import InputError
from attnsearch.plots.figure import require_matplotlib

if TYPE_CHECKING:
    from attnsearch.evaluation.report import Evaluation
    from attnsearch.learning.training import Outcome
    from attnsearch.opening.index import Index
    from attnsearch.output.evaluation import SecondSetting
    from attnsearch.search.result import Result
    from attnsearch.search.setting import Setting

log = logging.getLogger("attnsearch")


class Picture(NamedTuple):
    """A picture in a page: its `address` holds all of it, None if it can't be drawn; its `text` says what it shows."""

    address: str | None
    text: str


def can_draw() -> bool:
    """Whether matplotlib is there; a warning says so if it is not."""
    try:
        require_matplotlib()
    except InputError as problem:
        log.warning("the page has no pictures, which need matplotlib: %s", problem.hint)
        return False
    return True


def picture_map(index: Index, text: str, setting: Setting, result: Result) -> Picture | None:
    """The map of the items for a request, whose result has a trace; None if there are none to draw."""
    if result.masked == result.items:
        return None
    shows = "The items in the plane of the two directions in which they differ most, larger with more attention"
    if not can_draw():
        return Picture(None, shows)
    from attnsearch.explanation.map import map_items
    from attnsearch.plots.map import draw_map

    return _embed(draw_map(map_items(index, text, setting, result)), shows)


def picture_evaluation(evaluation: Evaluation, second: SecondSetting | None) -> Picture | None:
    """How well each request is answered, and how far the top weight can be trusted; None if none has an answer."""
    if not evaluation.answerable:
        return None
    shows = "nDCG by request, best first, and how often the top item is right by its weight"
    if not can_draw():
        return Picture(None, shows)
    from attnsearch.plots.evaluation import draw_evaluation

    return _embed(draw_evaluation(evaluation, second), shows)


def picture_training(outcome: Outcome, catalog: str) -> Picture:
    """What held-out requests gain by the number of judged requests, if that was measured: see `can_draw`."""
    shows = "The gain of held-out requests in nDCG by the number of judged requests"
    if outcome.curve is None:
        return Picture(None, shows)
    from attnsearch.plots.training import draw_curve

    return _embed(draw_curve(outcome.curve, catalog), shows)


def _embed(svg: bytes, text: str) -> Picture:
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}", text)
