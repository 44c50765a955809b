"""What a catalog and a query weigh: bytes on disk, in the memory of who asks, and between machines.

Keys of made catalogs are 384 numbers wide. A query between machines is pickled as Dask does it; nothing is sent but for
the table of tasks: there a cluster gets more and smaller ones than it would, to see what one costs.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import statistics
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attnsearch import threads
from attnsearch.attention.projections import identity
from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.packing import Record
from attnsearch.cluster.part import answer
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.pieces import PIECE, Cut
from attnsearch.opening.index import Index
from attnsearch.postings.conditions import Where
from attnsearch.postings.filters import parse_filter
from attnsearch.postings.vocabulary import collect_all
from attnsearch.search.scoring import fold_queries, score
from attnsearch.search.setting import Setting
from attnsearch.storage import home
from attnsearch.storage.files import folder_size
from benchmarks import made
from benchmarks.indexing import costed
from benchmarks.measure import heading, in_turn, table

SIZES = (100_000, 1_000_000)
TEXT = "the ocean at night"
TASKS = 64  # of the same keys
TEXTS = 1_600
LARGER = (10**6, 10**7, 10**8, 10**9)
MEMORY = 20  # GB of keys on each machine
ROWS = (
    "keys, GB",
    "database and postings, GB",
    "machines that hold the keys",
    "reading them there for one query, s",
    "for one of 100 at once, s",
    "to the workers, a query, MB",
    "with --lexical --where, MB",
    "back from them, MB",
    "tasks",
    "CPU s of who hands them out",
    "memory of who asks, --lexical --where, GB",
    "embedding, core hours, short texts",
    "long texts",
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--home", type=Path, help="keep the indexes here, for another run")
    parser.add_argument("--on", default=f"local:{threads.count()}", help="the cluster of the last table")
    arguments = parser.parse_args()
    heading("Sizes", "distributed")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str((arguments.home or Path(folder)).resolve())
        names = [f"n{size}" for size in arguments.sizes]
        for name, size in zip(names, arguments.sizes, strict=True):
            if not home.catalog_exists(home.catalog_folder(name)):
                made.index(name, size)
        disk = [weigh_disk(name) for name in names]
        print("Bytes an item, on disk\n")
        table(("items", "segments", "database", "keys", "terms", "words", "`year`", "all"), disk)
        weighed: list[Sequence[Any]] = []
        for name, size in zip(names, arguments.sizes, strict=True):
            print(f"### {size:,} items\n")
            weigh_query(name, *queries()[-1])  # imports what all need
            weighed = [weigh_query(name, *options) for options in queries()]
            table(("", "memory, MiB", "bytes a key", "tasks", "KiB there", "of a task", "KiB back"), weighed)
        with Index.open(names[0]) as index:
            tasks = time_tasks(index, arguments.on)
            table(("tasks", "ms", "CPU ms here", "ms of each more", "CPU ms"), tasks)
            texts = [*embed(index)]
            table(("words of a text", "word pieces", "CPU ms a text", "texts a second of one core"), texts)
        scans = [time_scan(names[-1], count) for count in (1, 100)]
        print(f"ms a query of {names[-1][1:]} keys: {scans[0]:.3g} alone, {scans[1]:.3g} of 100 at once\n")
        print("### What follows: arithmetic\n")
        columns = [follow(n, arguments.sizes[-1], disk[-1], weighed, tasks[-1], texts, scans) for n in LARGER]
        table(("", *(f"{n:.0e}" for n in LARGER)), zip(ROWS, *columns, strict=True))


def weigh_disk(name: str) -> Sequence[Any]:
    """The bytes an item of each part of a catalog."""
    folder = home.catalog_folder(name)
    with Index.open(name) as index:
        index.postings.ensure(["year"], terms=True)
        collect_all(index.store)
        items, segments = index.info.items, len(index.store.segments)
    files = [*(folder / "postings").iterdir()]
    of_kinds = [sum(file.stat().st_size for file in files if f".{kind}-" in file.name)
                for kind in ("terms", "words", "field")]  # fmt: skip
    sizes = (folder / "index.sqlite").stat().st_size, folder_size(folder / "segments"), *of_kinds
    return f"{items:,}", segments, *(round(size / items) for size in (*sizes, sum(sizes)))


def queries() -> list[tuple[str, int, Setting, bool, bool]]:
    """What is asked: by name, how many requests, how, with the output, and whether items have passages."""
    where: tuple[Where, ...] = (parse_filter("year >= 1960"),)
    return [
        ("no option", 1, Setting(), False, False),
        ("--output", 1, Setting(), True, False),
        ("100 requests", 100, Setting(), False, False),
        ("--where 'year >= 1960'", 1, Setting(where=where), False, False),
        ("--where 'year >= 1960', two passages each", 1, Setting(where=where), False, True),
        ("--lexical", 1, Setting(lexical=0.3), False, False),
        ("--lexical --where", 1, Setting(lexical=0.3, where=where), False, False),
        ("--lexical, 100 requests", 100, Setting(lexical=0.3), False, False),
        ("--prior year", 1, Setting(priors={"year": 1.0}), False, False),
    ]


def weigh_query(name: str, what: str, count: int, setting: Setting, output: bool, has_passages: bool) -> Sequence[Any]:
    """The most memory that resolving a query takes in a new process, as numpy has it; and its tasks and answers."""
    sizes: list[tuple[int, int]] = []

    def ask(tasks: Sequence[Record]) -> list[Record]:
        answers = [answer(task) for task in tasks]
        pairs = zip(tasks, answers, strict=True)
        sizes.extend((len(pickle.dumps(task, 5)), len(pickle.dumps(back, 5))) for task, back in pairs)
        return answers

    texts = [TEXT] if count == 1 else [f"{TEXT} {number}" for number in range(count)]
    with Index.open(name, vectors=False) as index:
        store = index.store
        if has_passages:
            marks = [np.arange(row.rows) % 2 == 1 for row in store.segments]
            store.segments = [row._replace(joined=joined) for row, joined in zip(store.segments, marks, strict=True)]
        tracemalloc.start()
        asked = setting._replace(spell=False).resolve(index, texts)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        score(RemoteEngine(store, ask), asked, index.encoder.encode(texts, "query"), k=10, output=output)
        size = store.size
    there, back = (sum(column) / 2**10 for column in zip(*sizes, strict=True))
    return what, most / 2**20, most / size, len(sizes), there, there / len(sizes), back


def time_tasks(index: Index, address: str) -> list[Sequence[Any]]:
    """What a query over a cluster takes in few tasks and in many, of the same keys; and what each more takes.

    The scheduler of local:N is in this process, so its CPU time is that of whoever asks and of the scheduler.
    """
    x = np.random.default_rng(1).standard_normal((1, 384), np.float32)
    q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
    cluster = Cluster(address)
    counts: list[int] = []

    def ask(tasks: Sequence[Record]) -> Sequence[Record]:
        counts.append(len(tasks))
        return cluster.ask(tasks)

    runs: dict[int, Callable[[], tuple[float, float]]] = {}
    for count in (4, TASKS):
        engine = RemoteEngine(index.store, ask, cut=Cut(piece=index.store.size // count))
        engine.attend(q)
        runs[counts[-1]] = costed(partial(engine.attend, q, k=10))
    few, many = costs = in_turn(runs, 15)
    cluster.close()
    ms = {tasks: [1e3 * statistics.median(column) for column in zip(*each, strict=True)]
          for tasks, each in costs.items()}  # fmt: skip
    more = [(after - before) / (many - few) for before, after in zip(ms[few], ms[many], strict=True)]
    return [(few, *ms[few], "", ""), (many, *ms[many], *more)]


def embed(index: Index) -> Iterator[Sequence[Any]]:
    """What embedding costs, by the length of texts."""
    short = [*made.texts(TEXTS)]
    for texts in (short, [" ".join(short[start : start + 8]) for start in range(0, TEXTS, 8)]):
        words, pieces = (statistics.mean(map(len, map(split, texts))) for split in (str.split, index.encoder.tokens))
        cpu = min(cost for _, cost in (costed(partial(index.encoder.encode, texts))() for _ in range(3)))
        yield round(words), round(pieces), 1e3 * cpu / len(texts), round(len(texts) / cpu)


def time_scan(name: str, count: int) -> float:
    """The ms that a query takes among so many at once, all on this machine."""
    x = np.random.default_rng(1).standard_normal((count, 384), np.float32)
    q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
    with Index.open(name) as index:
        times = in_turn({0: costed(partial(index.engine.attend, q, k=10))}, 7 if count == 1 else 3)[0]
    return 1e3 * statistics.median(seconds for seconds, _ in times) / count


def follow(
    n: int,
    size: int,
    disk: Sequence[Any],
    weighed: Sequence[Sequence[Any]],
    task: Sequence[Any],
    texts: Sequence[Sequence[Any]],
    scans: Sequence[float],
) -> list[float]:
    """What n items take by what was measured of `size`: the column of the table."""
    ratio = n / size
    keys, others = n * disk[3] / 1e9, n * (disk[-1] - disk[3]) / 1e9
    machines = math.ceil(keys / MEMORY)
    alone, of_many = (ms * ratio / 1e3 / machines for ms in scans)
    of = {row[0]: row for row in weighed}
    plain, both = of["no option"], of["--lexical --where"]
    tasks = math.ceil(n / PIECE)
    to_workers = (1024e-6 * row[4] * ratio for row in (plain, both))
    hours = (n * row[2] / 3.6e6 for row in texts)
    return [keys, others, float(machines), alone, of_many, *to_workers, 1024e-6 * plain[6] * ratio, float(tasks),
            tasks * task[-1] / 1e3, both[2] * n / 1e9, *hours]  # fmt: skip


if __name__ == "__main__":
    main()
