"""Many queries from a pipe, as whole processes: attnsearch, and ten lines of sentence-transformers.

Both answer the same short queries over the same items, embedded before, with the same model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnsearch.encoding import loading
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table

WORDS = 4  # of a query


class Answers(NamedTuple):
    """Seconds until the first line of answers, until all of them, and of these, what the process says it loaded."""

    first: float
    all: float
    loading: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=1_000)
    arguments = parser.parse_args()
    heading(f"{arguments.queries:,} queries from a pipe, {arguments.items:,} items", "sentence-transformers", "torch")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        argvs = prepare(home, arguments.items)
        os.environ["ATTNSEARCH_HOME"] = folder
        texts = [text.split() for text in made.texts(arguments.queries)]
        queries = "".join(" ".join(words[n % 7 : n % 7 + WORDS]) + "\n" for n, words in enumerate(texts))
        runs = in_turn({name: partial(answer, argv, queries) for name, argv in argvs.items()}, arguments.rounds)
    theirs = runs["ten lines"]
    rows = []
    for name, answers in runs.items():
        whole = [run.all for run in answers]
        rows.append((
            name,
            statistics.median(run.first for run in answers),
            statistics.median(whole),
            ratio([run.all for run in theirs], whole),
            ratio([run.all - run.loading for run in theirs], whole),
        ))  # fmt: skip
    table(("process", "first answer, s", "all, s", "ten lines ÷ it", "ten lines without loading ÷ it"), rows)


def prepare(home: Path, count: int) -> dict[str, list[str | Path]]:
    """Index the items; the command lines that answer queries."""
    model = loading.load()
    items, embeddings = home / "items.jsonl", home / "x.npy"
    made.jsonl(items, count)
    process([BIN / "attnsearch", "index", items, "-q"], ATTNSEARCH_HOME=str(home))
    np.save(embeddings, model.encode(list(made.texts(count))))
    ask = [BIN / "attnsearch", "query", "-", "-c", "items"]
    script = Path(__file__).with_name("ten_lines_piped.py")
    return {
        "attnsearch query -": ask,
        "attnsearch query - --jsonl": [*ask, "--jsonl"],
        "attnsearch query - --format csv": [*ask, "--format", "csv"],
        "ten lines": [sys.executable, script, model.model.folder, items, embeddings],
    }


def answer(argv: Sequence[str | Path], queries: str) -> Answers:
    """Give a process the queries, and read its answers."""
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as errors,
    ):
        stdin.write(queries)
        stdin.seek(0)
        with subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=errors) as child:
            assert child.stdout
            child.stdout.readline()
            first = time.perf_counter() - start
            child.stdout.read()
        whole = time.perf_counter() - start
        errors.seek(0)
        last = (errors.read().split() or ["0"])[-1]
    assert child.returncode == 0, argv
    return Answers(first, whole, float(last) if last.replace(".", "").isdigit() else 0.0)


if __name__ == "__main__":
    main()
