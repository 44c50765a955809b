"""A Dask cluster on this machine against this process alone: ms a query, what it takes to start, and to index.

Queries are everything that `query` does between embedding the text and looking up the items. The smallest size has next
to nothing to compare: its difference is what a query over a running cluster costs in any case. Indexing is whole
processes, once of all items and once of nothing new, which is what it takes to start.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from attnsearch import threads
from attnsearch.attention.projections import identity
from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.opening.index import Index
from attnsearch.search.scoring import fold_queries
from benchmarks import made
from benchmarks.measure import BIN, Cost, heading, in_turn, process, ratio, table, timed


def main() -> None:
    """Print a table for each size and number of queries."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=15)
    parser.add_argument("--on", default=f"local:{threads.count()}", help="the cluster's address")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--items", type=int, default=6_000, help="how many short items to index")
    parser.add_argument("--duplicates", type=int, default=20_000, help="of how many keys duplicates are found")
    arguments = parser.parse_args()
    heading("A cluster, 384 wide", "distributed")
    start = time.perf_counter()
    cluster = Cluster(arguments.on)
    print(f"{arguments.on}: {time.perf_counter() - start:.1f} s until it answers\n")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ATTNSEARCH_HOME"] = folder
            made.index("made", size)
            with Index.open("made") as index:
                remote = RemoteEngine(index.store, cluster.ask)
                for count in (1, 100):
                    x = np.random.default_rng(1).standard_normal((count, 384), np.float32)
                    q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
                    engines = {"local": index.engine, arguments.on: remote}
                    runs = {name: timed(lambda engine=engine, q=q: engine.attend(q, k=10))
                            for name, engine in engines.items()}  # fmt: skip
                    states = [engine.attend(q, k=10).attention for engine in engines.values()]
                    if not all(np.array_equal(*pair) for pair in zip(*states, strict=True)):
                        raise SystemExit("the two differ")
                    seconds = in_turn(runs, arguments.rounds if count == 1 else max(arguments.rounds // 3, 1))
                    print(f"### {size:,} keys, {count} {'query' if count == 1 else 'queries at once'}\n")
                    table(
                        ("", "ms", "least", "times local"),
                        [
                            (name, statistics.median(times) * 1000, min(times) * 1000, ratio(times, seconds["local"]))
                            for name, times in seconds.items()
                        ],
                    )
    compare_duplicates(cluster, arguments.on, arguments.duplicates)
    cluster.close()
    compare_indexing(arguments.on, arguments.items)


def compare_duplicates(cluster: Cluster, on: str, count: int) -> None:
    """Print what it takes to compare so many keys, no two of which are alike, with one another."""
    print(f"### The duplicates of {count:,} keys\n")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = folder
        made.index("made", count)
        with Index.open("made") as index:
            keys, ones = index.store.living(), np.ones(count, np.int64)
            engines = {"local": index.engine, on: RemoteEngine(index.store, cluster.ask)}
            runs = {name: timed(lambda engine=engine: engine.group_items(keys, ones, 0.95))
                    for name, engine in engines.items()}  # fmt: skip
            seconds = in_turn(runs, 2)
    rows = [(name, statistics.median(times), ratio(times, seconds["local"])) for name, times in seconds.items()]
    table(("", "s", "times local"), rows)


def compare_indexing(on: str, count: int) -> None:
    """Print what it takes to index so many items, here and on the cluster."""
    print(f"### Indexing {count:,} short items\n")
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "items.jsonl"
        made.jsonl(source, count)
        for name, options in (("local", []), (on, ["--on", on])):
            argv = [BIN / "attnsearch", "index", source, "-q", "--precision", "float32", *options]
            costs[name] = [process(argv, ATTNSEARCH_HOME=str(Path(folder) / f"home-{len(costs)}")) for _ in range(2)]
    whole = costs["local"][0]
    rows = [(name, cost.seconds, cost.cpu, started.seconds, started.cpu, cost.seconds / whole.seconds,
             cost.cpu / whole.cpu) for name, (cost, started) in costs.items()]  # fmt: skip
    table(("", "s", "CPU s", "s, nothing new", "CPU s, nothing new", "times local", "times local, CPU"), rows)


if __name__ == "__main__":
    main()
