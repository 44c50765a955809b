"""What passages are good for: judged queries, and words from behind the place where the encoder would have stopped."""

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
        read = loading.load()
        parts = [passages.split_passages(read, title, text) for title, text in zip(titles, items, strict=True)]
        keys = read.encode([passage.text for found in parts for passage in found])
        begins = np.cumsum([0, *(len(found) for found in parts[:-1])])
        first = keys[begins]  # all of a short text; of a long one, what the encoder reads of it

        long = [at for at, found in enumerate(parts) if len(found) > 1]
        behind = [_words(items[at][parts[at][0].stop :], seed) for seed, at in enumerate(long)]
        sought, asked = (read.encode(texts, "query") for texts in (behind, queries))
        row = [name, len(items), len(long), len(keys)]
        for x, starts in ((first, np.arange(len(items))), (keys, begins)):
            found, scores = (np.maximum.reduceat(q @ x.T, starts, axis=1) for q in (sought, asked))
            places = (found > found[np.arange(len(long)), long][:, None]).sum(axis=1)
            row += [ndcg(scores, grades), statistics.mean(place < 10 for place in places.tolist())]
        rows.append(row)
    head = ("set", "items", "of them long", "keys", "nDCG@10 cut", "found cut", "nDCG@10 passages", "found passages")
    table(head, rows)


def _words(text: str, seed: int) -> str:
    """Some words of a text that follow each other."""
    words = text.split()
    start = random.Random(seed).randrange(max(len(words) - WORDS, 1))
    return " ".join(words[start : start + WORDS])


if __name__ == "__main__":
    main()
