"""Two writers at once: of one catalog, one works and the other waits, or says why not; of two, neither waits."""

from __future__ import annotations

from pathlib import Path

from tests.torture.driver import Nursery, Outcome
from tests.torture.verifier import NAME, Violation, at, checked, read, verify

WAIT = 30.0  # seconds that a writer waits for another


def writers(work: Path, seed: int, commits: int = 100, hold: float = WAIT + 5) -> str:
    """Let two write; a summary. With `hold` over `WAIT` the second gives up."""
    told = [_one_catalog(work, commits), _two_catalogs(work, commits), _one_waits(work, hold)]
    return "; ".join(told)


def _one_catalog(work: Path, commits: int) -> str:
    """One writes the even generations, the other the odd ones: the last commit of one of them is what is there."""
    home = work / "one"
    with Nursery() as even, Nursery() as odd:
        even.begin(home, work / "even.jsonl", first=0, step=2, count=commits)
        odd.begin(home, work / "odd.jsonl", first=1, step=2, count=commits)
        ended = [even.end(), odd.end()]
    for outcome in ended:
        _worked(outcome, commits)
    with at(home):
        found = read()
    if found not in (ends := [outcome.acknowledged[-1] for outcome in ended]):
        raise Violation(f"two writers of one catalog: generation {found}, where {ends} were the last")
    # Commits may be acknowledged in another order than made, but not when all else of the other lies after.
    (last,) = [outcome for outcome in ended if outcome.acknowledged[-1] == found]
    (other,) = [outcome for outcome in ended if outcome is not last]
    if _time(last, "ack") < _time(other, "begin"):
        raise Violation(f"two writers of one catalog: generation {found} is there, but the other's last began after it")
    verify(home, work / "even.jsonl", found, found)
    waited = sum(any("waiting for another" in words for words in outcome.of("warning")) for outcome in ended)
    return f"one catalog, 2 × {commits} commits, {waited} of the writers waited for the other"


def _two_catalogs(work: Path, commits: int) -> str:
    home = work / "two"
    with Nursery() as left, Nursery() as right:
        left.begin(home, work / "left.jsonl", name="left", count=commits)
        right.begin(home, work / "right.jsonl", name="right", count=commits)
        ended = [left.end(), right.end()]
    for outcome in ended:
        _worked(outcome, commits)
        if any("waiting" in words for words in outcome.of("warning")):
            raise Violation(f"a writer of another catalog waits: {outcome.of('warning')}")
    for name in ("left", "right"):
        with at(home):
            checked(name)
        verify(home, work / "left.jsonl", commits - 1, commits - 1, name)
    return f"two catalogs, 2 × {commits} commits"


def _one_waits(work: Path, hold: float) -> str:
    """One writer takes its time; a second one says that it waits, and then writes, or says that it can't."""
    home = work / "held"
    with Nursery() as slow, Nursery() as second:
        slow.run(home, work / "slow.jsonl", first=0, count=1)
        slow.begin(home, work / "slow.jsonl", first=1, count=1, hold=hold, announce=str(work / "holds"))
        slow.wait_for(work / "holds")
        outcome = second.run(home, work / "second.jsonl", first=2, count=1)
        holder = slow.end()
    _worked(holder, 1)
    if outcome.of("warning") != [f"waiting for another attnsearch to finish writing to {NAME}"]:
        raise Violation(f"a second writer does not say that it waits: {outcome}")
    if hold < WAIT:
        _worked(outcome, 1)
        verify(home, work / "second.jsonl", 2, 2)
        return f"a second writer waited {hold:.0f} s"
    if outcome.of("error") != [f"{NAME}: another attnsearch is writing to it; try again when it is done"]:
        raise Violation(f"a second writer gave up with: {outcome}")
    verify(home, work / "second.jsonl", 1, 1)
    return f"a second writer gave up after {WAIT:.0f} s and said why"


def _worked(outcome: Outcome, commits: int) -> None:
    if len(outcome.acknowledged) != commits or outcome.status or outcome.errors:
        raise Violation(f"a writer did not write: {outcome.said[-3:]} {outcome.errors}")


def _time(outcome: Outcome, word: str) -> float:
    """When a word was last said."""
    return max(rest[1] for said, *rest in outcome.said if said == word)
