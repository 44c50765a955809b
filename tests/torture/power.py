"""A power cut at each system call of a commit: the states that the disk may be in are built, and read.

The model. A disk certainly holds each file's content as of its last fsync or fdatasync, and each folder's names as of
the folder's last fsync. Of the changes since then, any part may have reached it:
- of a file's writes, any 512-byte sectors, or the first half with a torn write; the new length may be there without the
  data, which then reads as zeros. Changes of length happen in order.
- of the names created, moved and removed in a folder, the first few, in order. Folders are independent of each other,
  and so are names and content: a name may be there, and its file empty. A rename within a folder is one step, and so is
  a swap of two names.
This is harsher than ext4, where an fsync of a new file includes its name, and as harsh as POSIX allows, except for the
order of names. Files ending in -shm are memory, and vanish. A write does not harm synced data beside it (SQLite calls
this powersafe overwrite).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture import scenes
from tests.torture.driver import Nursery, expect_success
from tests.torture.faults import SKIPPED, Call, compile_faults, read_trace
from tests.torture.scenes import Commits, Scene
from tests.torture.verifier import Violation

SECTOR = 512


class Write(NamedTuple):
    """Data written at an offset; without data, a change of the file's length to the offset."""

    offset: int
    data: bytes | None


Changes = dict[str, "File | Folder | None"]  # the names that one step changes in a folder, None for a removed one


class File:
    """A file's content on the disk, and the writes since its last sync."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = content
        self.unsynced: list[Write] = []

    def now(self) -> bytes:
        return _apply_writes(self.durable, self.unsynced)

    def sync(self) -> None:
        self.durable, self.unsynced = self.now(), []


class Folder:
    """A folder's names on the disk, and the steps since its last sync."""

    def __init__(self) -> None:
        self.durable: dict[str, File | Folder] = {}
        self.now: dict[str, File | Folder] = {}
        self.unsynced: list[Changes] = []

    def step(self, changes: Changes) -> None:
        self.now = _apply_steps(self.now, [changes])
        self.unsynced.append(changes)

    def sync(self) -> None:
        self.durable, self.unsynced = dict(self.now), []


def _apply_writes(content: bytes, writes: list[Write]) -> bytes:
    result = bytearray(content)
    for offset, data in writes:
        if data is None:
            del result[offset:]
        if len(result) < offset:
            result.extend(bytes(offset - len(result)))
        if data is not None:
            result[offset : offset + len(data)] = data
    return bytes(result)


def _apply_steps(names: dict[str, File | Folder], steps: list[Changes]) -> dict[str, File | Folder]:
    names = dict(names)
    for changes in steps:
        for name, node in changes.items():
            names.pop(name, None)
            if node is not None:
                names[name] = node
    return names


class Disk:
    """All files under a folder, call by call. The disk holds everything that is there at the start."""

    def __init__(self, box: Path) -> None:
        self.box = box
        self.root = self._load(box)

    def _load(self, path: Path) -> Folder:
        folder = Folder()
        for child in path.iterdir():
            folder.now[child.name] = self._load(child) if child.is_dir() else File(child.read_bytes())
        folder.sync()
        return folder

    def _find(self, path: str) -> File | Folder | None:
        node: File | Folder | None = self.root
        for part in Path(path).relative_to(self.box).parts:
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node

    def _folder(self, path: str) -> Folder:
        folder = self._find(os.path.dirname(path))  # noqa: PTH120 (a name, not a file)
        assert isinstance(folder, Folder), path
        return folder

    def repeat(self, call: Call) -> None:
        """Repeat a call of the trace."""
        name, node = Path(call.path).name, None
        if call.op != "note":
            node = self._find(call.path)
        if call.op in ("create", "mkdir"):
            self._folder(call.path).step({name: File() if call.op == "create" else Folder()})
        elif call.op == "unlink":
            self._folder(call.path).step({name: None})
        elif call.op in ("rename", "link", "swap"):
            self._move(call, name, node)
        elif node is None:
            pass  # it no longer has a name, so nobody can read it
        elif call.op == "sync":
            node.sync()
        elif isinstance(node, File):
            if call.op == "write":
                node.unsynced.append(Write(call.offset, call.data))
            elif call.op == "size" or len(node.now()) < call.offset:  # "room" only makes a file longer
                node.unsynced.append(Write(call.offset, None))

    def _move(self, call: Call, name: str, node: File | Folder | None) -> None:
        source, target = self._folder(call.path), self._folder(call.other)
        left = {} if call.op == "link" else {name: self._find(call.other) if call.op == "swap" else None}
        if source is target:
            source.step({**left, Path(call.other).name: node})
        else:
            target.step({Path(call.other).name: node})
            source.step(left)

    def unsynced(self) -> Iterator[tuple[str, File | Folder]]:
        """All files and folders with changes that the disk may lack, by path; also those without a name now."""
        yield from self._unsynced(self.root, "", set())

    def _unsynced(self, folder: Folder, path: str, seen: set[int]) -> Iterator[tuple[str, File | Folder]]:
        if folder.unsynced:
            yield path or ".", folder
        changed = ((name, node) for step in folder.unsynced for name, node in step.items())
        for name, node in (*folder.durable.items(), *changed):
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Folder):
                yield from self._unsynced(node, f"{path}/{name}", seen)
            elif node.unsynced and not name.endswith("-shm"):
                yield f"{path}/{name}", node


Fate = Callable[[random.Random, File | Folder], object]  # → what the disk holds: a file's bytes, or a folder's names


def everything(chance: random.Random, node: File | Folder) -> object:
    return node.now if isinstance(node, Folder) else node.now()


def nothing(chance: random.Random, node: File | Folder) -> object:
    return node.durable


def half(chance: random.Random, node: File | Folder) -> object:
    """The first half of the changes; the write in the middle is torn."""
    if isinstance(node, Folder):
        return _apply_steps(node.durable, node.unsynced[: len(node.unsynced) // 2])
    complete = node.unsynced[: len(node.unsynced) // 2]
    offset, data = node.unsynced[len(complete)]
    torn = [Write(offset, data[: len(data) // 2])] if data else []
    return _apply_writes(node.durable, [*complete, *torn])


def padded(chance: random.Random, node: File | Folder) -> object:
    """The first bytes that were written, and zeros up to the new length."""
    if isinstance(node, Folder):
        return node.now
    budget = chance.randrange(sum(len(data or b"") for _, data in node.unsynced) + 1)
    writes = []
    for offset, data in node.unsynced:
        writes.append(Write(offset, data and data[:budget]))
        budget = max(budget - len(data or b""), 0)
    return _apply_writes(node.durable, writes).ljust(len(node.now()), b"\0")


def zeros(chance: random.Random, node: File | Folder) -> object:
    """The new length, with zeros for the new data."""
    if isinstance(node, Folder):
        return node.now
    length = len(node.now())
    return node.durable[:length].ljust(length, b"\0")


def sectors(chance: random.Random, node: File | Folder) -> object:
    """Any sectors of a file; the first few changes of a folder."""
    if isinstance(node, Folder):
        return _apply_steps(node.durable, node.unsynced[: chance.randint(0, len(node.unsynced))])
    writes = []
    share = chance.choice((0.1, 0.5, 0.9))
    for offset, data in node.unsynced[: chance.randint(0, len(node.unsynced))]:
        if data is None:
            writes.append(Write(offset, None))
            continue
        start = offset
        while start < offset + len(data):
            end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
            if chance.random() < share:
                writes.append(Write(start, data[start - offset : end - offset]))
            start = end
    content = _apply_writes(node.durable, writes)
    return content.ljust(len(node.now()), b"\0") if chance.random() < 0.5 else content


EXTREMES: list[tuple[str, Fate, Fate]] = [  # for files, for folders
    ("everything", everything, everything),
    ("nothing", nothing, nothing),
    ("content without names", everything, nothing),
    ("names without content", nothing, everything),
    ("half of both", half, half),
    ("half of the content", half, everything),
    ("the first part of the content, then zeros", padded, everything),
    ("zeros", zeros, everything),
]


def _choose_fates(
    chance: random.Random, nodes: list[File | Folder], random_draws: int
) -> Iterator[tuple[str, dict[int, object]]]:
    """Ways in which a disk may hold the nodes, each with a description: content by the node's id.

    A node without an entry is on the disk as a whole.
    """
    for name, file_fate, folder_fate in [*EXTREMES, *[("any part", sectors, sectors)] * random_draws]:
        yield name, {id(node): (folder_fate if isinstance(node, Folder) else file_fate)(chance, node) for node in nodes}
    for chosen in nodes if len(nodes) > 1 else ():
        yield "nothing of one, all of the others", {id(chosen): nothing(chance, chosen)}
        yield (
            "all of one, nothing of the others",
            {id(node): nothing(chance, node) for node in nodes if node is not chosen},
        )


def build(disk: Disk, fates: dict[int, object], target: Path) -> None:
    """Write what the disk holds to the folder `target`."""
    shutil.rmtree(target, ignore_errors=True)

    def put(folder: Folder, path: Path) -> None:
        path.mkdir()
        names = fates.get(id(folder), folder.now)
        assert isinstance(names, dict)
        for name, node in names.items():
            if isinstance(node, Folder):
                put(node, path / name)
            elif not name.endswith("-shm"):
                content = fates.get(id(node))
                (path / name).write_bytes(content if isinstance(content, bytes) else node.now())

    put(disk.root, target)


def make_scenes(work: Path, nursery: Nursery, only: str = "") -> list[Scene]:
    """The first commits of a new home; later ones in one process, so without a checkpoint of the WAL; and `scenes`."""
    many = work / "cut"
    for g in range(6):
        expect_success(nursery.run(many / "home", work / "cut.jsonl", first=g, count=1))
    (work / "empty").mkdir()
    (work / "new" / "home").mkdir(parents=True)
    return [
        Commits("first commits in a new home", work / "empty", -1, 1, {"first": 0, "count": 2}),
        Commits("first commits", work / "new", -1, 1, {"first": 0, "count": 2}),
        Commits("commits", many, 5, 9, {"first": 6, "count": 4}),
        Commits("commits beside a reader", many, 5, 9, {"first": 6, "count": 4, "reader": True}),
        *scenes.make_scenes(work, nursery, only),
    ]


class Problem(NamedTuple):
    """What was wrong on a disk: the files and folders at fault, what it held after which call, and the violation."""

    paths: str
    disk: str
    violation: str


def cut(
    work: Path, scene: Scene, nursery: Nursery, seed: int, share: int, random_draws: int, after: str = ""
) -> Iterator[Problem | None]:
    """Cut the power after every call of a scene, or every one named `after`: each `share`-th disk's problem, if any."""
    box, file = work / "box", work / "trace"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(scene.start, box)
    disk = Disk(box)
    file.unlink(missing_ok=True)
    outcome = nursery.run(box / "home", work / "cut.jsonl", watch=str(box), trace=str(file), **scene.job)
    reads = expect_success(outcome).values("reads")
    if set(reads) - {scene.before}:
        raise Violation(f"a reader's snapshot of generation {scene.before} became {reads}")
    acknowledged, turn = scene.before, seed
    for number, call in enumerate(read_trace(file)):
        disk.repeat(call)
        if call.op == "note":
            acknowledged = int(call.path.removeprefix("ack "))
        if after not in ("", call.op):
            continue
        allowed = acknowledged, min(acknowledged + 1, scene.after)
        nodes = [node for _, node in disk.unsynced()]
        for description, fates in _choose_fates(random.Random(f"{seed} {number}"), nodes, random_draws):
            turn += 1
            if turn % share == 0:
                problem = _find_problem(work, scene, disk, fates, allowed)
                yield problem and problem._replace(disk=f"{description} was on the disk after call {number} ({call})")


def _find_problem(
    work: Path, scene: Scene, disk: Disk, fates: dict[int, object], allowed: tuple[int, int]
) -> Problem | None:
    """What is wrong with a disk that holds this, reduced to the fates that it takes; None if nothing is."""

    def violation_of(fates: dict[int, object]) -> str:
        build(disk, fates, work / "disk")
        try:
            scene.verify(work / "disk" / "home", work / "cut.jsonl", *allowed)
        except Violation as violation:
            return str(violation)
        return ""

    violation = violation_of(fates)
    if not violation:
        return None
    for node in list(fates):
        fewer = {key: fate for key, fate in fates.items() if key != node}
        if smaller := violation_of(fewer):
            fates, violation = fewer, smaller
    paths = [path for path, node in disk.unsynced() if id(node) in fates]
    return Problem(", ".join(paths), "", violation)


def power(work: Path, seed: int, share: int = 1, random_draws: int = 4, only: str = "", after: str = "") -> str:
    """Cut the power in every scene, or in the one named `only`; a summary. Raises one Violation for all. See `cut`."""
    library = compile_faults(work)
    if not library:
        return SKIPPED
    disks = 0
    problems: dict[str, list[Problem]] = {}
    with Nursery(library) as nursery:
        for scene in make_scenes(work, nursery, only):
            if only not in ("", scene.name):
                continue
            for problem in cut(work, scene, nursery, seed, share, random_draws, after):
                disks += 1
                if problem:
                    problems.setdefault(f"{scene.name}, {problem.paths}", []).append(problem)
    if problems:
        lines = [
            f"{place}: {len(alike)} times, first {alike[0].disk}: {alike[0].violation}"
            for place, alike in problems.items()
        ]
        raise Violation("\n".join(lines))
    return f"{disks} disks after a power cut"
