"""Readers beside a writer: each answer is of a generation that was current meanwhile. And ten thousand queries."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple, TextIO

from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from tests.asking import query
from tests.conftest import SmallEncoder
from tests.torture import generations
from tests.torture.driver import LIMIT, ROOT, Nursery, Outcome
from tests.torture.verifier import NAME, Violation, ask_generation, using_home, verify

PAUSE = 0.1  # seconds from one commit to the next
QUESTIONS = 5  # to each snapshot
# How many more objects Python may hold after 10,000 queries than after 1,000. A leak of one a query would be 9,000;
# without a leak the number varies by up to 160.
BLOCKS = 400
# The same for bytes, to see memory that is not Python's. The heap grows once or twice, by up to 1.1 MiB in all before
# the 8,000th opening, and then no more up to the 24,000th (measured). This limit sees a leak of 230 bytes a query.
GROWTH = 2 << 20


def load(work: Path, seed: int, seconds: float = 60.0, readers: int = 8) -> str:
    """Let readers ask while a writer commits; a summary."""
    home, source = work / "load", work / "load.jsonl"
    count = max(int(seconds / PAUSE), 2)
    with Nursery() as nursery:
        nursery.run(home, source, first=0, count=1)
        group = _Readers(work, home, seed, readers)
        try:
            group.wait()
            writer = nursery.run(home, source, first=1, count=count, pause=PAUSE, limit=seconds * 5 + LIMIT)
            answers = group.end()
        finally:
            group.process.kill()  # and its children see the end of their stdin
            group.process.wait(10)
    if len(writer.acknowledged) != count or writer.errors:
        raise Violation(f"the writer stopped: {writer.events[-3:]} {writer.errors}")
    check_currency(answers, writer)
    verify(home, source, count, count)
    seen = len({answer.generation for answer in answers})
    longest = max(answer.end - answer.start for answer in answers)
    summary = f"{readers} readers, {len(answers)} snapshots of {seen} of {count + 1} generations"
    return f"{summary}, the slowest opened after {longest:.2f} s"


class Answer(NamedTuple):
    """The generation that a reader saw, when it opened the catalog, and when it had the snapshot."""

    generation: int
    start: float
    end: float


def check_currency(answers: list[Answer], writer: Outcome) -> None:
    """Raise Violation for an answer of a generation that was not current when it was given."""
    begun, acknowledged = {0: 0.0} | writer.times("begin"), {0: 0.0} | writer.times("ack")
    for g, start, end in answers:
        # A generation can be seen from when its update begins until the next one is acknowledged.
        if begun.get(g, end + 1) > end or acknowledged.get(g + 1, end) < start:
            raise Violation(f"an answer between {start} and {end} is of generation {g}, which was not current then")


class _Readers:
    """A process and its children, which ask until their stdin is closed."""

    def __init__(self, work: Path, home: Path, seed: int, count: int) -> None:
        self._files = [work / f"reader{number}" for number in range(count)]
        self._errors = work / "readers"
        argv = [sys.executable, "-m", "tests.torture.load", str(home), "ask", str(seed), *map(str, self._files)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stderr=errors)

    def wait(self) -> None:
        """Wait until each has an answer."""
        end = time.monotonic() + LIMIT
        while not all(file.exists() and file.stat().st_size for file in self._files):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Violation(f"a reader gets no answer: {self._errors.read_text()}")
            time.sleep(0.01)

    def end(self) -> list[Answer]:
        """End them all; their answers."""
        self.process.communicate(timeout=LIMIT)
        if self.process.returncode or self._errors.stat().st_size:
            raise Violation(f"a reader: {self._errors.read_text()}")
        return [Answer(*json.loads(line)) for file in self._files for line in file.read_text().splitlines()]


def ask_all(home: Path, seed: int, files: list[Path]) -> int:
    """Start a child for each file, which writes its answers there; 0 if all of them succeed."""
    os.set_blocking(0, False)
    logging.getLogger("attnsearch").addHandler(logging.NullHandler())  # the source changes before each commit
    children = []
    for number, file in enumerate(files):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                with file.open("w") as answers:
                    ask(home, seed + number, answers)
                code = 0
            except (AttnsearchError, Violation):
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(pid)
    return max([os.waitpid(pid, 0)[1] for pid in children])


def ask(home: Path, number: int, answers: TextIO) -> None:
    """Ask until stdin is closed; write an `Answer` for each snapshot."""
    with using_home(home):
        while _stdin_is_open():
            start = time.monotonic()
            with Index.open(NAME) as index:
                end, seen = time.monotonic(), []
                for turn in range(QUESTIONS):
                    seen.append(ask_generation(index, generations.QUERIES[(number + turn) % len(generations.QUERIES)]))
                    if turn == 0:
                        print(json.dumps(Answer(seen[0], start, end)), file=answers, flush=True)
            if len(set(seen)) > 1:
                raise Violation(f"one snapshot gives answers of the generations {seen}")


def _stdin_is_open() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


class ForgetfulEncoder(SmallEncoder):
    """A small encoder that does not collect the texts it encodes."""

    def encode(self, texts, role="key", progress=None):
        x = super().encode(texts, role, progress)
        self.read.clear()
        return x


def many(work: Path, seed: int, small: int = 10_000, real: int = 10_000) -> str:
    """Ask thousands of queries in one process: of one open index, of one opened each time, of the real model."""
    lines = []
    for kind, queries in (("held", small), ("opened", small), ("real", real)):
        if queries:
            argv = [sys.executable, "-m", "tests.torture.load", str(work / kind), kind, str(queries)]
            # With its own threshold glibc returns large arrays; with the one that it adapts, it keeps some megabytes.
            environment = os.environ | {
                "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536",
            }  # fmt: skip
            process = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
            if process.returncode:
                raise Violation(f"{kind}: {process.stderr[-1000:]}")
            early, late = (Use(*numbers) for numbers in json.loads(process.stdout))
            growth = f"{late.memory - early.memory} bytes, {late.blocks - early.blocks} objects"
            if late.memory - early.memory > GROWTH or late.blocks - early.blocks > BLOCKS:
                raise Violation(f"{kind}: {queries} queries take {growth} more than {queries // 10}")
            if late.files > early.files:
                raise Violation(f"{kind}: {late.files} files open after {queries} queries, {early.files} before")
            lines.append(f"{queries} queries {kind}: {growth} more than a tenth of them")
    return "; ".join(lines)


class Use(NamedTuple):
    """What a process uses: bytes of memory, Python's memory blocks, open files."""

    memory: int
    blocks: int
    files: int


def repeat(home: Path, kind: str, queries: int) -> None:
    """Ask `queries` times; print what the process uses after a tenth of them and at the end."""
    os.environ["ATTNSEARCH_HOME"] = str(home)
    name = "library"
    if kind != "real":
        name, encoder = NAME, ForgetfulEncoder()
        loading.load = lambda name=None, **options: encoder
        source = home.with_suffix(".jsonl")
        generations.write(source, 5)
        update([str(source)], name=NAME)
    uses = []
    index = Index.open(name)
    for number in range(1, queries + 1):
        if kind == "opened":
            index.close()
            index = Index.open(name)
        text = f"{generations.QUERIES[number % 4]} {number}"  # different each time, so that a cache would grow
        if not query(index, text, k=10).hits:
            raise Violation("no answer")
        if number in (queries // 10, queries):
            gc.collect()
            files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (only their number)
            uses.append(Use(_private_memory(), sys.getallocatedblocks(), files))
    print(json.dumps(uses))


def _private_memory() -> int:
    """Bytes of memory that belong to this process alone, mapped files left out."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def main(home: str, kind: str, number: str, *files: str) -> int:
    if kind == "ask":
        return int(ask_all(Path(home), int(number), [Path(file) for file in files]) != 0)
    repeat(Path(home), kind, int(number))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
