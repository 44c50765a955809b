"""Whether several catalogs were made by one encoder, so that their scores can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from attnsearch.encoding.encoder import parts_of
from attnsearch.errors import InputError
from attnsearch.models.record import identify_heads
from attnsearch.opening.index import Index
from attnsearch.storage.database import Info


def check_encoders(parts: Sequence[Index]) -> None:
    """Raise InputError unless one encoder made all of the catalogs, and is asked in one way."""
    first = parts[0].info
    for part in parts:
        info = part.info
        is_same = info.identity == first.identity or not (info.identity and first.identity)
        numbers, first_numbers = ((record.sha256, record.temperature) for record in (info, first))
        heads, first_heads = (identify_heads(record.heads) for record in (info, first))
        uses, first_uses = ([head.use for head in parts_of(index.encoder)] for index in (part, parts[0]))
        is_same = is_same and (numbers, heads) == (first_numbers, first_heads)
        if is_same and uses != first_uses:  # which may change the width
            models = f"{first.name} is asked with {first_uses[0].in_words()}, {info.name} with {uses[0].in_words()}"
            options = "--query-prompt, --key-prompt and --dims"
        elif not is_same or info.d != first.d:
            models = f"{first.name} was embedded by {_name_heads(first)}, {info.name} by {_name_heads(info)}"
            options = "--model and --head" if heads or first_heads else "--model"
        else:
            continue
        hint = f"ask each by itself, or index one again with the other's {options}"
        raise InputError(f"their scores can't be compared: {models}", hint=hint)


def _name_heads(info: Info) -> str:
    """The models of a catalog, each head beside the first with its weight."""
    return " and ".join([info.model, *(f"{head.model}={head.weight:.3g}" for head in info.heads)])
