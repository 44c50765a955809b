"""The process that writes, and is killed: one catalog, from generation to generation, each acknowledged on stdout.

`python -m tests.torture.driver HOME --source FILE --first G` does that and nothing else. With `--serve` the process
reads jobs, a JSON object a line, and does each in a child of its own, so that no child has to import anything first.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple, Self

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a child has only the thread that forked it

import attnsearch.cli.app  # noqa: F401 (so that no child has to import it)
from attnsearch import cli
from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from tests.conftest import SmallEncoder
from tests.torture import generations
from tests.torture.verifier import NAME, Violation, answer

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0  # seconds that a child may take
FOREVER = 1_000_000


class Outcome(NamedTuple):
    """What a child said, line by line, and on stderr; how it ended: its exit code, or minus a signal."""

    said: list[list[Any]]
    errors: str
    status: int

    @property
    def acknowledged(self) -> list[int]:
        return [rest[0] for word, *rest in self.said if word == "ack"]

    def of(self, word: str) -> list[Any]:
        """What followed a word, each time it was said."""
        return [rest[0] for said, *rest in self.said if said == word]


class Nursery:
    """Starts children one after the other, and ends them in time. Used as a context manager."""

    def __init__(self, preload: Path | None = None) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        argv = [sys.executable, "-m", "tests.torture.driver", "--serve"]
        self._process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, home: Path, source: Path, **job: Any) -> None:
        """Start a child; `work` says what a job may hold."""
        assert self._process.stdin
        self._limit = job.get("limit", LIMIT) + 30
        words = json.dumps({"home": str(home), "source": str(source), **job}, default=str)
        self._process.stdin.write(words.encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> Outcome:
        """Wait for it."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], self._limit)[0]:
            raise Violation("a child, and whoever should have ended it, hang")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        outcome = Outcome(**json.loads(line))
        if outcome.of("late"):
            raise Violation(f"a child hung: {outcome.said[-5:]}, {outcome.errors[-500:]}")
        return outcome

    def wait_for(self, file: Path) -> None:
        """Until a child made the file."""
        end = time.monotonic() + LIMIT
        while not file.exists():
            if time.monotonic() > end:
                raise Violation(f"a child never came to make {file.name}")
            time.sleep(0.01)

    def run(self, home: Path, source: Path, **job: Any) -> Outcome:
        """Start a child and wait for it."""
        self.begin(home, source, **job)
        return self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()


def say(*words: Any) -> None:
    """One line on stdout, in one piece and at once."""
    os.write(1, json.dumps(words).encode() + b"\n")


def drive(
    source: Path, first: int = 0, count: int = FOREVER, step: int = 1, name: str = NAME, pause: float = 0.0
) -> None:
    """Update the catalog to the generations from `first` on, `step` apart, one every `pause` seconds."""
    for g in range(first, first + count * step, step):
        began = time.monotonic()
        generations.write(source, g)
        say("begin", g, time.monotonic())
        update([str(source)], name=name)
        say("ack", g, time.monotonic())
        note(f"ack {g}")
        time.sleep(max(0.0, pause - (time.monotonic() - began)))


def note(words: str) -> None:
    """Into the trace, if one is kept."""
    library = ctypes.CDLL(None)
    if hasattr(library, "torture_note"):
        library.torture_note(words.encode())


def work(job: dict[str, Any]) -> int:
    """Do a job: `drive` with what it says, or `remove`; faults.c told to `watch`, `arm` and `trace` what it says.

    With `reader` a reader keeps the first snapshot, so that SQLite's log only grows, and answers at the end. With
    `hold` the encoder makes the file `announce`, and takes so many seconds.
    """
    os.environ["ATTNSEARCH_HOME"] = job["home"]
    hold = job.get("hold", 0.0)

    class Slow(SmallEncoder):
        def encode(self, texts, role="key", progress=None):
            if hold:  # embedding happens under the lock
                Path(job["announce"]).touch()
                time.sleep(hold)
            return super().encode(texts, role, progress)

    loading.load = lambda name=None, **how: Slow()
    logging.getLogger("attnsearch").addHandler(_Said())
    library = ctypes.CDLL(None)
    if "watch" in job:
        library.torture_watch(job["watch"].encode())
        library.torture_arm(*(ctypes.c_long(number) for number in job.get("arm", (0, 0, 0, 0, 0))))
        if "trace" in job:
            library.torture_trace(job["trace"].encode())
    try:
        if job.get("remove"):
            say("exit", int(cli.main(["remove", NAME])))
        else:
            reader = Index.open(NAME) if job.get("reader") else None
            drive(
                Path(job["source"]),
                **{key: job[key] for key in ("first", "count", "step", "name", "pause") if key in job},
            )
            if reader:
                say("reads", answer(reader, generations.QUERIES[0]))
                reader.close()
    except AttnsearchError as error:
        say("error", str(error), type(error).__name__)
    except Exception:  # noqa: BLE001 (that is the finding)
        say("crash", traceback.format_exc())
    finally:
        if "watch" in job:
            library.torture_watch(b"")
            say("calls", library.torture_calls(), library.torture_fired())
    return 0


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say("warning", record.getMessage())


def serve() -> None:
    """Do the jobs on stdin, one after the other."""
    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryFile() as errors:
            ours, theirs = os.pipe()
            pid = os.fork()
            if not pid:
                _child(job, ours, theirs, errors.fileno())
            os.close(theirs)
            said = _listen(pid, ours, job)
            _, status = os.waitpid(pid, 0)
            errors.seek(0)
            told = [json.loads(one) for one in said.splitlines() if one.endswith(b"]")]
            print(
                json.dumps({
                    "said": told,
                    "errors": errors.read().decode(errors="replace"),
                    "status": os.waitstatus_to_exitcode(status),
                }),
                flush=True,
            )  # fmt: skip


def _child(job: dict[str, Any], ours: int, theirs: int, errors: int) -> None:
    try:
        os.close(ours)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(theirs, 1)
        os.dup2(errors, 2)
        os.close(theirs)
        work(job)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _listen(pid: int, stream: int, job: dict[str, Any]) -> bytes:
    """All that a child says until it ends, or is killed when the job says so, or when it takes too long."""
    said = b""
    after = job.get("kill_after")
    end = time.monotonic() + (job.get("limit", LIMIT) if after is None else after)
    while True:
        ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)  # it is our child, not yet waited for, so the number is still its own
            if after is None:
                said += b'["late"]\n'
            end += LIMIT
            continue
        some = os.read(stream, 65_536)
        if not some:
            os.close(stream)
            return said
        said += some


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home")
    parser.add_argument("--source", required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=FOREVER)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--pause", type=float, default=0.0)
    work(vars(parser.parse_args()))


if __name__ == "__main__":
    main()
