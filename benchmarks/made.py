"""Catalogs of any size, made from the words of the built-in ones, and indexes of random keys."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attnsearch.encoding import loading
from attnsearch.encoding.passages import Passage
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.target import Place
from attnsearch.indexing.writer import Writer
from attnsearch.models.use import Use
from attnsearch.sources import items
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.storage import home
from attnsearch.storage.database import Info, Source
from attnsearch.storage.lock import WAIT

_CHUNK = 8_192


def texts(count: int) -> Iterator[str]:
    """Different texts of one or two dozen words: halves of the built-in descriptions in new combinations."""
    halves = []
    for name in home.BUILT_IN:
        for item in items.read_items([str(home.built_in_file(name))]).items:
            words = item.description.split()[:16]
            halves.append((" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])))
    pairs = (
        (a, b) for gap in itertools.count(1) for (a, _), (_, b) in zip(halves, halves[gap:] + halves[:gap], strict=True)
    )
    for number, (a, b) in enumerate(itertools.islice(pairs, count)):
        yield f"{a} {b} ({number})"


def jsonl(path: Path, count: int, changed: int = 0) -> None:
    """Write a file of `count` items, the first `changed` of them with a sentence more."""
    with path.open("w") as stream:
        for number, text in enumerate(texts(count)):
            description = f"{text} Not as it was." if number < changed else text
            item = {"id": str(number), "title": f"Number {number}", "description": description}
            stream.write(json.dumps(item) + "\n")


def index(
    name: str,
    count: int,
    noise: float | None = None,
    model: str | None = None,
    width: int = 384,
    place: Place | None = None,
) -> None:
    """Make an index of `count` items with random keys of 384 numbers, which take as long to scan as real ones.

    With `noise`, the keys are one vector, each with so much added to it. The default model seems to have made them,
    unless another is named; with another `width`, so many of its dims; with a `place`, it is there.
    """
    _write(name, _items(count), noise, model, width, place)


def change(name: str, count: int, changed: int, width: int = 8, place: Place | None = None) -> None:
    """Change the text and a field of so many items of an index that `index` made, all over it."""
    step = count // changed
    items = (
        item._replace(fields={**item.fields, "year": 1900}, text=f"{item.text} Not as it was.")
        if number % step == 0 and number // step < changed else item
        for number, item in enumerate(_items(count))
    )  # fmt: skip
    _write(name, items, None, None, width, place)


def _items(count: int) -> Iterator[Item]:
    for n, text in enumerate(texts(count)):
        yield Item(f"i{n}", f"Number {n}", text, {"number": n, "year": 1900 + n % 120, "shelf": n % 100}, text)


def _write(
    name: str, items: Iterator[Item], noise: float | None, model: str | None, width: int, place: Place | None
) -> None:
    maker = loading.load(model).model
    rng = np.random.default_rng(1)
    use = None if width == 384 else Use(dims=width)
    info = Info(name, "", (Source("made", None),), Fields(), maker.name, maker.sha256, maker.stamp, width, 0.05,
                identity=maker.identity, use=use)  # fmt: skip
    opened = place.open_writer(WAIT) if place else Writer(home.catalog_folder(name))
    with opened as writer, Checkpoint(writer.folder, "random") as checkpoint:
        writer.take_items(items, lambda _, text: [Passage(0, len(text), text)])
        writer.recall(checkpoint)
        missing = writer.missing_texts()
        while chunk := [sha256 for sha256, _ in itertools.islice(missing, _CHUNK)]:
            x = rng.standard_normal((len(chunk), width), np.float32)
            x = x if noise is None else np.ones(width, np.float32) + np.float32(noise) * x
            writer.put_embeddings(checkpoint, chunk, x / np.linalg.norm(x, axis=1, keepdims=True))
        writer.commit(info, checkpoint)
