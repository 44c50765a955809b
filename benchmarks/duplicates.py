"""The duplicates of a catalog: ours against plain blocks of numpy, and paraphrase mining of sentence-transformers.

Ours is the whole command: it opens the catalog, reads every item, compares and prints. The peers compare keys that are
in memory already. All three find no pair, since the keys are random, so that every pair has to be compared. Then come
items that are all alike, of which there are n²/2 pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile

import numpy as np
import torch
from sentence_transformers import util
from threadpoolctl import threadpool_limits

from attnsearch import threads
from attnsearch.storage import home
from attnsearch.storage.store import Store
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table, timed

MIN_SCORE = 0.95
BLOCK = 4_096
ATTNSEARCH = str(BIN / "attnsearch")


def main() -> None:
    """Print a table for each size, and one for items that are all alike."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    arguments = parser.parse_args()
    heading("Duplicates, 384 wide", "sentence-transformers", "torch")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = folder
        for size in arguments.sizes:
            name = f"made-{size}"
            made.index(name, size)
            with Store(home.catalog_folder(name)) as store:
                keys = np.concatenate([block.x for block in store.blocks()])
            runs = {
                "attnsearch duplicates": lambda name=name: process([ATTNSEARCH, "duplicates", name]).seconds,
                "numpy, all cores": timed(lambda keys=keys: by_numpy(keys)),
                "paraphrase mining": timed(lambda keys=keys: by_mining(keys)),
            }
            seconds = in_turn(runs, arguments.rounds)
            ours = seconds["attnsearch duplicates"]
            print(f"### {size:,} items, no two of them alike\n")
            table(("", "s", "times ours"), [(n, statistics.median(t), ratio(t, ours)) for n, t in seconds.items()])
        costs = []
        for count, noise in ((20_000, 0.0), (20_000, 0.001), *((size, None) for size in arguments.sizes)):
            name = f"alike-{count}-{noise}"
            made.index(name, count, noise=noise)
            cost = process([ATTNSEARCH, "duplicates", name])
            alike = {None: "no two alike", 0.0: "all equal vectors"}.get(noise, "all near")
            costs.append((f"{count:,} items, {alike}", cost.seconds, cost.mib))
        table(("", "s", "MiB"), costs)


def by_numpy(keys: np.ndarray) -> int:
    """Every pair once, in blocks, by numpy's own threads; the pairs are counted."""
    count = 0
    with threadpool_limits(threads.count()):
        for first in range(0, len(keys), BLOCK):
            for second in range(0, first + 1, BLOCK):
                z = keys[first : first + BLOCK] @ keys[second : second + BLOCK].T
                count += int((z >= MIN_SCORE).sum())
    return count


def by_mining(keys: np.ndarray) -> int:
    """sentence-transformers' own search for paraphrases, of embeddings."""
    torch.set_num_threads(threads.count())
    return len(util.paraphrase_mining_embeddings(torch.from_numpy(keys)))


if __name__ == "__main__":
    main()
