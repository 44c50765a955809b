"""Two writers at once. Of one catalog, one writes and the other waits or gives up; of two catalogs, both write."""

from __future__ import annotations

from pathlib import Path

from tests.torture.driver import Nursery, Outcome
from tests.torture.verifier import NAME, Violation, check_catalog, read_generation, using_home, verify

WAIT = 30.0  # seconds that a writer waits for another
EXCESS = 10.0  # seconds more, at most, on a busy machine


def writers(work: Path, seed: int, commits: int = 100, hold: float = WAIT + 5) -> str:
    """Let two write; a summary. With `hold` over `WAIT` the second gives up."""
    return "; ".join([_share_catalog(work, commits), _use_two_catalogs(work, commits), _wait_for_other(work, hold)])


def _share_catalog(work: Path, commits: int) -> str:
    """One writes the even generations, the other the odd ones: the catalog is at the last commit of one of them."""
    home = work / "shared"
    with Nursery() as even, Nursery() as odd:
        even.begin(home, work / "even.jsonl", first=0, step=2, count=commits)
        odd.begin(home, work / "odd.jsonl", first=1, step=2, count=commits)
        outcomes = [even.end(), odd.end()]
    for outcome in outcomes:
        _expect_commits(outcome, commits)
    with using_home(home):
        generation = read_generation()
    if generation not in (ends := [outcome.acknowledged[-1] for outcome in outcomes]):
        raise Violation(f"two writers of one catalog: generation {generation}, but their last ones are {ends}")
    # Commits may be acknowledged in another order than they were made, but no commit that began later may be lost.
    (winner,) = [outcome for outcome in outcomes if outcome.acknowledged[-1] == generation]
    (loser,) = [outcome for outcome in outcomes if outcome is not winner]
    if max(winner.times("ack").values()) < max(loser.times("begin").values()):
        raise Violation(f"two writers of one catalog: generation {generation}, but the other's last began after it")
    verify(home, work / "even.jsonl", generation, generation)
    waited = sum(any("waiting for another" in text for text in outcome.values("warning")) for outcome in outcomes)
    return f"one catalog, 2 × {commits} commits, {waited} of the writers waited for the other"


def _use_two_catalogs(work: Path, commits: int) -> str:
    """Two writers of two catalogs do not wait for each other."""
    home = work / "two"
    with Nursery() as left, Nursery() as right:
        left.begin(home, work / "left.jsonl", name="left", count=commits)
        right.begin(home, work / "right.jsonl", name="right", count=commits)
        outcomes = [left.end(), right.end()]
    for outcome in outcomes:
        _expect_commits(outcome, commits)
        if any("waiting" in text for text in outcome.values("warning")):
            raise Violation(f"a writer of another catalog waits: {outcome.values('warning')}")
    for name in ("left", "right"):
        with using_home(home):
            check_catalog(name)
        verify(home, work / "left.jsonl", commits - 1, commits - 1, name)
    return f"two catalogs, 2 × {commits} commits"


def _wait_for_other(work: Path, hold: float) -> str:
    """One writer takes `hold` seconds; a second one reports that it waits, and then writes or gives up."""
    home = work / "held"
    with Nursery() as slow, Nursery() as second:
        slow.run(home, work / "slow.jsonl", first=0, count=1)
        slow.begin(home, work / "slow.jsonl", first=1, count=1, hold=hold, announce=str(work / "holds"))
        slow.wait_for(work / "holds")
        outcome = second.run(home, work / "second.jsonl", first=2, count=1)
        holder = slow.end()
    _expect_commits(holder, 1)
    if outcome.values("warning") != [f"waiting for another attnsearch to finish writing to {NAME}"]:
        raise Violation(f"a second writer does not report that it waits: {outcome}")
    (start,) = outcome.times("begin").values()
    if hold < WAIT:
        _expect_commits(outcome, 1)
        verify(home, work / "second.jsonl", 2, 2)
        waited, expected = outcome.times("ack")[2] - start, holder.times("ack")[1] - start
    else:
        if outcome.values("error") != [f"{NAME}: another attnsearch is writing to it; try again when it is done"]:
            raise Violation(f"a second writer gave up with: {outcome}")
        verify(home, work / "second.jsonl", 1, 1)
        (end,) = (event[-1] for event in outcome.events if event[0] == "error")
        waited, expected = end - start, WAIT
    if not expected - 1 <= waited <= expected + EXCESS:
        raise Violation(f"a second writer waited {waited:.1f} s, not {expected:.1f} s")
    return f"a second writer {'wrote' if hold < WAIT else 'gave up, with the reason,'} after {waited:.1f} s"


def _expect_commits(outcome: Outcome, commits: int) -> None:
    if len(outcome.acknowledged) != commits or outcome.status or outcome.errors:
        raise Violation(f"a writer did not write: {outcome.events[-3:]} {outcome.errors}")
