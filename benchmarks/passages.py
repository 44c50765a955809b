"""What passages gain: on judged queries, and on words from beyond the part of a text that the encoder reads."""

from __future__ import annotations

import random
import statistics

import numpy as np

from attnsearch.encoding import loading, passages
from benchmarks.indexing import ndcg
from benchmarks.measure import DATA, heading, judged, table

WORDS = 12  # of a text, as a query for it


def main() -> None:
    """Print the table."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading("Passages")
    rows = []
    for name in ("gutenberg_books", "cranfield"):
        items, titles, queries, grades = judged(name)
        encoder = loading.load()
        split = [passages.split_passages(encoder, title, text) for title, text in zip(titles, items, strict=True)]
        keys = encoder.encode([passage.text for parts in split for passage in parts])
        begins = np.cumsum([0, *(len(parts) for parts in split[:-1])])
        cut = keys[begins]  # a long text's first passage is what the encoder would read of it

        long = [item for item, parts in enumerate(split) if len(parts) > 1]
        excerpts = [_draw_words(items[item][split[item][0].stop :], seed) for seed, item in enumerate(long)]
        x_excerpts, x_queries = (encoder.encode(texts, "query") for texts in (excerpts, queries))
        row = [name, len(items), len(long), len(keys)]
        for k, starts in ((cut, np.arange(len(items))), (keys, begins)):
            own, scores = (np.maximum.reduceat(x @ k.T, starts, axis=1) for x in (x_excerpts, x_queries))
            ranks = (own > own[np.arange(len(long)), long][:, None]).sum(axis=1)
            row += [ndcg(scores, grades), statistics.mean(rank < 10 for rank in ranks.tolist())]
        rows.append(row)
    head = ("set", "items", "of them long", "keys", "nDCG@10 cut", "found cut", "nDCG@10 passages", "found passages")
    table(head, rows)


def _draw_words(text: str, seed: int) -> str:
    """Consecutive words of a text, drawn at random."""
    words = text.split()
    start = random.Random(seed).randrange(max(len(words) - WORDS, 1))
    return " ".join(words[start : start + WORDS])


if __name__ == "__main__":
    main()
