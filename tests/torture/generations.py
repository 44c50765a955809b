"""What a catalog holds at generation g, and how it must answer: pure functions of g, independent of the package."""

from __future__ import annotations

import functools
import json
import math
import random
from pathlib import Path

import numpy as np

from attnsearch.encoding.passages import split_passages
from attnsearch.sources.items import key_text
from tests.conftest import AXES, SmallEncoder

Items = dict[str, dict]

WORDS = (*AXES, "lamp")  # the small encoder's axes
QUERIES = ("moon", "sea sea robot", "lamp moon", "robot moon sea lamp lamp")
HEADS = None, ["twin"], None, ["twin=0.2"], None, ["none"], None  # beside the first, one after the other
LEAST, MOST = 8, 24  # items
TEMPERATURE = 0.05  # of a new catalog

_generations: list[Items] = []


def items(g: int) -> Items:
    """The items of generation g, by id. The item `now` carries the generation's number."""
    while len(_generations) <= g:
        before = _generations[-1] if _generations else {}
        _generations.append(_change_items(before, len(_generations)))
    return _generations[g]


def _change_items(before: Items, g: int) -> Items:
    """The items of generation g: every kind of change at once, or only one kind, in turn."""
    chance = random.Random(g)
    after = {ident: dict(item) for ident, item in before.items() if ident != "now"}
    kind = ("mixed", "add", "mixed", "change", "fields", "remove", "most", "copy")[g % 8]
    if kind in ("mixed", "fields"):
        for ident in _draw_ids(chance, after, 3):
            after[ident]["shelf"] = g
    if kind in ("mixed", "remove"):
        for ident in _draw_ids(chance, after, min(3, len(after) - LEAST)):
            del after[ident]
    if kind in ("mixed", "change", "most"):
        # "most": whole segments lose their last living row, and there are more dead rows than living ones.
        for ident in _draw_ids(chance, after, len(after) - 2 if kind == "most" else 3):
            after[ident] |= _draw_texts(chance)
    if kind in ("mixed", "add", "copy") or not after:
        for number in range(max(min(3, MOST - len(after)), LEAST - len(after))):
            texts = _draw_texts(chance)
            if kind == "copy":  # its vector comes from an older segment, since its text was embedded before
                original = after[_draw_ids(chance, after, 1)[0]]
                texts = {"title": original["title"], "description": original["description"]}
            after[f"i{g}-{number}"] = {"id": f"i{g}-{number}", **texts, "shelf": number}
    return after | {"now": {"id": "now", "title": "lamp", "description": "", "generation": g}}


def _draw_ids(chance: random.Random, items: Items, count: int) -> list[str]:
    return chance.sample(sorted(items), max(min(count, len(items)), 0))


def _draw_texts(chance: random.Random) -> dict[str, str]:
    # One in ten has more words than the small encoder reads at once: passages.
    most = 60 if chance.random() < 0.1 else 6
    counts = [chance.randint(0, most) for _ in WORDS]
    words = " ".join(f"{word} " * count for word, count in zip(WORDS, counts, strict=True)).split()
    return {"title": f"{words[0] if words else 'lamp'}", "description": " ".join(words[1:])}


@functools.lru_cache(maxsize=4096)
def weights(g: int, text: str) -> dict[str, float]:
    """Each item's weight for a query: softmax over all items, in float64."""
    current = items(g)
    encoder = SmallEncoder()
    (q,) = encoder.encode([text], "query").astype(np.float64)
    z = []
    for item in current.values():
        passages = split_passages(encoder, item["title"], key_text(item["title"], item["description"], {}))
        x = encoder.encode([passage.text for passage in passages]).astype(np.float64)
        z.append(float((x @ q).max()) / TEMPERATURE)
    total = math.fsum(math.exp(logit - max(z)) for logit in z)
    return {ident: math.exp(logit - max(z)) / total for ident, logit in zip(current, z, strict=True)}


def load_encoder(name: str | None = None, **_: object) -> SmallEncoder:
    """The small encoder, or its twin: whatever the weight of that head, their cosines together are those of one.

    They know three words; what others a request has are looked up among those of the catalog.
    """
    encoder = SmallEncoder("twin", "6" * 64) if name == "twin" else SmallEncoder()
    encoder.vocabulary = AXES
    return encoder


def write(file: Path, g: int) -> None:
    """Write the items of generation g as a catalog's source."""
    file.write_text("".join(json.dumps(item) + "\n" for item in items(g).values()))
