"""Each system call of a commit in turn: die before, after or halfway through it, or let it fail.

After a death, the state is the last that was acknowledged or the one being made. An error that the system reports
becomes success or a CatalogError of one line, and never leaves anything but one of the two states.
"""

from __future__ import annotations

import errno
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture.driver import Nursery, Outcome
from tests.torture.verifier import Violation, read, verify
from tests.torture.verifier import at as at_home

DIE_BEFORE, DIE_AFTER, DIE_HALFWAY, FAIL, SHORT = range(1, 6)  # as in faults.c
ALWAYS = -1
LATE = "failed, though it was done"
ERRORS = errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT


class Fault(NamedTuple):
    """What happens at the N-th call: `how`, with which `error`, so many `times` in a row."""

    words: str
    how: int
    error: int = 0
    times: int = 1


FAULTS = [
    Fault("die before", DIE_BEFORE),
    Fault("die after", DIE_AFTER),
    Fault("die halfway", DIE_HALFWAY),
    *(Fault(f"{errno.errorcode[error]} once", FAIL, error) for error in ERRORS),
    *(Fault(f"{errno.errorcode[error]} from then on", FAIL, error, ALWAYS) for error in ERRORS),
    Fault("half a write", SHORT, errno.ENOSPC),  # which is no error at all: the rest has to be written
    Fault("half a write, then ENOSPC", SHORT, errno.ENOSPC, ALWAYS),
    Fault("EINTR once", FAIL, errno.EINTR),
    Fault("EINTR three times", FAIL, errno.EINTR, 3),
]


class Call(NamedTuple):
    """One line of the trace, with the data of a write."""

    op: str
    offset: int
    path: str
    other: str
    data: bytes

    @property
    def base(self) -> str:
        """The file's name, without what is another each time."""
        return re.sub(r"[0-9a-f]{32}", "*", Path(self.path).name)

    def __str__(self) -> str:
        length = f" {len(self.data)} bytes at {self.offset}" if self.op == "write" else ""
        return f"{self.op}{length} {Path(self.path).name} {Path(self.other).name}".strip()


def trace(file: Path) -> list[Call]:
    """What faults.c wrote down."""
    raw, calls, start = file.read_bytes(), [], 0
    while start < len(raw):
        end = raw.index(b"\n", start)
        op, offset, length, path, other = raw[start:end].decode().split("\t")
        start = end + 1 + int(length) + 1
        calls.append(Call(op, int(offset), path, other, raw[end + 1 : start - 1]))
    return calls


class Scene(NamedTuple):
    """A home to start from, which `work` makes; what is done there; the generations before and after; the job."""

    words: str
    start: Path
    before: int
    after: int
    job: dict


def compiled(work: Path) -> Path | None:
    """The library to preload; None where it can't be made."""
    compiler = shutil.which("cc")
    if not compiler or sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    library = work / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
    return library


def scenes(work: Path, nursery: Nursery) -> list[Scene]:
    """The first commit of a new catalog; one of many; one after a crash; a removal."""
    source = work / "faults.jsonl"
    many, crashed = work / "many", work / "crashed"
    for g in range(8):  # in a process of its own each, as a person would
        expect(nursery.run(many / "home", source, first=g, count=1))
    shutil.copytree(many, crashed)
    # What a killed writer leaves at worst: a segment that nobody lists, a draft, a WAL that nobody has read.
    total = len(calls(nursery, work, Scene("", many, 7, 8, {"first": 8, "count": 1})))
    for g, at in ((8, total * 19 // 20), (9, total // 2)):
        nursery.run(crashed / "home", source, first=g, count=1, watch=str(crashed), arm=(at, 1, DIE_BEFORE, 0, 0))
    copy = work / "copy"  # reading brings the WAL in order, which the scene is to do itself
    shutil.copytree(crashed, copy)
    with at_home(copy / "home"):
        before = read()
    (work / "nothing").mkdir()
    return [
        Scene("first commit", work / "nothing", -1, 0, {"first": 0, "count": 1}),
        Scene("commit", many, 7, 8, {"first": 8, "count": 1}),
        Scene("commit after a crash", crashed, before, 9, {"first": 9, "count": 1}),
        Scene("removal", many, 7, -1, {"remove": True}),
    ]


def expect(outcome: Outcome) -> Outcome:
    """Nothing was in its way."""
    if outcome.status or outcome.of("error") or outcome.of("crash"):
        raise Violation(f"without a fault: {outcome}")
    return outcome


def run(nursery: Nursery, work: Path, scene: Scene, **how: object) -> Outcome:
    """Play a scene in a copy of its start."""
    box = work / "box"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(scene.start, box)
    return nursery.run(box / "home", work / "faults.jsonl", watch=str(box), **scene.job, **how)


def calls(nursery: Nursery, work: Path, scene: Scene, *, reads: bool = False) -> list[Call]:
    """The calls there are to fail: the N-th is the one that a fault at N meets."""
    file = work / "calls"
    file.unlink(missing_ok=True)
    arm = (1 << 40, 1, FAIL, 0, int(reads))
    told = expect(run(nursery, work, scene, arm=arm, trace=str(file))).of("calls")
    found = [call for call in trace(file) if call.op != "note"]
    if told != [len(found)]:
        raise RuntimeError(f"{told} calls counted, {len(found)} in the trace")
    return found


def judge(scene: Scene, fault: Fault, outcome: Outcome) -> str:
    """One word for how it ended; a Violation for an ending that may not be."""
    if outcome.of("crash"):
        raise Violation(f"a traceback: {outcome.of('crash')[0]}")
    if "Traceback" in outcome.errors or "Exception ignored" in outcome.errors or "Warning" in outcome.errors:
        raise Violation(f"on stderr: {outcome.errors}")
    if outcome.status == -9 and fault.how in (DIE_BEFORE, DIE_AFTER, DIE_HALFWAY):
        return "died"
    if outcome.status:
        raise Violation(f"ended with {outcome.status}: {outcome}")
    if scene.job.get("remove"):
        (code,) = outcome.of("exit")
        lines = outcome.errors.splitlines()
        if code and (code != 3 or len(lines) != 1 or not lines[0].startswith("attnsearch: ")):
            raise Violation(f"exit {code}: {outcome.errors!r}")
        return "failed" if code else "done"
    failed = [rest for word, *rest in outcome.said if word == "error"]
    for words, kind in failed:
        if kind not in ("CatalogError", "DamagedError") or "\n" in words or not words.strip():
            raise Violation(f"{kind}: {words!r}")
    return "failed" if failed else "done"


def attempt(nursery: Nursery, work: Path, scene: Scene, fault: Fault, at: int) -> str:
    """One fault at one call; one word for how it ended."""
    arm = (at, fault.times, fault.how, fault.error, int(fault.error == errno.EINTR))
    outcome = run(nursery, work, scene, arm=arm)
    ended = judge(scene, fault, outcome)
    states = {
        "done": (scene.after, scene.after),
        "failed": (scene.before, scene.after),
        "died": (scene.before, scene.after),
    }
    ends = sorted({*states[ended]})
    if ended == "died" and outcome.acknowledged:
        ends = [scene.after]
    found = verify(work / "box" / "home", work / "faults.jsonl", ends[0], ends[-1]) - 1
    if found not in ends:
        raise Violation(f"generation {found}, which is neither {' nor '.join(map(str, ends))}")
    if ended == "failed" and found == scene.after:
        return LATE
    return ended


def plan(nursery: Nursery, work: Path, scene: Scene) -> Iterator[tuple[Fault, int, Call]]:
    """Every fault at every call."""
    changes, all_calls = (calls(nursery, work, scene, reads=reads) for reads in (False, True))
    for fault in FAULTS:
        for at, call in enumerate(all_calls if fault.error == errno.EINTR else changes, 1):
            if len(call.data) > 1 or fault.how not in (DIE_HALFWAY, SHORT):  # what has two halves
                yield fault, at, call


def faults(work: Path, seed: int, share: int = 1, only: str = "") -> str:
    """Every `share`-th fault of every scene, or `only` one; a summary. Raises Violation with all that was found."""
    library = compiled(work)
    if not library:
        return "skipped: no C compiler, or not Linux on 64 bits"
    ended: Counter[str] = Counter()
    late: Counter[str] = Counter()
    found: dict[str, list[str]] = {}
    with Nursery(library) as nursery:
        for scene in scenes(work, nursery):
            if only not in ("", scene.words):
                continue
            every = list(plan(nursery, work, scene))
            random.Random(seed).shuffle(every)
            for fault, at, call in every[::share]:
                where = f"{scene.words}, {fault.words}, {call.op} {call.base}"
                try:
                    how = attempt(nursery, work, scene, fault, at)
                except Violation as violation:
                    found.setdefault(where, []).append(f"call {at}: {violation}")
                else:
                    ended[how] += 1
                    late[where] += how == LATE
    words = ", ".join(f"{count} {word}" for word, count in sorted(ended.items()))
    words = f"{sum(ended.values())} faults: {words}"
    if LATE in ended:
        words += f" ({'; '.join(where for where, count in sorted(late.items()) if count)})"
    if found:
        told = [f"{where}: {len(whats)} times, first {whats[0]}" for where, whats in sorted(found.items())]
        raise Violation("\n".join([*told, f"else {words}"]))
    return words
