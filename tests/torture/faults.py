"""Each system call of a commit in turn: the process dies before, after or halfway through it, or the call fails.

After a death, the catalog is at the last acknowledged generation or at the one that was being made. A failed call ends
in success or in a CatalogError of one line, and leaves one of the two generations, nothing else.
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

from tests.torture import scenes
from tests.torture.driver import Nursery, Outcome, expect_success
from tests.torture.scenes import Commits, Scene
from tests.torture.verifier import Violation, read_generation, using_home

DIE_BEFORE, DIE_AFTER, DIE_HALFWAY, FAIL, SHORT = range(1, 6)  # as in faults.c
ALWAYS = -1
LATE = "failed after the commit"
SKIPPED = "skipped: no C compiler, or not 64-bit Linux"
ERRORS = errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT


class Fault(NamedTuple):
    """What goes wrong at a call and, with `times`, at those after it; `error` is an errno."""

    name: str
    kind: int
    error: int = 0
    times: int = 1


FAULTS = [
    Fault("die before", DIE_BEFORE),
    Fault("die after", DIE_AFTER),
    Fault("die halfway", DIE_HALFWAY),
    *(Fault(f"{errno.errorcode[error]} once", FAIL, error) for error in ERRORS),
    *(Fault(f"{errno.errorcode[error]} from then on", FAIL, error, ALWAYS) for error in ERRORS),
    Fault("half a write", SHORT, errno.ENOSPC),  # not an error: the rest has to be written
    Fault("half a write, then ENOSPC", SHORT, errno.ENOSPC, ALWAYS),
    Fault("EINTR once", FAIL, errno.EINTR),
    Fault("EINTR three times", FAIL, errno.EINTR, 3),
]


class Call(NamedTuple):
    """One record of the trace: a system call, its file, the other file of a rename or link, the data of a write."""

    op: str
    offset: int
    path: str
    other: str
    data: bytes

    @property
    def base(self) -> str:
        """The file's name without its random part."""
        return re.sub(r"[0-9a-f]{32}", "*", Path(self.path).name)

    def __str__(self) -> str:
        length = f" {len(self.data)} bytes at {self.offset}" if self.op == "write" else ""
        return f"{self.op}{length} {Path(self.path).name} {Path(self.other).name}".strip()


def read_trace(file: Path) -> list[Call]:
    """The calls that faults.c recorded."""
    raw, calls, start = file.read_bytes(), [], 0
    while start < len(raw):
        end = raw.index(b"\n", start)
        op, offset, length, path, other = raw[start:end].decode().split("\t")
        start = end + 1 + int(length) + 1
        calls.append(Call(op, int(offset), path, other, raw[end + 1 : start - 1]))
    return calls


def compile_faults(work: Path) -> Path | None:
    """The library to preload, compiled; None without a compiler, or on another system than 64-bit Linux."""
    compiler = shutil.which("cc")
    if not compiler or sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    library = work / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
    return library


def make_scenes(work: Path, nursery: Nursery, only: str = "") -> list[Scene]:
    """The first commit of a new catalog; one after seven others; one after a crash; and those of `scenes`."""
    source = work / "faults.jsonl"
    many, crashed = work / "many", work / "crashed"
    for g in range(8):  # each in a process of its own, as a person would
        expect_success(nursery.run(many / "home", source, first=g, count=1))
    shutil.copytree(many, crashed)
    # The worst that a killed writer leaves: a segment that is not listed, a checkpoint, a WAL that nobody has read.
    total = len(record_calls(nursery, work, Commits("", many, 7, 8, {"first": 8, "count": 1})))
    for g, number in ((8, total * 19 // 20), (9, total // 2)):
        nursery.run(crashed / "home", source, first=g, count=1, watch=str(crashed), arm=(number, 1, DIE_BEFORE, 0, 0))
    copy = work / "copy"  # since reading recovers the WAL, which the scene is to do itself
    shutil.copytree(crashed, copy)
    with using_home(copy / "home"):
        before = read_generation()
    (work / "nothing").mkdir()
    return [
        Commits("first commit", work / "nothing", -1, 0, {"first": 0, "count": 1}),
        Commits("commit", many, 7, 8, {"first": 8, "count": 1}),
        Commits("commit after a crash", crashed, before, 9, {"first": 9, "count": 1}),
        *scenes.make_scenes(work, nursery, only),
    ]


def play(nursery: Nursery, work: Path, scene: Scene, **job: object) -> Outcome:
    """Play a scene in a copy of its start, with what the `job` adds."""
    box = work / "box"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(scene.start, box)
    return nursery.run(box / "home", work / "faults.jsonl", watch=str(box), **scene.job, **job)


def record_calls(nursery: Nursery, work: Path, scene: Scene, *, reads: bool = False) -> list[Call]:
    """The calls of a scene, with `reads` those that only read too: a fault at N meets the N-th."""
    file = work / "calls"
    file.unlink(missing_ok=True)
    arm = (1 << 40, 1, FAIL, 0, int(reads))
    counts = expect_success(play(nursery, work, scene, arm=arm, trace=str(file))).values("calls")
    calls = [call for call in read_trace(file) if call.op != "note"]
    if counts != [len(calls)]:
        raise RuntimeError(f"{counts} calls counted, {len(calls)} in the trace")
    return calls


def name_ending(scene: Scene, fault: Fault, outcome: Outcome) -> str:
    """How a scene with a fault ended: "died", "failed" or "done". Raises Violation when it ended in another way."""
    if outcome.values("crash"):
        raise Violation(f"a traceback: {outcome.values('crash')[0]}")
    if "Traceback" in outcome.errors or "Exception ignored" in outcome.errors or "Warning" in outcome.errors:
        raise Violation(f"on stderr: {outcome.errors}")
    if outcome.status == -9 and fault.kind in (DIE_BEFORE, DIE_AFTER, DIE_HALFWAY):
        return "died"
    if outcome.status:
        raise Violation(f"ended with {outcome.status}: {outcome}")
    if "commands" in scene.job:
        code = outcome.values("exit")[-1]
        lines = outcome.errors.splitlines()
        if (code and (code != 3 or not lines)) or not all(line.startswith("attnsearch: ") for line in lines):
            raise Violation(f"exit {code}: {outcome.errors!r}")
        return "failed" if code else "done"
    failures = [values for event, *values in outcome.events if event == "error"]
    for message, kind, _ in failures:
        if kind not in ("CatalogError", "DamagedError") or "\n" in message or not message.strip():
            raise Violation(f"{kind}: {message!r}")
    return "failed" if failures else "done"


def attempt(nursery: Nursery, work: Path, scene: Scene, fault: Fault, number: int) -> str:
    """Play a scene with a fault at its call of this number, and verify the catalog: how it ended."""
    arm = (number, fault.times, fault.kind, fault.error, int(fault.error == errno.EINTR))
    outcome = play(nursery, work, scene, arm=arm)
    ending = name_ending(scene, fault, outcome)
    least = scene.after if ending == "done" else max([scene.before, *outcome.acknowledged])
    allowed = [least] if least == scene.after else [least, least + 1 if "commands" in scene.job else scene.after]
    state = scene.verify(work / "box" / "home", work / "faults.jsonl", allowed[0], allowed[-1])
    if state not in allowed:
        raise Violation(f"state {state}, which is neither {' nor '.join(map(str, allowed))}")
    return LATE if ending == "failed" and state > least else ending


def plan(nursery: Nursery, work: Path, scene: Scene) -> Iterator[tuple[Fault, int, Call]]:
    """Every fault at every call of a scene, with the call's number."""
    changes, all_calls = (record_calls(nursery, work, scene, reads=reads) for reads in (False, True))
    for fault in FAULTS:
        for number, call in enumerate(all_calls if fault.error == errno.EINTR else changes, 1):
            if len(call.data) > 1 or fault.kind not in (DIE_HALFWAY, SHORT):  # these need two halves
                yield fault, number, call


def faults(work: Path, seed: int, share: int = 1, only: str = "") -> str:
    """Every `share`-th fault of every scene, or of the one named `only`; a summary. Raises one Violation for all."""
    library = compile_faults(work)
    if not library:
        return SKIPPED
    endings: Counter[str] = Counter()
    late: set[str] = set()
    violations: dict[str, list[str]] = {}
    with Nursery(library) as nursery:
        for scene in make_scenes(work, nursery, only):
            if only not in ("", scene.name):
                continue
            attempts = list(plan(nursery, work, scene))
            random.Random(seed).shuffle(attempts)
            for fault, number, call in attempts[::share]:
                place = f"{scene.name}, {fault.name}, {call.op} {call.base}"
                try:
                    ending = attempt(nursery, work, scene, fault, number)
                except Violation as violation:
                    violations.setdefault(place, []).append(f"call {number}: {violation}")
                    continue
                endings[ending] += 1
                if ending == LATE:
                    late.add(place)
    summary = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
    summary = f"{sum(endings.values())} faults: {summary}"
    if late:
        summary += f" ({'; '.join(sorted(late))})"
    if violations:
        lines = [f"{place}: {len(texts)} times, first {texts[0]}" for place, texts in sorted(violations.items())]
        raise Violation("\n".join([*lines, f"others: {summary}"]))
    return summary
