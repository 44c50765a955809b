"""SIGKILL at random moments: nothing that was acknowledged is lost, nothing is half there, and it goes on."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.torture.driver import Nursery
from tests.torture.verifier import Violation, verify

FRESH = 8  # every so many kills begin with no home at all
SPAN = 0.3, 0.08  # seconds within which the moment lies: of several commits, or of the first


def kill(work: Path, seed: int, kills: int) -> str:
    """Kill a writer `kills` times; a summary."""
    chance = random.Random(seed)
    home, source = work / "kill", work / "kill.jsonl"
    last, acknowledged, between = -1, 0, 0
    with Nursery() as nursery:
        for number in range(kills):
            fresh = number % FRESH == 0
            if fresh:
                shutil.rmtree(home, ignore_errors=True)
                last = -1
            moment = chance.uniform(0.0, SPAN[fresh])
            outcome = nursery.run(home, source, first=last + 1, kill_after=moment)
            if outcome.status != -9 or outcome.of("error") or outcome.of("crash"):
                raise Violation(f"kill {number}: the writer ended by itself: {outcome}")
            acknowledged += len(outcome.acknowledged)
            least = max([last, *outcome.acknowledged])
            try:
                found = verify(home, source, least, least + 1)
            except Violation as violation:
                raise Violation(f"kill {number} (seed {seed}), after {moment:.4f} s: {violation}") from violation
            between += found - 1 > least
            last = found
    return f"{kills} kills, {acknowledged} commits acknowledged, {between} more made but not yet acknowledged"
