"""A model's name → its encoder: in numpy if that is quick and covers the model, else by sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.encoding.coverage import coverage_of
from attnsearch.encoding.encoder import Encoder, Head
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import InputError
from attnsearch.models.model import TABLE, find_model

if TYPE_CHECKING:
    from attnsearch.encoding.heads import Choice


def load(name: str | None = None, *, offline: bool = False, quick: bool = True, remembered: bool = False) -> Encoder:
    """The encoder of the model called `name`, or of the default model; in numpy only if `quick`.

    `remembered` says that a catalog gave the name: then it is never a folder in the working directory.

    Raises ModelError as `find_model` does.
    """
    model = find_model(name, offline=offline, remembered=remembered)
    if model.name == TABLE:
        from attnsearch.encoding.static import StaticEncoder  # which most queries do without

        return StaticEncoder(model)
    coverage = coverage_of(model.folder) if quick else None
    return SentenceEncoder(model) if coverage is None else FastEncoder(model, coverage)


def load_heads(heads: Sequence[Head], *, offline: bool = False, quick: bool = True) -> Encoder:
    """The encoder of a catalog with these heads. Raises ModelError as `find_model` does."""
    encoders = [load(head.model, offline=offline, quick=quick, remembered=True) for head in heads]
    if len(heads) == 1:
        return encoders[0]
    from attnsearch.encoding.heads import HeadsEncoder  # which most queries do without

    return HeadsEncoder(encoders, [head.weight for head in heads])


class Chosen(NamedTuple):
    """An encoder, of one head or several, and the temperature τ of all together."""

    encoder: Encoder
    temperature: float


def choose_heads(
    first: Encoder,
    choices: Sequence[Choice] | None,
    stored: Sequence[Head],
    temperature: float,
    *,
    offline: bool = False,
    quick: bool = True,
) -> Chosen:
    """The encoder `first` with the chosen heads beside it, by default those of a catalog, `stored`, with this τ.

    A head that is chosen without a temperature has that of the catalog, else the usual one. Raises InputError for a
    model that is named twice, and ModelError as `find_model` does.
    """
    others, is_remembered = stored[1:], choices is None
    if not (others if choices is None else choices):
        return Chosen(first, TEMPERATURE)
    from attnsearch.encoding.heads import USUAL, Choice, HeadsEncoder, balance

    usual = USUAL | {head.model: temperature / head.weight for head in others}
    places = {head.model: place for place, head in enumerate(others)}
    temperatures, encoders = {first.model.name: TEMPERATURE}, [first]
    for choice in [Choice(head.model) for head in others] if choices is None else choices:
        encoder = load(choice.model, offline=offline, quick=quick, remembered=is_remembered)
        name = encoder.model.name
        if name in temperatures:
            hint = "name each model once; --head none leaves only that of --model"
            raise InputError(f"the model {name} is named twice", hint=hint)
        temperatures[name] = choice.temperature or usual.get(name, TEMPERATURE)
        encoders.append(encoder)
    encoders[1:] = sorted(encoders[1:], key=lambda encoder: places.get(encoder.model.name, len(places)))
    names = [encoder.model.name for encoder in encoders]
    tau, weights = balance([temperatures[name] for name in names])
    if names[1:] == [*places] and all(map(math.isclose, weights, (head.weight for head in stored))):
        tau, weights = temperature, tuple(head.weight for head in stored)  # bit for bit, or each run would change them
    return Chosen(HeadsEncoder(encoders, weights), tau)
