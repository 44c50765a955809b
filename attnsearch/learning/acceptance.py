"""Results on held-out requests → whether to accept what was learned, and why.

It must be better beyond chance on requests that it has not seen, and the judgments must be about this catalog.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation.significance import FEW, t_test
from attnsearch.learning.bilinear import Floats, item_logits
from attnsearch.learning.cross_validation import CrossValidation, measure_answers, relatedness
from attnsearch.learning.examples import TrainingSet

LEAST_REQUESTS = 5  # with an answer: nothing is learned from fewer
ENOUGH_REQUESTS = 20  # with an answer: from here on KL alone can show a gain, and τ, λ are fitted

Doubles = NDArray[np.float64]


class Gain(NamedTuple):
    """A mean over requests before and after, and the confidence interval of the difference, from `low` to `high`."""

    before: float
    after: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after - self.before

    def as_dict(self) -> dict[str, float | None]:
        """The numbers by name; None if there is no such number."""
        numbers = {**self._asdict(), "change": self.change}
        return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


class Verdict(NamedTuple):
    """Whether what was learned is accepted, and the reason: what held-out requests show.

    `requests` counts those with an answer. nDCG is better if higher, KL if lower. `more_requests` is how many more
    judged requests might show a gain, None if that cannot be estimated. `sound` means that the requests are enough, and
    about this catalog.
    """

    requests: int
    ndcg: Gain
    kl: Gain
    accepted: bool
    reason: str
    more_requests: int | None = None
    sound: bool = True

    @property
    def is_vague(self) -> bool:
        """Whether the requests are so few that only the intervals of the gains can be promised."""
        return self.requests < FEW


_UNRELATED = "the judged items match their own requests no better than other requests: are they this catalog's?"
_CHANCE = "the gain on held-out requests may be chance"
_UNMEASURED = Gain(math.nan, math.nan, math.nan, math.nan)


def accept(training_set: TrainingSet, validation: CrossValidation) -> Verdict:
    """The verdict on what was learned, from its cross-validation.

    Requests with an answer must pass three tests, each with a confidence of 97.5%, or of 50% for nDCG:

    - Is KL lower, at the same temperature? It is what was minimized, and it notices far smaller gains than nDCG.
    - Is nDCG@10 higher in the mean? A gain in KL alone helps nobody. Fewer than `ENOUGH_REQUESTS` requests must show
      that with 97.5%, too.
    - Do the untrained weights already rank each request's own answers above those of other requests? If not, the ids
      are shuffled or belong to another catalog, and all there is to learn is which items are judged often.
    """
    ndcg, kl = measure_gains(validation)
    requests = int(np.count_nonzero(~np.isnan(validation.before.ndcg)))
    related = interval(relatedness(training_set, validation.before))[0] > 0
    problem, more_requests = "", None
    if requests < LEAST_REQUESTS:
        plural = "" if requests == 1 else "s"
        problem = f"{requests} request{plural} with an answer, but at least {LEAST_REQUESTS} are needed"
        more_requests = LEAST_REQUESTS - requests
    elif not related:
        problem = _UNRELATED
    elif not validation.chosen:
        problem = "held-out requests are answered best without training"
    elif ndcg.change <= 0:
        problem = "held-out requests are not ranked better after training on the others"
    elif is_chance(requests, ndcg, kl):
        problem = _CHANCE
        more_requests = max(_count_more(requests, validation.kl_gain) or 0, ENOUGH_REQUESTS - requests) or None
    return Verdict(
        requests,
        ndcg,
        kl,
        accepted=not problem,
        reason=problem or "held-out requests are answered better beyond chance",
        more_requests=more_requests,
        sound=requests >= LEAST_REQUESTS and related,
    )


def accept_beside(verdict: Verdict, validation: CrossValidation) -> Verdict:
    """The verdict on memory, or on shared words, by the tests of `accept`.

    `verdict` is on all before that; the `validation` compares the answers with those.
    """
    ndcg, kl = measure_gains(validation)
    problem = ""
    if not verdict.sound:
        problem = verdict.reason
    elif not validation.chosen:
        problem = "held-out requests are answered best without it"
    elif ndcg.change <= 0:
        problem = "held-out requests are not ranked better with it"
    elif is_chance(verdict.requests, ndcg, kl):
        problem = _CHANCE
    reason = problem or "held-out requests are answered better beyond chance"
    return Verdict(verdict.requests, ndcg, kl, accepted=not problem, reason=reason, sound=verdict.sound)


def join_verdicts(verdict: Verdict, beside: Verdict, name: str, gains: tuple[Gain, Gain]) -> Verdict:
    """The verdict on W_Q and what comes `beside` it, called `name`: `gains` in nDCG and KL if that is accepted."""
    if not beside.accepted:
        return verdict
    if verdict.accepted:
        return verdict._replace(ndcg=gains[0], kl=gains[1])
    reason = f"W_Q stays I, since {verdict.reason}; but with {name}, {beside.reason}"
    return beside._replace(reason=reason)


def is_chance(requests: int, ndcg: Gain, kl: Gain) -> bool:
    """Whether gains of that many requests may be chance."""
    return kl.high >= 0 or (requests < ENOUGH_REQUESTS and ndcg.low <= 0)


def accept_temperature(verdict: Verdict, before: Doubles, after: Doubles) -> Verdict:
    """The verdict on another temperature alone, after `verdict` refused W_Q.

    `before` and `after` are the KL of held-out requests (m,). A temperature changes no rank. Returns `verdict` if the
    temperature is no better.
    """
    kl = _measure_gain(before, after - before)
    if kl.high >= 0:
        return verdict
    reason = f"W_Q stays I, since {verdict.reason}; but another temperature improves their weights beyond chance"
    unchanged = Gain(verdict.ndcg.before, verdict.ndcg.before, 0.0, 0.0)
    return verdict._replace(ndcg=unchanged, kl=kl, accepted=True, reason=reason, more_requests=None)


def accept_unseen(training_set: TrainingSet, w: Floats) -> Verdict:
    """The verdict on a W (d, d) that was learned from none of these requests: the tests of `accept`.

    At least `ENOUGH_REQUESTS` with an answer have to show the gain.
    """
    before = measure_answers(training_set, item_logits(training_set.keys, training_set.x))
    after = measure_answers(training_set, item_logits(training_set.keys, training_set.x, w))
    ndcg = _measure_gain(before.ndcg, after.ndcg - before.ndcg)
    kl = _measure_gain(before.kl, after.kl - before.kl)
    requests = int(np.count_nonzero(~np.isnan(before.ndcg)))
    problem, more_requests = "", None
    if requests < ENOUGH_REQUESTS:
        return require_requests(requests)
    if interval(relatedness(training_set, before))[0] <= 0:
        problem = _UNRELATED
    elif ndcg.change <= 0:
        problem = "the judged requests are not ranked better"
    elif is_chance(requests, ndcg, kl):
        problem = "the gain on the judged requests may be chance"
        more_requests = _count_more(requests, before.kl - after.kl)
    reason = problem or "the judged requests are answered better beyond chance"
    return Verdict(requests, ndcg, kl, accepted=not problem, reason=reason, more_requests=more_requests)


def require_requests(requests: int) -> Verdict:
    """The verdict on anything, by fewer requests with an answer than `ENOUGH_REQUESTS`."""
    many = "no judged request" if not requests else f"{requests} judged request{'' if requests == 1 else 's'}"
    reason = f"{many} with an answer to measure it by, but at least {ENOUGH_REQUESTS} are needed"
    more_requests = ENOUGH_REQUESTS - requests
    return Verdict(requests, _UNMEASURED, _UNMEASURED, accepted=False, reason=reason, more_requests=more_requests)


def interval(gains: Doubles) -> tuple[float, float]:
    """The confidence interval of the mean of the gains (m,), without NaN; infinite for fewer than two (t-test)."""
    test = t_test(gains[~np.isnan(gains)])
    return (-math.inf, math.inf) if test is None else (test.low, test.high)


def measure_gains(validation: CrossValidation) -> tuple[Gain, Gain]:
    """What held-out requests gain in nDCG, which is better if higher, and in KL, which is better if lower."""
    ndcg = _measure_gain(validation.before.ndcg, validation.gain)
    return ndcg, _measure_gain(validation.before.kl, -validation.kl_gain)


def _measure_gain(before: Doubles, gain: Doubles) -> Gain:
    if np.isnan(before).all():
        return _UNMEASURED
    mean = float(np.nanmean(before))
    return Gain(mean, mean + float(np.nanmean(gain)), *interval(gain))


def _count_more(requests: int, gains: Doubles) -> int | None:
    """How many more requests would put a gain as large as this one beyond chance; None for a loss."""
    gains = gains[~np.isnan(gains)]
    mean, spread = float(gains.mean()), float(gains.std(ddof=1))
    if mean <= 0:
        return None
    return max(math.ceil((2 * spread / mean) ** 2) - requests, 1)
