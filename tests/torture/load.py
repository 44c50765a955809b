"""Readers beside a writer: each answer is that of a generation that was there meanwhile. And ten thousand queries."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TextIO

from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import query
from tests.conftest import SmallEncoder
from tests.torture import generations
from tests.torture.driver import LIMIT, ROOT, Nursery
from tests.torture.verifier import NAME, Violation, answer, at, verify

PAUSE = 0.1  # seconds from one commit to the next
HELD = 5  # questions to one snapshot, before a new one is taken
# Objects that Python may have more of after 10,000 queries than after 1,000: one kept by each query would be 9,000;
# by chance it is up to 160, more or fewer.
BLOCKS = 400
# Bytes of memory likewise, for what is not Python's. The heap grows once or twice, by up to 1.1 MiB in all before the
# 8,000th opening, and then no more up to the 24,000th (measured): so this is no leak, and 230 bytes a query would be.
GROWTH = 2 << 20


def load(work: Path, seed: int, seconds: float = 60.0, readers: int = 8) -> str:
    """Let readers ask while a writer commits; a summary."""
    home, source = work / "load", work / "load.jsonl"
    count = max(int(seconds / PAUSE), 2)
    with Nursery() as nursery:
        nursery.run(home, source, first=0, count=1)
        asking = _Readers(work, home, seed, readers)
        try:
            asking.wait()
            writer = nursery.run(home, source, first=1, count=count, pause=PAUSE, limit=seconds * 5 + LIMIT)
            told = asking.end()
        finally:
            asking.process.kill()  # and its children see the end of their stdin
            asking.process.wait(10)
    if len(writer.acknowledged) != count or writer.errors:
        raise Violation(f"the writer stopped: {writer.said[-3:]} {writer.errors}")
    began = {0: 0.0} | {rest[0]: rest[1] for word, *rest in writer.said if word == "begin"}
    acknowledged = {0: 0.0} | {rest[0]: rest[1] for word, *rest in writer.said if word == "ack"}
    longest, asked = 0.0, 0
    for answers in told:
        for g, start, end in answers:
            # g was there at the earliest when its update began, and until the next was acknowledged.
            if began.get(g, end + 1) > end or acknowledged.get(g + 1, end) < start:
                raise Violation(f"an answer of generation {g}, asked from {start} to {end}, is not of that time")
            longest, asked = max(longest, end - start), asked + 1
    verify(home, source, count, count)
    seen = len({g for answers in told for g, _, _ in answers})
    told = f"{readers} readers, {asked} snapshots of {seen} of {count + 1} generations"
    return f"{told}, the slowest opened after {longest:.2f} s"


class _Readers:
    """Processes that ask until their stdin is closed, the children of one."""

    def __init__(self, work: Path, home: Path, seed: int, count: int) -> None:
        self._files = [work / f"reader{number}" for number in range(count)]
        self._errors = work / "readers"
        argv = [sys.executable, "-m", "tests.torture.load", str(home), "ask", str(seed), *map(str, self._files)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stderr=errors)

    def wait(self) -> None:
        """Until each got an answer."""
        end = time.monotonic() + LIMIT
        while not all(file.exists() and file.stat().st_size for file in self._files):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Violation(f"a reader gets no answer: {self._errors.read_text()}")
            time.sleep(0.01)

    def end(self) -> list[list[tuple[int, float, float]]]:
        """The answers of each: the generation, when it was asked for, when it was there."""
        self.process.communicate(timeout=LIMIT)
        if self.process.returncode or self._errors.stat().st_size:
            raise Violation(f"a reader: {self._errors.read_text()}")
        return [[tuple(json.loads(line)) for line in file.read_text().splitlines()] for file in self._files]


def ask_all(home: Path, seed: int, files: list[Path]) -> int:
    """Let as many children ask as there are files for their answers; 0 if all is well."""
    os.set_blocking(0, False)
    children = []
    for number, file in enumerate(files):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                with file.open("w") as said:
                    ask(home, seed + number, said)
                code = 0
            except (AttnsearchError, Violation):
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(pid)
    return max([os.waitpid(pid, 0)[1] for pid in children])


def ask(home: Path, number: int, said: TextIO) -> None:
    """Ask until stdin is closed; a line for each snapshot: its generation, when it was asked for, when it was there."""
    with at(home):
        while _open():
            start = time.monotonic()
            with Index.open(NAME) as index:
                taken, seen = time.monotonic(), []
                for turn in range(HELD):
                    seen.append(answer(index, generations.QUERIES[(number + turn) % len(generations.QUERIES)]))
                    if turn == 0:
                        print(json.dumps([seen[0], start, taken]), file=said, flush=True)
            if len(set(seen)) > 1:
                raise Violation(f"one snapshot gives answers of the generations {seen}")


def _open() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


class Forgetful(SmallEncoder):
    """Keeps no list of what it read."""

    def encode(self, texts, role="key", progress=None):
        x = super().encode(texts, role, progress)
        self.read.clear()
        return x


def many(work: Path, seed: int, small: int = 10_000, real: int = 10_000) -> str:
    """Thousands of queries in one process, each kind in its own; a summary."""
    told = []
    for kind, queries in (("held", small), ("opened", small), ("real", real)):
        if queries:
            argv = [sys.executable, "-m", "tests.torture.load", str(work / kind), kind, str(queries)]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
            if done.returncode:
                raise Violation(f"{kind}: {done.stderr[-1000:]}")
            (early, blocks_early, files_early), (late, blocks_late, files_late) = json.loads(done.stdout)
            if blocks_late - blocks_early > BLOCKS:
                raise Violation(f"{kind}: after {queries} queries {blocks_late - blocks_early} objects more")
            if late - early > GROWTH:
                raise Violation(f"{kind}: after {queries} queries {late - early} bytes more than after {queries // 10}")
            if files_late > files_early:
                raise Violation(f"{kind}: {files_late} files open after {queries} queries, {files_early} before")
            grown = f"{(late - early) / 1024:+.0f} KiB, {blocks_late - blocks_early:+d} objects"
            told.append(f"{queries} queries {kind}: {grown} since the first tenth")
    return "; ".join(told)


def repeat(home: Path, kind: str, queries: int) -> None:
    """Ask `queries` times, one open index or one opened each time; memory and files after a tenth and at the end."""
    os.environ["ATTNSEARCH_HOME"] = str(home)
    name = "library"
    if kind != "real":
        name, one = NAME, Forgetful()
        loading.load = lambda name=None, **how: one
        source = home.with_suffix(".jsonl")
        generations.write(source, 5)
        update([str(source)], name=NAME)
    seen = []
    index = Index.open(name)
    for number in range(1, queries + 1):
        if kind == "opened":
            index.close()
            index = Index.open(name)
        text = f"{generations.QUERIES[number % 4]} {number}"  # each another, so that a cache of them would be seen
        if not query(index, text, k=10).hits:
            raise Violation("no answer")
        if number in (queries // 10, queries):
            gc.collect()
            files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (no file, a count)
            seen.append((_memory(), sys.getallocatedblocks(), files))
    print(json.dumps(seen))


def _memory() -> int:
    """Bytes of this process that are in memory and nobody else's: what is mapped from files does not count."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def main(home: str, kind: str, number: str, *files: str) -> int:
    if kind == "ask":
        return int(ask_all(Path(home), int(number), [Path(file) for file in files]) != 0)
    repeat(Path(home), kind, int(number))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
