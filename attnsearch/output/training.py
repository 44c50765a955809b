"""A training, or a fit to an encoder → a table with a conclusion, and JSON. Everything is returned, nothing printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration.fit_file import Fit
from attnsearch.evaluation.report import DEPTH
from attnsearch.evaluation.significance import CONFIDENCE
from attnsearch.learning.acceptance import Gain, Verdict
from attnsearch.learning.calibration import LEAST_LEXICAL
from attnsearch.learning.training import Outcome
from attnsearch.models.use import Use
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import counted
from attnsearch.output.safe_text import PIPE, Screen, to_json
from attnsearch.output.table import decimals, entries, listing, signed, wrap
from attnsearch.search.setting import usual_null_key
from attnsearch.storage.learned import Learned

USUAL, FITTED, SHIPPED, TRAINED = "usual", "fitted", "shipped", "trained"  # where a temperature or a null key is from


def verdict(outcome: Outcome, screen: Screen = PIPE, *, stored: bool = True) -> str:
    """The gains on held-out requests, if there are any, and a conclusion. `stored`: the result is in use."""
    held_out = outcome.verdict
    parts = []
    if held_out.requests > 1:
        columns = ["held out", "untrained", "trained", "change", f"{CONFIDENCE:.0%} interval"]
        rows = [
            [name, decimals(gain.before), decimals(gain.after), signed(gain.change, 3), spell_gain(gain)]
            for name, gain in gains(held_out).items()
        ]
        if held_out.is_vague:
            columns = ["held out", "untrained", f"change, {CONFIDENCE:.0%} interval"]
            rows = [[name, before, interval] for name, before, _, _, interval in rows]
        optional = [name for name in ("trained", "untrained") if name in columns]
        parts.append(listing(columns, rows, screen, elastic=["held out"], optional=optional))
    return "\n".join([*parts, wrap(conclusion(outcome, stored=stored), screen)])


def gains(held_out: Verdict) -> dict[str, Gain]:
    """What held-out requests gain, by the name of the measure in words."""
    return {f"nDCG@{DEPTH}": held_out.ndcg, "KL to the right items, nats": held_out.kl}


def spell_gain(gain: Gain) -> str:
    """The interval of a gain in words.

    >>> spell_gain(Gain(0.5, 0.75, 0.125, 0.375))
    '+0.125 to +0.375'
    """
    return f"{signed(gain.low, 3)} to {signed(gain.high, 3)}"


def conclusion(outcome: Outcome, *, stored: bool) -> str:
    """What was learned, from what, and why it was accepted; or why nothing was learned."""
    learned, held_out = outcome.learned, outcome.verdict
    if learned is None:
        outlook = f"; {_round_up(held_out.more_requests)} might show a gain" if held_out.more_requests else ""
        return f"nothing learned: {held_out.reason}{outlook}. --force learns anyway."
    parts = ["W_Q"] if learned.story["pull"] else []
    if learned.temperature not in (None, TEMPERATURE):
        parts.append(f"temperature {learned.temperature:.3g}")
    if learned.is_lexical:
        parts.append(f"that shared words count (λ {learned.lexical:g})")
    elif learned.lexical is not None:
        parts.append(f"--lexical {learned.lexical:g}")
    if learned.null is not None:
        parts.append("the null key")
    if remembered := learned.story.get("remembered"):
        parts.append(f"a memory of {counted(remembered, 'request')}")
    why = held_out.reason if held_out.accepted else f"{held_out.reason}; --force keeps it anyway"
    what = f"{'' if stored else 'would be '}learned from {learned.story['from']}: {', '.join(parts)}; W_K = W_V = I"
    return " ".join([f"{what}. {why[:1].upper()}{why[1:]}.", *_describe_memory(outcome), *_describe_words(outcome)])


def _describe_memory(outcome: Outcome) -> Iterator[str]:
    """What memory gains beside W_Q, or why it follows judged requests no further than it did."""
    memory, learned = outcome.memory, outcome.learned
    if memory is None or learned is None:
        return
    if not memory.accepted and learned.story.get("remembered"):
        yield f"Memory: {memory.reason}; --force keeps it anyway."
    elif not memory.accepted:
        yield f"Memory stays as it was: {memory.reason}."
    elif learned.story["pull"]:
        yield f"Of the change in nDCG@{DEPTH}, {_spell_part(memory)} is from memory."


def _spell_part(verdict: Verdict) -> str:
    """What is gained in nDCG beside W_Q, and its interval; the interval alone, if requests are few."""
    part = spell_gain(verdict.ndcg)
    return part if verdict.is_vague else f"{signed(verdict.ndcg.change, 3)} ({part})"


def _describe_words(outcome: Outcome) -> Iterator[str]:
    """What shared words gain, or that they hardly help: the least λ must not look like advice to use it."""
    words, learned = outcome.words, outcome.learned
    if learned is None:
        return
    if learned.is_lexical and words is not None and words.accepted:
        yield f"Shared words add {_spell_part(words)}; --lexical 0 leaves them out for once."
    if learned.lexical == LEAST_LEXICAL and not learned.is_lexical:
        yield "Shared words hardly help here, so --lexical counts them as little as it can."


def verdict_as_json(outcome: Outcome, catalog: str, screen: Screen = PIPE, *, stored: bool) -> str:
    """Every number of the verdict, and whether the result was `stored`, as one JSON object."""
    learned, held_out = outcome.learned, outcome.verdict
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "catalog": catalog,
        "requests": held_out.requests,
        "unknown_ids": outcome.unknown_ids,
        "accepted": held_out.accepted,
        "why": held_out.reason,
        "more": held_out.more_requests,
        "held_out": {"confidence": CONFIDENCE, "ndcg": held_out.ndcg.as_dict(), "kl": held_out.kl.as_dict()},
        "temperature": learned and learned.temperature,
        "lexical": learned and learned.lexical,
        "null_key": learned and learned.null and learned.null._asdict(),
        "memory": memory_as_json(outcome),
        "words": outcome.words and _verdict_fields(outcome.words),
        "stored": stored,
    }
    return to_json(fields, screen, indent=2)


def memory_as_json(outcome: Outcome) -> dict[str, Any] | None:
    """The verdict on memory, how many requests it remembers, and how far they are followed; None if not tried."""
    verdict, learned = outcome.memory, outcome.learned
    if verdict is None:
        return None
    count = learned.story.get("remembered", 0) if learned else 0
    recall = learned.memory.recall.as_dict() if count and learned and learned.memory else None
    return {
        "requests": count,
        **_verdict_fields(verdict),
        "recall": recall,
    }


def _verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """A verdict on what comes beside W_Q."""
    held_out = {"ndcg": verdict.ndcg.as_dict(), "kl": verdict.kl.as_dict()}
    return {"accepted": verdict.accepted, "why": verdict.reason, "held_out": held_out}


def _round_up(count: int) -> str:
    """A number of requests in words, from ten on rounded up to one digit, because it is an estimate.

    >>> _round_up(1), _round_up(4), _round_up(127)
    ('1 more judged request', '4 more judged requests', 'some 200 more judged requests')
    """
    if count < 10:
        return counted(count, "more judged request")
    step = 10 ** (len(str(count)) - 1)
    return f"some {counted(-(-count // step) * step, 'more judged request')}"


def constants_as_json(sha256: str, usual: float, fit: Fit | None, learned: Learned | None = None) -> dict[str, Any]:
    """The temperature and the null key of a query that says neither, and where each is from; and the encoder's fit.

    They are learned, else fitted to the encoder, else the one shipped for these weights, and the `usual` temperature.
    """
    null, null_from = usual_null_key(sha256, fit), FITTED if fit else SHIPPED
    temperature, temperature_from = usual, USUAL
    if fit and fit.temperature != TEMPERATURE:
        temperature, temperature_from = fit.temperature, FITTED
    if learned and learned.temperature is not None:
        temperature, temperature_from = learned.temperature, TRAINED
    if learned and learned.null:
        null, null_from = learned.null, TRAINED
    return {
        "temperature": temperature,
        "temperature_from": temperature_from,
        "none_of_these": null and null._asdict(),
        "none_of_these_from": null and null_from,
        "fit": fit and _fit_as_json(fit),
    }


def _fit_as_json(fit: Fit) -> dict[str, Any]:
    """What held-out requests say of a fit."""
    fitted = fit.fitted
    return {
        "when": fit.when,
        "held_out": {
            "confidence": CONFIDENCE,
            "requests": fitted.requests,
            "kl_gain": fitted.gain._asdict(),
            "balanced_accuracy": fitted.accuracy._asdict(),
            "catalogs": fitted.accuracies,
        },
    }


def constants_in_words(constants: Mapping[str, Any], fit: Fit | None, command: str = "") -> dict[str, str]:
    """What `constants_as_json` returns, in words; the `command`, if it is still to be run, fits the encoder."""
    origins = {USUAL: "the usual one", FITTED: "fitted on the built-in catalogs"}
    origin, null_origin = (constants[f"{name}_from"] for name in ("temperature", "none_of_these"))
    if null := constants["none_of_these"]:
        numbers = f"logit {null['logit']:.3g}, sharpness {null['sharpness']:.3g}"
        none_of_these = f"{numbers} ({origins.get(null_origin, null_origin)})"
    elif fit:
        none_of_these = f"unknown: on held-out requests, {fit.describe_accuracy()}"
    else:
        none_of_these = f"unknown until: {command}" if command else "unknown"
    return {
        "temperature": f"{constants['temperature']:.4g} ({origins.get(origin, origin)})",
        "none_of_these": none_of_these,
    }


def calibration(
    fit: Fit, use: Use | None, before: Mapping[str, str], after: Mapping[str, str], screen: Screen = PIPE
) -> str:
    """How an encoder's constants did on held-out requests, by catalog, and what they are, `before` and `after`."""
    fitted = fit.fitted
    rows = [[name, f"{accuracy:.1%}"] for name, accuracy in fitted.accuracies.items()]
    mean, low, high = fitted.gain
    differences = f"{signed(mean, 3)} ({signed(low, 3)} to {signed(high, 3)})"
    worse = "" if fit.temperature != TEMPERATURE else f", so {TEMPERATURE:g} stays"
    was, now = ({name.replace("_", " "): words for name, words in part.items()} for part in (before, after))
    values = {
        "model": fit.model,
        **({"use": use.in_words()} if use else {}),
        **now,
        "before": "the same" if was == now else "; ".join(f"{name} {words}" for name, words in was.items()),
    }
    sentence = (
        f"Of {counted(fitted.requests, 'held-out request')} with an answer, and as many without, the null key is"
        f" {fit.describe_accuracy()}. At the temperature of the other catalogs, KL improves by {differences}{worse}."
    )
    table = listing(["held out", "balanced accuracy"], rows, screen, elastic=["held out"])
    return "\n".join([entries(values, screen), table, wrap(sentence, screen)])
