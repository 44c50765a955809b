"""SIGKILL at random moments: no acknowledged commit is lost, none is half there, and the next one works."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.torture.driver import Nursery
from tests.torture.verifier import Violation, verify

FRESH = 8  # every eighth kill begins without a home
SPAN, FRESH_SPAN = 0.3, 0.08  # seconds within which the kill comes: enough for several commits, for the first one


def kill(work: Path, seed: int, kills: int) -> str:
    """Kill a writer `kills` times; a summary."""
    chance = random.Random(seed)
    home, source = work / "kill", work / "kill.jsonl"
    last, acknowledged, unacknowledged = -1, 0, 0
    with Nursery() as nursery:
        for number in range(kills):
            fresh = number % FRESH == 0
            if fresh:
                shutil.rmtree(home, ignore_errors=True)
                last = -1
            moment = chance.uniform(0.0, FRESH_SPAN if fresh else SPAN)
            outcome = nursery.run(home, source, first=last + 1, kill_after=moment)
            if outcome.status != -9 or outcome.values("error") or outcome.values("crash"):
                raise Violation(f"kill {number}: the writer ended by itself: {outcome}")
            acknowledged += len(outcome.acknowledged)
            least = max([last, *outcome.acknowledged])
            try:
                generation = verify(home, source, least, least + 1)
            except Violation as violation:
                raise Violation(f"kill {number} (seed {seed}), after {moment:.4f} s: {violation}") from violation
            unacknowledged += generation > least
            last = generation + 1
    return f"{kills} kills, {acknowledged} commits acknowledged, {unacknowledged} made but not yet acknowledged"
