"""A model's name → its encoder: in numpy if that is quick and covers the model, else by sentence-transformers."""

from __future__ import annotations

from attnsearch.encoding.coverage import coverage_of
from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.models.model import TABLE, find_model


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
