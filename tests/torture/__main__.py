"""`python -m tests.torture [--seed N] [HARNESS…]`: run the harnesses in full, all by default; a line each."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.database import database
from tests.torture.faults import faults
from tests.torture.flips import flips
from tests.torture.kill import kill, kill_commands
from tests.torture.load import load, many
from tests.torture.power import power
from tests.torture.shared import shared
from tests.torture.storm import storm
from tests.torture.verifier import Violation
from tests.torture.writers import writers

HARNESSES: dict[str, Callable[[Path, int], str]] = {
    "kill": lambda work, seed: kill(work, seed, kills=240),
    "commands": lambda work, seed: kill_commands(work, seed, kills=100),
    "faults": faults,
    "power": power,
    "flips": flips,
    "writers": writers,
    "database": database,
    "load": load,
    "many": many,
    "shared": shared,
    "storm": storm,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="Try to break what writes.")
    parser.add_argument("harness", nargs="*", metavar="HARNESS", help=f"{', '.join(HARNESSES)} (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the storm lasts (default: 600)")
    arguments = parser.parse_args()
    logging.getLogger("attnsearch").addHandler(logging.NullHandler())
    harnesses = HARNESSES | {"storm": functools.partial(storm, seconds=arguments.seconds)}
    failed = 0
    memory = Path("/dev/shm")  # no harness cuts a real disk's power, so a disk would only be slower
    for name in arguments.harness or harnesses:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as work:
            try:
                summary = harnesses[name](Path(work).resolve(), arguments.seed)
            except Violation as violation:
                failed, summary = 1, f"VIOLATION {violation}"
        print(f"{name}: {summary} ({time.monotonic() - start:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
