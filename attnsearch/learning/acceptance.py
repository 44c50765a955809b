"""What was seen on held-out requests → whether what was learned is taken, and why.

It has to be better beyond chance on requests that it has not seen, and the judgments have to be about this catalog.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation.significance import t_test
from attnsearch.learning.bilinear import Floats, item_logits
from attnsearch.learning.cross_validation import Trial, measure, relatedness
from attnsearch.learning.examples import TrainingSet

FEWEST = 5  # requests from which anything is learned
ENOUGH = 20  # requests that may tell by KL alone, and from which a temperature is fitted

Doubles = NDArray[np.float64]


class Gain(NamedTuple):
    """A mean over requests before and after, and the interval of the difference that chance leaves."""

    before: float
    after: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before

    def as_dict(self) -> dict[str, float | None]:
        """The numbers by their names, None for those that nobody can tell."""
        numbers = {**self._asdict(), "change": self.change}
        return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


class Verdict(NamedTuple):
    """Whether what was learned is taken, and why: what held-out requests say.

    nDCG is better if higher, KL if lower. `more` is how many judged requests more might show a gain; None if nobody
    can say. `sound` says that the requests are enough to tell from, and about this catalog.
    """

    requests: int
    ndcg: Gain
    kl: Gain
    accepted: bool
    why: str
    more: int | None = None
    sound: bool = True


_NOBODY = Gain(math.nan, math.nan, math.nan, math.nan)
UNKNOWN = Verdict(0, _NOBODY, _NOBODY, accepted=True, why="no judged request says whether it is better")
"""The verdict of nobody."""


def accept(lesson: TrainingSet, trial: Trial) -> Verdict:
    """The verdict on what was learned in the trial.

    Three things are asked of requests that have an answer, each with a confidence of 97.5 %, or of 50 % for nDCG:

    - Is KL lower, at the same temperature? It is what was learned for, and it notices far smaller gains than nDCG.
    - Is nDCG@10 higher in the mean? What is better by KL alone is of no use to anybody. Fewer requests than `ENOUGH`
      say little of it: by them it has to be so with 97.5 %, too.
    - Do the untrained weights already find each request's own answers better than other requests'? If not, the ids
      are another catalog's, or shuffled, and what can be learned from them is which items are judged often.
    """
    ndcg = _gain(trial.before.ndcg, trial.gain)
    kl = _gain(trial.before.kl, -trial.kl_gain)
    requests = int(np.count_nonzero(~np.isnan(trial.before.ndcg)))
    related = interval(relatedness(lesson, trial.before))[0] > 0
    why, more = "", None
    if requests < FEWEST:
        counted = f"{requests} request{'' if requests == 1 else 's'} with an answer"
        why = f"{counted}, where {FEWEST} are the least to tell anything from"
        more = FEWEST - requests
    elif not related:
        why = "the judged items fit their own requests no better than those of others: are they this catalog's?"
    elif not trial.chosen:
        why = "requests that were held out are answered best as it is"
    elif ndcg.change <= 0:
        why = "requests that were held out are not ranked better by what was learned from the others"
    elif kl.high >= 0 or (requests < ENOUGH and ndcg.low <= 0):
        why = "what it gains on requests that were held out may be chance"
        more = max(_more(requests, trial.kl_gain) or 0, ENOUGH - requests) or None
    sound = requests >= FEWEST and related
    return Verdict(
        requests, ndcg, kl, not why, why or "held-out requests are answered better beyond chance", more, sound
    )


def accept_temperature(verdict: Verdict, before: Doubles, after: Doubles) -> Verdict:
    """The verdict on another temperature alone, by the KL (m,) of held-out requests with it, where W_Q was refused.

    It changes no rank.
    """
    kl = _gain(before, after - before)
    if kl.high >= 0:
        return verdict
    why = f"W_Q stays, since {verdict.why}; but their weights are better by another temperature, beyond chance"
    same = Gain(verdict.ndcg.before, verdict.ndcg.before, 0.0, 0.0)
    return verdict._replace(ndcg=same, kl=kl, accepted=True, why=why, more=None)


def accept_unless_worse(lesson: TrainingSet, w: Floats) -> Verdict:
    """The verdict on a W (d, d) that was learned from none of the lesson's queries: whether they speak against it."""
    before = measure(lesson, item_logits(lesson.catalog, lesson.x))
    after = measure(lesson, item_logits(lesson.catalog, lesson.x, w))
    ndcg = _gain(before.ndcg, after.ndcg - before.ndcg)
    kl = _gain(before.kl, after.kl - before.kl)
    worse = ndcg.change < 0
    why = f"the judged requests are answered {'worse' if worse else 'no worse'}"
    return Verdict(int(np.count_nonzero(~np.isnan(before.ndcg))), ndcg, kl, not worse, why)


def interval(gains: Doubles) -> tuple[float, float]:
    """The interval around the mean of the gains (m,) that are numbers, by the t-test; all reals for fewer than two."""
    low, high, _ = t_test(gains[~np.isnan(gains)])
    return (-math.inf, math.inf) if low is None or high is None else (low, high)


def _gain(before: Doubles, gain: Doubles) -> Gain:
    if np.isnan(before).all():
        return _NOBODY
    mean = float(np.nanmean(before))
    return Gain(mean, mean + float(np.nanmean(gain)), *interval(gain))


def _more(requests: int, gains: Doubles) -> int | None:
    """How many requests more would put a gain as large as this one beyond chance."""
    gains = gains[~np.isnan(gains)]
    mean, spread = float(gains.mean()), float(gains.std(ddof=1))
    if mean <= 0:
        return None
    return max(math.ceil((2 * spread / mean) ** 2) - requests, 1)
