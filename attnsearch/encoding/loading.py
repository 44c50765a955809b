"""A model's name → its encoder: in numpy where the model is covered, else by sentence-transformers."""

from __future__ import annotations

from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.model import coverage_of, find_model
from attnsearch.encoding.sbert import SentenceEncoder


def load(name: str | None = None, *, offline: bool = False, quick: bool = True) -> Encoder:
    """The encoder called `name`, or the default one: see `model.find`, whose errors it raises.

    `quick` says that the fast path may be taken.
    """
    found = find_model(name, offline=offline)
    covered = coverage_of(found.folder) if quick else None
    return SentenceEncoder(found) if covered is None else FastEncoder(found, covered)
