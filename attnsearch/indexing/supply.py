"""Items that come with their vectors, in an export: which vectors are used, and how they are checked."""

from __future__ import annotations

import functools
import hashlib
import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from attnsearch.encoding.encoder import Encoder, Precision, parts_of
from attnsearch.encoding.heads import NO_HEAD, USUAL, Choice, Floats, identify_others, match_heads, recode
from attnsearch.errors import InputError
from attnsearch.exports.form import Header
from attnsearch.exports.reading import Export
from attnsearch.indexing.changes import Split
from attnsearch.indexing.writer import Writer
from attnsearch.models.model import DEFAULT
from attnsearch.models.record import identify_heads
from attnsearch.sources.items import Item

SAMPLE = 3  # texts that are embedded to see whether the vectors are theirs

_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.02}  # of 1 - cosine of two vectors of one text, by their precision

log = logging.getLogger("attnsearch")


class Supply(NamedTuple):
    """The items of an export; and the precision of their vectors, None if these can't be used."""

    items: Iterator[Item]
    precision: Precision | None


def refuse_other_models(header: Header, where: str, *, model: str | None, choices: Sequence[Choice] | None) -> None:
    """Raise InputError for vectors of other models than we know: only the user may choose another."""
    if not model and header.model != DEFAULT:
        name = shlex.quote(header.model)
        hint = f"say --model {name} to use them, or --model {DEFAULT} to embed its texts again"
        raise InputError(f"is an export with vectors of the model {header.model}", where=where, hint=hint)
    unknown = [head.model for head in header.heads if head.model not in USUAL]
    if choices is None and unknown:
        options = " ".join(f"--head {shlex.quote(head.model)}" for head in header.heads)
        hint = f"say {options} to use them, or --head {NO_HEAD} to do without"
        raise InputError(f"is an export with vectors of the head {unknown[0]}", where=where, hint=hint)


def take_export(
    export: Export, writer: Writer, encoder: Encoder, split: Split, precision: Precision | None, name: str
) -> Supply:
    """The items of an export. As each is read, the writer gets its vectors, if they can be used.

    They can if this very encoder made them in the `precision` that is wanted, from the same text in the same passages.
    `name` is what a warning calls the catalog.
    """
    header = export.header
    matches = match_heads(header.all_heads, encoder)
    if None in matches:
        model, others = parts_of(encoder)[matches.index(None)].model.name, {head.model: head for head in header.heads}
        if matches[0] is not None and model not in others:
            log.warning("%s: there are no vectors of the head %s, so its texts are embedded again", name, model)
        else:
            head = others.get(model, header.all_heads[0])
            is_other = head.identity != parts_of(encoder)[matches.index(None)].model.identity
            maker = f"by another {head.model} ({head.identity[:12]}…)" if is_other else "with another prompt or width"
            log.warning("%s: the vectors were made %s, so its texts are embedded again", name, maker)
        return Supply((entry.item for entry in export.entries), None)
    if precision == "float32" != header.precision:
        return Supply((entry.item for entry in export.entries), None)
    is_same = identify_others(encoder) == identify_heads(header.heads)
    as_encoded = functools.partial(recode, stored=header.all_heads, encoder=encoder, matches=matches)
    return Supply(_draw_items(export, writer, split, None if is_same else as_encoded), header.precision)


def _draw_items(
    export: Export, writer: Writer, split: Split, change: Callable[[Floats], Floats] | None
) -> Iterator[Item]:
    """The items, whose vectors are supplied to the writer: changed, unless they are what the encoder gives."""
    for item, starts, stops, x, is_current in export.entries:
        if is_current:
            passages = split(item.title, item.text)
            if [(passage.start, passage.stop) for passage in passages] == list(zip(starts, stops, strict=True)):
                writer.supply(
                    [hashlib.sha256(passage.text.encode()).digest() for passage in passages], change(x) if change else x
                )
        yield item


def check_sample(writer: Writer, encoder: Encoder, precision: Precision) -> None:
    """Embed some of the texts. Raises InputError if a vector that came with one is not its own."""
    sample = writer.sample_supplied(SAMPLE)
    if not sample:
        return
    x = encoder.encode([supplied.text for supplied in sample])
    for own, (place, _, supplied_x) in zip(x, sample, strict=True):
        if supplied_x.shape != own.shape or not np.vecdot(own, supplied_x) > 1 - _TOLERANCE[precision]:
            hint = "do not trust this file; index the one that its catalog was made from"
            raise InputError("has a vector that is not that of its text", where=place, hint=hint)
