"""A model's name → its encoder: in numpy if that is quick and covers the model, else by sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.encoding.encoder import Encoder, Head, Precision
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import InputError
from attnsearch.models.model import TABLE, Model, find_model
from attnsearch.models.prompts import use_of_files
from attnsearch.models.use import PLAIN, Use
from attnsearch.networks.coverage import coverage_of

if TYPE_CHECKING:
    from attnsearch.encoding.heads import Choice


def load(
    name: str | None = None,
    *,
    offline: bool = False,
    quick: bool = True,
    remembered: bool = False,
    use: Use | None = None,
) -> Encoder:
    """The encoder of the model called `name`, or of the default model; in numpy only if `quick`.

    `remembered` says that a catalog gave the name: then it is never a folder in the working directory. Without a `use`,
    it is the one that the model's files ask for.

    Raises ModelError as `find_model` does, and for prompts that are not text.
    """
    model = find_model(name, offline=offline, remembered=remembered)
    return build(model, quick=quick, use=use_of_files(model.folder) if use is None else use)


def build(model: Model, *, quick: bool = True, precision: Precision = "float32", use: Use = PLAIN) -> Encoder:
    """The encoder of a model: in numpy if that is `quick` and covers it, else by sentence-transformers.

    A table is looked up in numpy always.
    """
    coverage = coverage_of(model.folder) if quick and model.name != TABLE else None
    if coverage is not None:
        return FastEncoder(model, coverage, use)
    from attnsearch.networks.table import find_layout  # which most queries do without

    layout = find_layout(model)
    if layout is None:
        return SentenceEncoder(model, precision, use)
    from attnsearch.encoding.static import StaticEncoder  # which most queries do without

    return StaticEncoder(model, layout, use)


def load_heads(heads: Sequence[Head], *, offline: bool = False, quick: bool = True) -> Encoder:
    """The encoder of a catalog with these heads. Raises ModelError as `find_model` does."""
    encoders = [load(head.model, offline=offline, quick=quick, remembered=True) for head in heads]
    if len(heads) == 1:
        return encoders[0]
    from attnsearch.encoding.heads import HeadsEncoder  # which most queries do without

    return HeadsEncoder(encoders, [head.weight for head in heads])


def choose_heads(
    first: Encoder,
    choices: Sequence[Choice] | None,
    stored: Sequence[Head],
    *,
    offline: bool = False,
    quick: bool = True,
) -> Encoder:
    """The encoder `first` with the chosen heads beside it, by default those of a catalog, `stored`.

    A head that is chosen without a weight has that of the catalog, else the usual one. Raises InputError for a model
    that is named twice and for weights that leave nothing for the first, and ModelError as `find_model` does.
    """
    others, is_remembered = stored[1:], choices is None
    if not (others if choices is None else choices):
        return first
    from attnsearch.encoding.heads import USUAL, Choice, HeadsEncoder, fill_weights

    usual = USUAL | {head.model: head.weight for head in others}
    places = {head.model: place for place, head in enumerate(others)}
    weight_of: dict[str, float | None] = {first.model.name: None}
    encoders = []
    for choice in [Choice(head.model) for head in others] if choices is None else choices:
        encoder = load(choice.model, offline=offline, quick=quick, remembered=is_remembered)
        name = encoder.model.name
        if name in weight_of:
            hint = "name each model once; --head none leaves only that of --model"
            raise InputError(f"the model {name} is named twice", hint=hint)
        weight_of[name] = usual.get(name) if choice.weight is None else choice.weight
        encoders.append(encoder)
    encoders.sort(key=lambda encoder: places.get(encoder.model.name, len(places)))
    weights = fill_weights([weight_of[encoder.model.name] for encoder in encoders])
    return HeadsEncoder([first, *encoders], [1 - sum(weights), *weights])
