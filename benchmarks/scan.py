"""Exact attention over keys in memory: ours against numpy, torch, faiss, usearch, and merely reading the keys.

Ours is everything that `query` does between embedding the text and looking up the items: the exact softmax over every
key, its entropy, the top 10. "numpy" and "torch" do this without the entropy; faiss and usearch only find the top 10.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable

import faiss
import numpy as np
import torch
import usearch.index

from attnsearch import threads
from attnsearch.attention.projections import identity
from attnsearch.engines.pieces import BLOCK, cut_pieces
from attnsearch.opening.index import Index
from attnsearch.search.scoring import fold_queries
from benchmarks import made
from benchmarks.measure import heading, in_turn, ratio, table, timed

TOP = 10


def main() -> None:
    """Print a table for each size and number of queries."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    heading("Warm scan, 384 wide", "faiss-cpu", "usearch", "torch")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ATTNSEARCH_HOME"] = folder
            made.index("made", size)
            with Index.open("made") as index:
                for count in (1, 100):
                    seconds = in_turn(
                        {name: timed(run) for name, run in runs(index, count).items()},
                        arguments.rounds if count == 1 else max(arguments.rounds // 3, 1),
                    )
                    ours, reading = seconds["attnsearch"], seconds.get("reading the keys")
                    print(f"### {size:,} keys, {count} {'query' if count == 1 else 'queries at once'}\n")
                    rows = [
                        (name, statistics.median(times) * 1000 / count, ratio(times, ours),
                         ratio(times, reading) if reading else "")
                        for name, times in seconds.items()
                    ]  # fmt: skip
                    table(("", "ms a query", "times ours", "times reading"), rows)


def runs(index: Index, count: int) -> dict[str, Callable[[], object]]:
    """The calls to time, by name. Checks that they all find the same top 10."""
    blocks = [block.x for block in index.store.blocks()]
    keys = np.concatenate(blocks)
    rng = np.random.default_rng(1)
    x = index.encoder.encode([f"science fiction {n}" for n in range(count)], "query")
    x += rng.standard_normal(x.shape, np.float32) * np.float32(0.02)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    projections = identity(384)
    by_faiss, by_torch, queries = faiss.IndexFlatIP(384), torch.from_numpy(keys), torch.from_numpy(x)
    by_faiss.add(keys)
    faiss.omp_set_num_threads(threads.count())

    def read() -> None:
        pieces = cut_pieces(index.store.segments, BLOCK)
        list(threads.each(lambda piece: index.store.block(*piece).x.max(), pieces))

    def ours() -> np.ndarray:
        return index.engine.attend(fold_queries(projections, x), k=TOP).attention.top_keys

    def by_numpy() -> np.ndarray:
        z = x @ keys.T * np.float32(20)
        weights = np.exp(z - z.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        top = np.argpartition(weights, -TOP, axis=1)[:, -TOP:]
        return np.take_along_axis(top, np.take_along_axis(-weights, top, 1).argsort(axis=1), 1)

    def softmax() -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(queries @ by_torch.T * 20, dim=1).topk(TOP, dim=1).indices.numpy()

    def exact() -> np.ndarray:
        matches = usearch.index.search(keys, x if count > 1 else x[0], TOP, usearch.index.MetricKind.IP, exact=True)
        return np.atleast_2d(matches.keys)

    answers = {
        "attnsearch": ours,
        "numpy": by_numpy,
        "torch": softmax,
        "faiss IndexFlatIP": lambda: by_faiss.search(x, TOP)[1],
        "usearch exact": exact,
    }
    expected = ours()
    for name, run in answers.items():
        if not (np.sort(run(), axis=1) == np.sort(expected, axis=1)).all():
            raise SystemExit(f"{name} finds other keys than attnsearch")
    return {"reading the keys": read, **answers} if count == 1 else dict(answers)


if __name__ == "__main__":
    main()
