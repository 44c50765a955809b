"""A Dask scheduler and its workers, each a process on the loopback interface; and what tests do to the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attnsearch.cluster import part

PATIENCE = 60  # seconds until something has happened that must


def wait_until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.02)


class Machines:
    """A scheduler and plain workers, or workers with a nanny that starts another one in the place of a dead one."""

    def __init__(self, folder: Path, workers: int = 3, *, nanny: bool = False, path: str | None = None) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._path = path
        self.nanny = nanny
        self.workers: list[subprocess.Popen[bytes]] = []
        here = ["--host", "127.0.0.1"]
        self.scheduler = self._start(
            "scheduler", *here, "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", self._file
        )
        wait_until(lambda: self._file.exists() and self._file.stat().st_size > 0, "the start of the scheduler")
        for _ in range(workers):
            options = [*here, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
            options += ["--nanny" if nanny else "--no-nanny", "--scheduler-file", self._file]
            self.workers.append(self._start("worker", *options))

    @property
    def address(self) -> str:
        return str(json.loads(self._file.read_text())["address"])

    def _start(self, kind: str, *options: object) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [self._path, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, options)]
        log = (self._folder / f"{kind}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                command, cwd=self._folder, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log
            )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()  # the worker of a nanny ends with it
            process.wait()


# What workers run, by name.


def hold(folder: str) -> None:
    """Let each task of this process wait before it reads, until there is a file `go`; it notes what it reads."""
    load = part._load

    def wait_and_load(piece, *arguments):
        with (Path(folder) / "read").open("a") as log:
            log.write(f"{os.getpid()} {piece['file']} {piece['start']}\n")
        end = time.monotonic() + PATIENCE
        while not (Path(folder) / "go").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return load(piece, *arguments)

    part._load = wait_and_load


def speak(protocol: int) -> None:
    part.PROTOCOL = protocol


def lie(name: str) -> None:
    """Let this process answer as one of the `LIES` of `test_remote` does."""
    from tests.cluster import test_remote

    change, honest = getattr(test_remote, name), part.pack_state

    def once(state, first=0):
        packed = honest(state, first)
        change([{"pieces": [{"state": packed}]}])
        return packed

    part.pack_state = once
