"""SIGKILL at random moments: no acknowledged commit is lost, none is half there, and the next one works."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from tests.torture import scenes
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


def kill_commands(work: Path, seed: int, kills: int) -> str:
    """Kill the commands of each of the `scenes` `kills` times, while they run or just after; a summary."""
    chance = random.Random(seed)
    box, source, acknowledged, done = work / "box", work / "kill.jsonl", 0, 0
    with Nursery() as nursery:
        every = scenes.make_scenes(work, nursery)
        for scene in every:
            span = 0.0
            for number in range(kills + 1):
                shutil.rmtree(box, ignore_errors=True)
                shutil.copytree(scene.start, box)
                if number == 0:
                    start = time.monotonic()
                    nursery.run(box / "home", source, **scene.job)
                    span = time.monotonic() - start
                    continue
                moment = chance.uniform(0.0, span)
                outcome = nursery.run(box / "home", source, kill_after=moment, **scene.job)
                if outcome.values("crash") or any(outcome.values("exit")) or outcome.status not in (-9, 0):
                    raise Violation(f"{scene.name}: ended by itself: {outcome}")
                least = max([0, *outcome.acknowledged])
                acknowledged += least
                done += outcome.status == 0
                try:
                    scene.verify(box / "home", source, least, min(least + 1, scene.after))
                except Violation as violation:
                    raise Violation(f"{scene.name} (seed {seed}), after {moment:.4f} s: {violation}") from violation
    killed = kills * len(every) - done
    return f"{killed} kills of {len(every)} scenes, {acknowledged} commands acknowledged before"
