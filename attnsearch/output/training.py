"""A training → a table with a conclusion, and JSON. Everything is returned; nothing is printed here."""

from __future__ import annotations

from typing import Any

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.evaluation.report import DEPTH
from attnsearch.evaluation.significance import CONFIDENCE
from attnsearch.learning.acceptance import Gain, Verdict
from attnsearch.learning.training import Outcome
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import counted
from attnsearch.output.safe_text import PIPE, Screen, to_json
from attnsearch.output.table import decimals, listing, signed, wrap


def verdict(outcome: Outcome, screen: Screen = PIPE, *, stored: bool = True) -> str:
    """The gains on held-out requests, if there are any, and a conclusion. `stored`: the result is in use."""
    held_out = outcome.verdict
    parts = []
    if held_out.requests > 1:
        columns = ("held out", "untrained", "trained", "change", f"{CONFIDENCE:.0%} interval")
        rows = [
            (name, decimals(gain.before), decimals(gain.after), signed(gain.change, 3),
             f"{signed(gain.low, 3)} to {signed(gain.high, 3)}")
            for name, gain in gains(held_out).items()
        ]  # fmt: skip
        parts.append(listing(columns, rows, screen, elastic=["held out"], optional=["trained", "untrained"]))
    return "\n".join([*parts, wrap(conclusion(outcome, stored=stored), screen)])


def gains(held_out: Verdict) -> dict[str, Gain]:
    """What held-out requests gain, by the name of the measure in words."""
    return {f"nDCG@{DEPTH}": held_out.ndcg, "KL to the right items, nats": held_out.kl}


def conclusion(outcome: Outcome, *, stored: bool) -> str:
    """What was learned, from what, and why it was accepted; or why nothing was learned."""
    learned, held_out = outcome.learned, outcome.verdict
    if learned is None:
        outlook = f"; {_round_up(held_out.more_requests)} might show a gain" if held_out.more_requests else ""
        return f"nothing learned: {held_out.reason}{outlook}. --force learns anyway."
    parts = ["W_Q"] if learned.story["pull"] else []
    if learned.temperature != TEMPERATURE:
        parts.append(f"temperature {learned.temperature:.3g}")
    if learned.lexical is not None:
        parts.append(f"--lexical {learned.lexical:g}")
    if learned.null is not None:
        parts.append("the null key")
    why = held_out.reason if held_out.accepted else f"{held_out.reason}; --force keeps it anyway"
    what = f"{'' if stored else 'would be '}learned from {learned.story['from']}: {', '.join(parts)}; W_K = W_V = I"
    return f"{what}. {why[:1].upper()}{why[1:]}."


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
        "stored": stored,
    }
    return to_json(fields, screen, indent=2)


def _round_up(count: int) -> str:
    """A number of requests in words, from ten on rounded up to one digit, because it is an estimate.

    >>> _round_up(1), _round_up(4), _round_up(127)
    ('1 more judged request', '4 more judged requests', 'some 200 more judged requests')
    """
    if count < 10:
        return counted(count, "more judged request")
    step = 10 ** (len(str(count)) - 1)
    return f"some {counted(-(-count // step) * step, 'more judged request')}"
