"""What the benchmarks share: judged data, tables, and timing in turn, so that other load affects all runs equally."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeVar

from attnsearch.sources.items import key_text
from attnsearch.sources.recognition import SAMPLE, Survey, choose_fields

Name = TypeVar("Name")
Result = TypeVar("Result")

BIN = Path(sys.executable).parent
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("nl2bash_tldr", "recipe_mpr", "scifact", "cranfield", "gutenberg_books")


class Judged(NamedTuple):
    """A judged set: key texts and titles of its items, its queries, and grades by query number and item number."""

    items: list[str]
    titles: list[str]
    queries: list[str]
    grades: dict[int, dict[int, float]]


@contextmanager
def judged_sets(parser: argparse.ArgumentParser, what: str, *packages: str) -> Iterator[argparse.Namespace]:
    """The options of a benchmark on judged sets: the parser's, `sets`, and `home`, where catalogs lie meanwhile.

    Prints the heading of `what` is measured, with the versions of these packages. Ends the program without the data.
    """
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--home", type=Path, help="keep the indexes here, for another run")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading(what, *packages)
    with tempfile.TemporaryDirectory() as folder:
        arguments.home = (arguments.home or Path(folder)).resolve()
        arguments.home.mkdir(exist_ok=True)
        os.environ["ATTNSEARCH_HOME"] = str(arguments.home)
        yield arguments


def judged(name: str) -> Judged:
    """Read one of `SETS`."""
    items = [json.loads(line) for line in (DATA / name / "corpus.jsonl").read_text().splitlines()]
    queries = [json.loads(line) for line in (DATA / name / "queries.jsonl").read_text().splitlines()]
    item_numbers = {item["id"]: number for number, item in enumerate(items)}
    query_numbers = {query["id"]: number for number, query in enumerate(queries)}
    grades: dict[int, dict[int, float]] = {}
    for line in (DATA / name / "qrels.tsv").read_text().splitlines()[1:]:
        query, item, grade = line.split("\t")
        grades.setdefault(query_numbers[query], {})[item_numbers[item]] = float(grade)
    fields = choose_fields(Survey(items[:SAMPLE]), name)
    texts = [key_text(item["title"], item["description"], item, fields) for item in items]
    return Judged(texts, [item["title"] for item in items], [query["text"] for query in queries], grades)


def in_turn(runs: Mapping[Name, Callable[[], Result]], rounds: int) -> dict[Name, list[Result]]:
    """Run all of `runs` one after the other, `rounds` times and once before to warm up: the results of each."""
    results: dict[Name, list[Result]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            result = run()
            if number:
                results[name].append(result)
    return results


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """Wrap a call so that it returns the seconds that it took."""

    def seconds() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return seconds


class Cost(NamedTuple):
    """What a process took: seconds, its peak memory, and seconds of processors."""

    seconds: float
    mib: float
    cpu: float


# A small process of its own: a child's peak memory includes what its parent held when it forked.
_WATCH = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
cpu = usage.ru_utime + usage.ru_stime
print(seconds, usage.ru_maxrss / 1024, cpu, os.waitstatus_to_exitcode(status))
"""


def process(argv: Sequence[str | Path], **env: str) -> Cost:
    """Run a command and discard its output."""
    watch = [sys.executable, "-I", "-S", "-c", _WATCH, *argv]
    report = subprocess.run(watch, env={**os.environ, **env}, capture_output=True, text=True, check=True).stdout
    seconds, mib, cpu, code = report.split()
    if code != "0":
        raise subprocess.CalledProcessError(int(code), [str(word) for word in argv])
    return Cost(float(seconds), float(mib), float(cpu))


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the pairs' ratios."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    print()


def heading(title: str, *packages: str) -> None:
    """Print the title, the machine and the versions."""
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
