"""Whether the fast encoder agrees with sentence-transformers, on odd texts and in rankings.

Odd texts: 2,000, from empty to 512 tokens, in many scripts. Rankings: the first hundred items for every query of the
five judged sets; two items may change places only if their cosines differ by at most 1e-5.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.sbert import SentenceEncoder
from benchmarks.measure import DATA, SETS, heading, judged, table

ALIKE = 1e-5
FIRST = 100
# First and last characters of Latin, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Kana, Han, Hangul, emoji,
# controls, spaces and directions, variation selectors, mathematical letters.
SCRIPTS = (
    *((0x41, 0x5A), (0x61, 0x7A), (0x20, 0x7E), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF)),
    *((0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)),
    *((0x1F300, 0x1F6FF), (0x00, 0x1F), (0x7F, 0x9F), (0x2000, 0x206F), (0xFE00, 0xFE0F), (0x1D400, 0x1D7FF)),
)


def main() -> None:
    """Print both tables; exit with 1 if the encoders disagree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--sets", nargs="*", default=SETS)
    arguments = parser.parse_args()
    heading("Fast encoder against sentence-transformers", "sentence-transformers", "torch", "tokenizers")
    agree = compare_texts(arguments.texts)
    if DATA.is_dir():
        agree = compare_rankings(arguments.sets) and agree
    else:
        print("The judged data is not here: no rankings.\n")
    raise SystemExit(0 if agree else 1)


def compare_texts(count: int) -> bool:
    """Embed odd texts with both encoders, the model's window opened to 512 tokens; whether they agree."""
    model = loading.load().model
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "model"
        shutil.copytree(model.folder, wide)
        settings = wide / "sentence_bert_config.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "max_seq_length": 512}))
        fast = loading.load(str(wide))
        texts = odd_texts(count)
        lengths = [len(fast.tokens(text)) for text in texts]
        errors = np.abs(fast.encode(texts) - SentenceEncoder(fast.model).encode(texts)).max(axis=1)
    long = sum(length > 512 for length in lengths)
    rows = [(len(texts), f"{min(lengths)} to {max(lengths)}", long, f"{np.median(errors):.1e}", f"{errors.max():.1e}")]
    table(("texts", "tokens", "of them cut at 512", "median difference", "largest difference"), rows)
    return bool(errors.max() <= ALIKE)


def odd_texts(count: int) -> list[str]:
    """Make texts that a tokenizer may stumble over."""
    rng = random.Random(0)
    words = "the a of ship sea moon love robot antidisestablishmentarianism café naïve e.g. 3.14 C++ www".split()  # noqa: SIM905
    texts = [
        "",
        " ",
        "\t\n",
        "\x00",
        "\ufeff",
        ".",
        "…",
        "[CLS]",
        "[SEP] [PAD] [MASK]",
        "##ing",
        "👩‍👩‍👧‍👦",
        "e\u0301" * 40,
    ]
    while len(texts) < count:
        kind, length = rng.random(), int(2 ** rng.uniform(0, 9.3))
        if kind < 0.5:
            texts.append(" ".join(rng.choices(words, k=length)))
        else:
            ranges = rng.sample(SCRIPTS, rng.randint(1, 4))
            spaced = (
                chr(rng.randint(*rng.choice(ranges))) + (" " if rng.random() < 0.2 else "") for _ in range(length)
            )
            texts.append("".join(spaced))
    return texts


def compare_rankings(sets: list[str]) -> bool:
    """Rank each set's items for its queries with both encoders; whether they agree."""
    fast = loading.load()
    slow = SentenceEncoder(fast.model)
    rows = []
    for name in sets:
        items, _, queries, _ = judged(name)
        ours, theirs = (cosines(encoder, items, queries) for encoder in (fast, slow))
        our_order, their_order = (np.argsort(-z, axis=1, kind="stable")[:, :FIRST] for z in (ours, theirs))
        moved = our_order != their_order
        # If the two rankings have different items in a place, these items' cosines must be equal up to rounding.
        gaps = np.abs(np.take_along_axis(theirs, our_order, 1) - np.take_along_axis(theirs, their_order, 1))
        rows.append((name, len(queries), int(moved.sum()), f"{gaps.max():.1e}", f"{np.abs(ours - theirs).max():.1e}"))
        if gaps.max() > ALIKE:
            print(f"{name}: items changed places that differ by {gaps.max():.1e}")
    table(
        ("set", "queries", f"places of {FIRST} that differ", "by a cosine of", "largest difference of a cosine"), rows
    )
    return all(float(row[3]) <= ALIKE for row in rows)


def cosines(encoder: Encoder, items: list[str], queries: list[str]) -> np.ndarray:
    """The cosine of each query and item, (queries, items)."""
    return encoder.encode(queries, "query") @ encoder.encode(items).T


if __name__ == "__main__":
    main()
