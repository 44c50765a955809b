"""What the benchmarks share: things timed in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeVar

from attnsearch.sources.items import key_text

Name = TypeVar("Name")
Result = TypeVar("Result")

BIN = Path(sys.executable).parent
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("nl2bash_tldr", "recipe_mpr", "scifact", "cranfield", "gutenberg_books")


class Judged(NamedTuple):
    """A judged set: the items' key texts and titles, the queries, and each (query, item)'s grade, by their places."""

    items: list[str]
    titles: list[str]
    queries: list[str]
    grades: dict[int, dict[int, float]]


def judged(name: str) -> Judged:
    """One of `SETS`."""
    items = [json.loads(line) for line in (DATA / name / "corpus.jsonl").read_text().splitlines()]
    asked = [json.loads(line) for line in (DATA / name / "queries.jsonl").read_text().splitlines()]
    of_item = {item["id"]: at for at, item in enumerate(items)}
    of_query = {query["id"]: at for at, query in enumerate(asked)}
    grades: dict[int, dict[int, float]] = {}
    for line in (DATA / name / "qrels.tsv").read_text().splitlines()[1:]:
        query, item, grade = line.split("\t")
        grades.setdefault(of_query[query], {})[of_item[item]] = float(grade)
    texts = [key_text(item["title"], item["description"], item) for item in items]
    return Judged(texts, [item["title"] for item in items], [query["text"] for query in asked], grades)


def in_turn(runs: Mapping[Name, Callable[[], Result]], rounds: int) -> dict[Name, list[Result]]:
    """What each of `runs` returned, run one after the other `rounds` times, after one round that does not count."""
    found: dict[Name, list[Result]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            one = run()
            if number:
                found[name].append(one)
    return found


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """The same, to return how many seconds it took."""

    def seconds() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return seconds


class Took(NamedTuple):
    """What a process took."""

    seconds: float
    mib: float


# A process of its own, since what a child is said to have used at most includes what its parent had when it forked.
_WATCH = """
import os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - began, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""


def process(argv: Sequence[str | Path], **env: str) -> Took:
    """Run a command, with its output thrown away."""
    watch = [sys.executable, "-I", "-S", "-c", _WATCH, *argv]
    told = subprocess.run(watch, env={**os.environ, **env}, capture_output=True, text=True, check=True).stdout.split()
    if told[2] != "0":
        raise subprocess.CalledProcessError(int(told[2]), [str(word) for word in argv])
    return Took(float(told[0]), float(told[1]))


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of the pairs."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    print()


def heading(title: str, *packages: str) -> None:
    """Print what is measured, on which machine, with which versions."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    print(f"## {title}\n")
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", *packages))
    print(f"{os.cpu_count()} × {model}, Python {platform.python_version()}, {versions}\n")
