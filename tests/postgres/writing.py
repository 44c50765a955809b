"""`attnsearch index` into a database, in a process of its own, which waits at a phase of the run until it is let go.

    python -m tests.postgres.writing FILE URL PHASE

It writes "there" when it is at the phase, and goes on when it reads a line; then it writes what it embedded.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

PHASES = {  # a phase: what is about to be called in it
    "begun": "attnsearch.indexing.update.resolve_target",
    "read": "attnsearch.postgres.writer.DatabaseWriter.take_items",
    "embedded": "attnsearch.postgres.writer.DatabaseWriter.commit",
    "keys": "attnsearch.postgres.rows.copy_keys",
    "items": "attnsearch.postgres.mirror.new_items",
    "postings": "attnsearch.postgres.rows.settle_postings",
    "info": "attnsearch.postgres.rows.write_info",
    "committed": "attnsearch.indexing.checkpoint.Checkpoint.discard",
}


@contextmanager
def writing(path: Path, url: str, phase: str):
    """The process, at the phase; it is killed in the end if it still runs."""
    arguments = [sys.executable, "-m", "tests.postgres.writing", str(path), url, phase]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _write(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(path: str, url: str, phase: str) -> None:
    import importlib

    from attnsearch.calibration import calibrate
    from attnsearch.encoding import loading
    from attnsearch.indexing.update import update
    from attnsearch.postgres.place import DatabasePlace
    from tests.conftest import SmallEncoder

    encoder = SmallEncoder()
    loading.load = lambda name=None, **options: encoder
    calibrate.calibrate_if_new = lambda *arguments: None
    module, *names, name = PHASES[phase].rsplit(".", 2 if PHASES[phase].split(".")[-2][0].isupper() else 1)
    owner = importlib.import_module(module)
    for part in names:
        owner = getattr(owner, part)
    function = getattr(owner, name)

    def wait(*arguments, **options):
        _write("there")
        sys.stdin.readline()
        return function(*arguments, **options)

    setattr(owner, name, wait)
    report = update([path], place=DatabasePlace(url))
    _write(report.embedded)


if __name__ == "__main__":
    main(*sys.argv[1:])
