"""A model's name → its encoder: in numpy if that is quick and covers the model, else by sentence-transformers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.encoding.encoder import Encoder, Precision, count_prompt, parts_of
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import InputError
from attnsearch.models.model import TABLE, Model, find_model
from attnsearch.models.prompts import find_usual, resolve_use
from attnsearch.models.record import Head
from attnsearch.models.use import AS_USUAL, PLAIN, Role, Use, Wanted
from attnsearch.networks.coverage import coverage_of

if TYPE_CHECKING:
    from attnsearch.encoding.heads import Choice

log = logging.getLogger("attnsearch")


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
    return build(model, quick=quick, use=resolve_use(use, model))


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


def load_as_wanted(
    name: str | None,
    wanted: Wanted,
    stored: Head | None,
    *,
    offline: bool = False,
    quick: bool = True,
    remembered: bool = False,
) -> Encoder:
    """The encoder of a model, used as it is `wanted`, for the rest as a catalog has `stored`, else as it is usual.

    Raises as `load` and `prompts.find_usual` do.
    """

    def load_with(use: Use | None) -> Encoder:
        return load(name, offline=offline, quick=quick, remembered=remembered, use=use)

    encoder = load_with(stored and stored.use)
    is_known = stored is not None and encoder.model.made(stored.sha256, stored.identity)
    use = wanted.over(encoder.use if is_known else find_usual(encoder.model, wanted).use)
    return encoder if use == encoder.use else load_with(use)


def check_dims(encoder: Encoder, dims: int, *, offline: bool = False) -> int:
    """How many numbers of the first model's vectors are to count, as a use has it: 0 if that is all of them.

    Raises InputError if it has fewer.
    """
    first = parts_of(encoder)[0]
    if first.use.dims:
        first = load(first.model.name, offline=offline, quick=first.quick, use=first.use._replace(dims=0))
    width = first.encode(["a"]).shape[1]
    if not 1 <= dims <= width:
        hint = f"give a number from 1 to {width}; {width} are all"
        raise InputError(f"{first.model.name} has {width:,} dims, not {dims:,}", hint=hint)
    return 0 if dims == width else dims


def check_prompts(encoder: Encoder) -> None:
    """Raise InputError for a prompt that takes more than half of what a model reads."""
    for part in parts_of(encoder):
        roles: dict[Role, int] = {"query": part.query_window, "key": part.window}
        for role, window in roles.items():
            if (length := count_prompt(part, role)) > window:
                limit = f"{part.model.name} reads {length + window:,} in all"
                message = f"the prompt has {length:,} word pieces, and {limit}"
                raise InputError(message, where=f"--{role}-prompt", hint="give a shorter one, or '' for none")


def warn_of_uses(encoder: Encoder, stored: Sequence[Head]) -> None:
    """Warn of each model's prompts and dims, unless a catalog has `stored` the same."""
    for part in parts_of(encoder):
        known = [head.use for head in stored if part.model.made(head.sha256, head.identity)]
        if part.use != (resolve_use(known[0], part.model) if known else PLAIN):
            usual = find_usual(part.model, Wanted(key_prompt=part.use.key_prompt))
            source = f" (prompts from {usual.source})" if usual.use[:2] == part.use[:2] != PLAIN[:2] else ""
            log.warning("%s is used with %s%s", part.model.name, part.use.in_words(), source)


def load_heads(heads: Sequence[Head], *, offline: bool = False, quick: bool = True) -> Encoder:
    """The encoder of a catalog with these heads. Raises ModelError as `find_model` does."""
    encoders = [load(head.model, offline=offline, quick=quick, remembered=True, use=head.use) for head in heads]
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
    stored_of = {head.model: head for head in others}
    if not (others if choices is None else choices):
        return first
    from attnsearch.encoding.heads import USUAL, Choice, HeadsEncoder, fill_weights

    usual = USUAL | {head.model: head.weight for head in others}
    places = {head.model: place for place, head in enumerate(others)}
    weight_of: dict[str, float | None] = {first.model.name: None}
    encoders = []
    for choice in [Choice(head.model) for head in others] if choices is None else choices:
        encoder = load_as_wanted(
            choice.model,
            AS_USUAL,
            stored_of.get(choice.model),
            offline=offline,
            quick=quick,
            remembered=is_remembered,
        )
        name = encoder.model.name
        if name in weight_of:
            hint = "name each model once; --head none leaves only that of --model"
            raise InputError(f"the model {name} is named twice", hint=hint)
        weight_of[name] = usual.get(name) if choice.weight is None else choice.weight
        encoders.append(encoder)
    encoders.sort(key=lambda encoder: places.get(encoder.model.name, len(places)))
    weights = fill_weights([weight_of[encoder.model.name] for encoder in encoders])
    return HeadsEncoder([first, *encoders], [1 - sum(weights), *weights])
