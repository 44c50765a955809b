"""The process that writes and is killed: it updates one catalog from generation to generation.

`python -m tests.torture.driver HOME --source FILE --first G` does that and nothing else. With `--serve`, the process
reads jobs from stdin, a JSON object a line, and does each in a child of its own, which then has nothing to import.

A child reports events on stdout, a JSON list a line: the event's name, then its values. "begin" and "ack" frame each
commit.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
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
from attnsearch.opening.index import Index
from tests.conftest import SmallEncoder
from tests.torture import generations
from tests.torture.verifier import NAME, Violation, ask_generation

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0  # seconds that a child may take
FOREVER = 1_000_000
LAZY = (  # what commands import when they need it
    "attnsearch.indexing.repair",
    "attnsearch.learning.training",
    "scipy.optimize",
    "scipy.stats",
    "Stemmer",
)


class Outcome(NamedTuple):
    """A child's events, what it wrote to stderr, and its exit code or minus the signal that ended it."""

    events: list[list[Any]]
    errors: str
    status: int

    @property
    def acknowledged(self) -> list[int]:
        return self.values("ack")

    def values(self, event: str) -> list[Any]:
        """The first value of each event of this name."""
        return [values[0] for name, *values in self.events if name == event]

    def times(self, event: str) -> dict[int, float]:
        """When each generation had this event, "begin" or "ack"."""
        return {values[0]: values[1] for name, *values in self.events if name == event}


class Nursery:
    """Starts one child after the other, and kills those that take too long. A context manager."""

    def __init__(self, preload: Path | None = None) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        argv = [sys.executable, "-m", "tests.torture.driver", "--serve"]
        self._process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, home: Path, source: Path, **job: Any) -> None:
        """Start a child; `do_job` lists what a job may hold."""
        assert self._process.stdin
        self._limit = job.get("limit", LIMIT) + 30
        line = json.dumps({"home": str(home), "source": str(source), **job}, default=str)
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> Outcome:
        """Wait for the child."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], self._limit)[0]:
            raise Violation("a child hangs, and so does the nursery that should have killed it")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        outcome = Outcome(**json.loads(line))
        if outcome.values("late"):
            raise Violation(f"a child hung: {outcome.events[-5:]}, {outcome.errors[-500:]}")
        return outcome

    def wait_for(self, file: Path) -> None:
        """Wait until a child has made the file."""
        end = time.monotonic() + LIMIT
        while not file.exists():
            if time.monotonic() > end:
                raise Violation(f"a child never made {file.name}")
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


def expect_success(outcome: Outcome) -> Outcome:
    """Return the outcome of a run without a fault, if it succeeded."""
    if outcome.status or outcome.values("error") or outcome.values("crash") or any(outcome.values("exit")):
        raise Violation(f"without a fault: {outcome}")
    return outcome


def report(event: str, *values: Any) -> None:
    """Write an event to stdout, unbuffered and in one piece."""
    os.write(1, json.dumps([event, *values]).encode() + b"\n")


def drive(
    source: Path, first: int = 0, count: int = FOREVER, step: int = 1, name: str = NAME, pause: float = 0.0
) -> None:
    """Update the catalog to `count` generations from `first` on, `step` apart, one every `pause` seconds."""
    for g in range(first, first + count * step, step):
        start = time.monotonic()
        generations.write(source, g)
        report("begin", g, time.monotonic())
        update([str(source)], name=name, heads=generations.HEADS[g % len(generations.HEADS)])
        report("ack", g, time.monotonic())
        add_note(f"ack {g}")
        time.sleep(max(0.0, pause - (time.monotonic() - start)))


def run_commands(commands: list[list[str]]) -> None:
    """Run command lines, one after the other, to the first that fails; the N-th is acknowledged as state N."""
    for number, argv in enumerate(commands, 1):
        code = int(cli.main(argv))
        report("exit", code)
        if code:
            return
        report("ack", number, time.monotonic())
        add_note(f"ack {number}")


def add_note(text: str) -> None:
    """Write a line into the trace of faults.c, if that is loaded."""
    library = ctypes.CDLL(None)
    if hasattr(library, "torture_note"):
        library.torture_note(text.encode())


def do_job(job: dict[str, Any]) -> None:
    """Do one job, and report how it went.

    home, source, first, count, step, name, pause   see `drive`
    commands       run these command lines instead
    reader         keep a reader's snapshot open meanwhile, so that SQLite's log only grows; ask it at the end
    hold, announce the encoder makes the file `announce`, then takes `hold` seconds
    watch, arm, trace   the parameters of the functions of these names in faults.c
    kill_after, limit   seconds after which the nursery kills the child: on purpose, or as one that hangs
    """
    os.environ["ATTNSEARCH_HOME"] = job["home"]
    hold = job.get("hold", 0.0)

    class Slow(SmallEncoder):
        def encode(self, texts, role="key", progress=None):
            if hold:  # embedding happens under the lock
                Path(job["announce"]).touch()
                time.sleep(hold)
            return super().encode(texts, role, progress)

    loading.load = lambda name=None, **options: Slow("twin", "6" * 64) if name == "twin" else Slow()
    logging.getLogger("attnsearch").addHandler(_ReportWarnings())
    library = ctypes.CDLL(None)
    if "watch" in job:
        library.torture_watch(job["watch"].encode())
        library.torture_arm(*(ctypes.c_long(number) for number in job.get("arm", (0, 0, 0, 0, 0))))
        if "trace" in job:
            library.torture_trace(job["trace"].encode())
    try:
        if "commands" in job:
            run_commands(job["commands"])
        else:
            reader = Index.open(NAME) if job.get("reader") else None
            drive(
                Path(job["source"]),
                **{key: job[key] for key in ("first", "count", "step", "name", "pause") if key in job},
            )
            if reader:
                report("reads", ask_generation(reader, generations.QUERIES[0]))
                reader.close()
    except AttnsearchError as error:
        report("error", str(error), type(error).__name__, time.monotonic())
    except Exception:  # noqa: BLE001 (that is the finding)
        report("crash", traceback.format_exc())
    finally:
        if "watch" in job:
            library.torture_watch(b"")
            report("calls", library.torture_calls(), library.torture_fired())


class _ReportWarnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        report("warning", record.getMessage())


def serve() -> None:
    """Do the jobs on stdin, one after the other."""
    for line in sys.stdin:
        job = json.loads(line)
        if "commands" in job:
            for module in LAZY:  # once, so that no child has to
                importlib.import_module(module)
        with tempfile.TemporaryFile() as errors:
            ours, theirs = os.pipe()
            pid = os.fork()
            if not pid:
                _run_child(job, ours, theirs, errors.fileno())
            os.close(theirs)
            output = _read_output(pid, ours, job)
            _, status = os.waitpid(pid, 0)
            errors.seek(0)
            outcome = Outcome(
                [json.loads(line) for line in output.splitlines() if line.endswith(b"]")],  # the last may be cut off
                errors.read().decode(errors="replace"),
                os.waitstatus_to_exitcode(status),
            )
            print(json.dumps(outcome._asdict()), flush=True)


def _run_child(job: dict[str, Any], ours: int, theirs: int, errors: int) -> None:
    try:
        os.close(ours)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(theirs, 1)
        os.dup2(errors, 2)
        os.close(theirs)
        do_job(job)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _read_output(pid: int, stream: int, job: dict[str, Any]) -> bytes:
    """Read a child's output until it ends; kill it after the seconds that the job gives, or when it hangs."""
    output = b""
    kill_after = job.get("kill_after")
    end = time.monotonic() + (job.get("limit", LIMIT) if kill_after is None else kill_after)
    while True:
        ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)  # our child, not yet waited for, so the number is still its own
            if kill_after is None:
                output += b'["late", null]\n'
            end += LIMIT
            continue
        chunk = os.read(stream, 65_536)
        if not chunk:
            os.close(stream)
            return output
        output += chunk


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
    do_job(vars(parser.parse_args()))


if __name__ == "__main__":
    main()
