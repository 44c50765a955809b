"""What a catalog holds at its g-th generation, and how it must answer: pure functions of g, computed from scratch."""

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
LEAST, MOST = 8, 24  # items
TEMPERATURE = 0.05  # with which a catalog is made

_known: list[Items] = []


def items(g: int) -> Items:
    """The items of generation g, by id. One of them, `now`, says the generation."""
    while len(_known) <= g:
        before = _known[-1] if _known else {}
        _known.append(_next(before, len(_known)))
    return _known[g]


def _next(before: Items, g: int) -> Items:
    """What becomes of the items: a bit of everything, or only one kind of change, by turns."""
    chance = random.Random(g)
    here = {ident: dict(item) for ident, item in before.items() if ident != "now"}
    kind = ("mixed", "add", "mixed", "change", "fields", "remove", "most", "copy")[g % 8]
    if kind in ("mixed", "fields"):
        for ident in _some(chance, here, 3):
            here[ident]["shelf"] = g
    if kind in ("mixed", "remove"):
        for ident in _some(chance, here, min(3, len(here) - LEAST)):
            del here[ident]
    if kind in ("mixed", "change", "most"):
        # Most at once: whole segments lose their last row, and dead rows are more than the living.
        for ident in _some(chance, here, len(here) - 2 if kind == "most" else 3):
            here[ident] |= _texts(chance)
    if kind in ("mixed", "add", "copy") or not here:
        for number in range(max(min(3, MOST - len(here)), LEAST - len(here))):
            # The text of a copy was embedded before: its vector comes from an older segment.
            texts = _texts(chance)
            if kind == "copy":
                other = here[_some(chance, here, 1)[0]]
                texts = {"title": other["title"], "description": other["description"]}
            here[f"i{g}-{number}"] = {"id": f"i{g}-{number}", **texts, "shelf": number}
    return here | {"now": {"id": "now", "title": "lamp", "description": "", "generation": g}}


def _some(chance: random.Random, here: Items, count: int) -> list[str]:
    return chance.sample(sorted(here), max(min(count, len(here)), 0))


def _texts(chance: random.Random) -> dict[str, str]:
    # Now and then more words than the small encoder reads at once: passages.
    most = 60 if chance.random() < 0.1 else 6
    counts = [chance.randint(0, most) for _ in WORDS]
    words = " ".join(f"{word} " * count for word, count in zip(WORDS, counts, strict=True)).split()
    return {"title": f"{words[0] if words else 'lamp'}", "description": " ".join(words[1:])}


@functools.lru_cache(maxsize=4096)
def weights(g: int, text: str) -> dict[str, float]:
    """What softmax over all items gives each of them, in float64."""
    here = items(g)
    encoder = SmallEncoder()
    (q,) = encoder.encode([text], "query").astype(np.float64)
    z = []
    for item in here.values():
        passages = split_passages(encoder, item["title"], key_text(item["title"], item["description"], {}))
        x = encoder.encode([passage.text for passage in passages]).astype(np.float64)
        z.append(float((x @ q).max()) / TEMPERATURE)
    total = math.fsum(math.exp(one - max(z)) for one in z)
    return {ident: math.exp(one - max(z)) / total for ident, one in zip(here, z, strict=True)}


def write(file: Path, g: int) -> None:
    """The source of generation g."""
    file.write_text("".join(json.dumps(item) + "\n" for item in items(g).values()))
