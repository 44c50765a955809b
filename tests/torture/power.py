"""A power cut at each system call of some commits: what the disk could hold then is built, and read.

The model. Known to be on the disk: each file's content at its last fsync or fdatasync, and each folder's names at the
last fsync of the folder. Of what was done since then, any part may have reached the disk:
- of a file's writes, each 512-byte sector by itself, none, all, or the first half and a torn one; its new length may
  have come without the data, which then reads as zeros. Changes of length come in their order.
- of the names made, moved and removed in one folder, the first so many, in their order; two folders are independent,
  and so are names and content: a name may be there, and its file empty. A rename within a folder is one step.
This is harsher than ext4, where an fsync of a new file takes its name with it, and as harsh as POSIX allows, but for
the order of names. The files ending in -shm are memory, and vanish. What was synced before is not harmed by a write
beside it (SQLite calls that powersafe overwrite).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture.driver import Nursery
from tests.torture.faults import Call, compiled, expect, trace
from tests.torture.verifier import Violation, verify

SECTOR = 512


class File:
    """A file's content on the disk, and what was done to it since its last sync: (offset, data), or (length, None)."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = content
        self.since: list[tuple[int, bytes | None]] = []

    def now(self) -> bytes:
        return _applied(self.durable, self.since)

    def sync(self) -> None:
        self.durable, self.since = self.now(), []


class Folder:
    """A folder's names on the disk, and the steps since its last sync: each the names it changes, None for gone."""

    def __init__(self) -> None:
        self.durable: dict[str, File | Folder] = {}
        self.now: dict[str, File | Folder] = {}
        self.since: list[dict[str, File | Folder | None]] = []

    def step(self, changes: dict[str, File | Folder | None]) -> None:
        self.now = _named(self.now, [changes])
        self.since.append(changes)

    def sync(self) -> None:
        self.durable, self.since = dict(self.now), []


def _applied(content: bytes, steps: list[tuple[int, bytes | None]]) -> bytes:
    data = bytearray(content)
    for at, some in steps:
        if some is None:
            del data[at:]
        if len(data) < at:
            data.extend(bytes(at - len(data)))
        if some is not None:
            data[at : at + len(some)] = some
    return bytes(data)


def _named(names: dict[str, File | Folder], steps: list[dict[str, File | Folder | None]]) -> dict[str, File | Folder]:
    names = dict(names)
    for changes in steps:
        for name, node in changes.items():
            names.pop(name, None)
            if node is not None:
                names[name] = node
    return names


class Disk:
    """All files under a folder, as the trace goes on. What is there at the start is on the disk."""

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
        found = self._find(os.path.dirname(path))  # noqa: PTH120 (a name, not a file)
        assert isinstance(found, Folder), path
        return found

    def do(self, call: Call) -> None:
        """Do what a call did."""
        name, node = Path(call.path).name, None
        if call.op != "note":
            node = self._find(call.path)
        if call.op in ("create", "mkdir"):
            self._folder(call.path).step({name: File() if call.op == "create" else Folder()})
        elif call.op == "unlink":
            self._folder(call.path).step({name: None})
        elif call.op in ("rename", "link"):
            self._move(call, name, node)
        elif node is None:
            pass  # it has no name any more, so nobody can find what is in it
        elif call.op == "sync":
            node.sync()
        elif isinstance(node, File):
            if call.op == "write":
                node.since.append((call.offset, call.data))
            elif call.op == "size" or len(node.now()) < call.offset:  # "room" only makes a file longer
                node.since.append((call.offset, None))

    def _move(self, call: Call, name: str, node: File | Folder | None) -> None:
        here, there = self._folder(call.path), self._folder(call.other)
        gone = {} if call.op == "link" else {name: None}
        if here is there:
            here.step({**gone, Path(call.other).name: node})
        else:
            there.step({Path(call.other).name: node})
            here.step(gone)

    def unsure(self) -> Iterator[tuple[str, File | Folder]]:
        """All files and folders of which not everything is on the disk, also those whose name is gone."""
        yield from self._unsure(self.root, "", set())

    def _unsure(self, folder: Folder, path: str, seen: set[int]) -> Iterator[tuple[str, File | Folder]]:
        if folder.since:
            yield path or ".", folder
        both = [*folder.durable.items(), *((name, node) for step in folder.since for name, node in step.items())]
        for name, node in both:
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Folder):
                yield from self._unsure(node, f"{path}/{name}", seen)
            elif node.since and not name.endswith("-shm"):
                yield f"{path}/{name}", node


Fate = Callable[[random.Random, File | Folder], object]  # what is on the disk: a file's bytes, or a folder's names


def everything(chance: random.Random, node: File | Folder) -> object:
    return node.now if isinstance(node, Folder) else node.now()


def nothing(chance: random.Random, node: File | Folder) -> object:
    return node.durable


def half(chance: random.Random, node: File | Folder) -> object:
    """The first half of what was done; of a write, the one in the middle is torn."""
    done = node.since[: len(node.since) // 2]
    if isinstance(node, Folder):
        return _named(node.durable, done)
    at, data = node.since[len(done)]
    return _applied(node.durable, [*done, (at, data[: len(data) // 2])] if data else done)


def padded(chance: random.Random, node: File | Folder) -> object:
    """The first so many bytes of what was written, and zeros up to the whole length."""
    if isinstance(node, Folder):
        return node.now
    left = chance.randrange(sum(len(data or b"") for _, data in node.since) + 1)
    steps: list[tuple[int, bytes | None]] = []
    for at, data in node.since:
        steps.append((at, data and data[:left]))
        left = max(left - len(data or b""), 0)
    return _applied(node.durable, steps).ljust(len(node.now()), b"\0")


def zeros(chance: random.Random, node: File | Folder) -> object:
    """As long as it should be, but with nothing in it."""
    if isinstance(node, Folder):
        return node.now
    length = len(node.now())
    return node.durable[:length].ljust(length, b"\0")


def sectors(chance: random.Random, node: File | Folder) -> object:
    """Any sectors of a file; the first so many names of a folder."""
    if isinstance(node, Folder):
        return _named(node.durable, node.since[: chance.randint(0, len(node.since))])
    steps: list[tuple[int, bytes | None]] = []
    share = chance.choice((0.1, 0.5, 0.9))
    for at, data in node.since[: chance.randint(0, len(node.since))]:
        if data is None:
            steps.append((at, None))
            continue
        start = at
        while start < at + len(data):
            end = min((start // SECTOR + 1) * SECTOR, at + len(data))
            if chance.random() < share:
                steps.append((start, data[start - at : end - at]))
            start = end
    content = _applied(node.durable, steps)
    return content.ljust(len(node.now()), b"\0") if chance.random() < 0.5 else content


EXTREMES: list[tuple[str, Fate, Fate]] = [  # for files, for folders
    ("all of it", everything, everything),
    ("nothing", nothing, nothing),
    ("content without names", everything, nothing),
    ("names without content", nothing, everything),
    ("half of both", half, half),
    ("half of the content", half, everything),
    ("the first part of the content, then zeros", padded, everything),
    ("zeros", zeros, everything),
]


def _fates(
    chance: random.Random, unsure: list[tuple[str, File | Folder]], more: int
) -> Iterator[tuple[str, dict[int, object]]]:
    """Ways in which all that is unsure could have ended, by the node's id. Of what is left out, all is there."""
    nodes = [node for _, node in unsure]
    for words, of_file, of_folder in [*EXTREMES, *[("any part", sectors, sectors)] * more]:
        yield words, {id(node): (of_folder if isinstance(node, Folder) else of_file)(chance, node) for node in nodes}
    for behind in nodes if len(nodes) > 1 else ():
        yield "nothing (and all of the rest)", {id(behind): nothing(chance, behind)}
        yield (
            "nothing (and all of one other)",
            {id(node): nothing(chance, node) for node in nodes if node is not behind},
        )


def build(disk: Disk, fates: dict[int, object], to: Path) -> None:
    """Write what is on the disk to a folder of our own, `to`."""
    shutil.rmtree(to, ignore_errors=True)

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

    put(disk.root, to)


class Scene(NamedTuple):
    """A home to start from, the last generation acknowledged there, and what is done."""

    words: str
    start: Path
    before: int
    job: dict


def scenes(work: Path, nursery: Nursery) -> list[Scene]:
    """The first commits of a new home; some of many, in one process and so without a checkpoint between; a removal."""
    many = work / "cut"
    for g in range(6):
        expect(nursery.run(many / "home", work / "cut.jsonl", first=g, count=1))
    (work / "empty").mkdir()
    (work / "new" / "home").mkdir(parents=True)
    return [
        Scene("first commits in a new home", work / "empty", -1, {"first": 0, "count": 2}),
        Scene("first commits", work / "new", -1, {"first": 0, "count": 2}),
        Scene("commits", many, 5, {"first": 6, "count": 4}),
        Scene("commits beside a reader", many, 5, {"first": 6, "count": 4, "reader": True}),
        Scene("removal", many, 5, {"remove": True}),
    ]


def cut(
    work: Path, scene: Scene, nursery: Nursery, seed: int, share: int, more: int, after: str = ""
) -> Iterator[str | None]:
    """Cut the power after every call, or every one of a kind: for each `share`-th disk None, or what is wrong."""
    box, file = work / "box", work / "trace"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(scene.start, box)
    disk = Disk(box)
    file.unlink(missing_ok=True)
    outcome = expect(nursery.run(box / "home", work / "cut.jsonl", watch=str(box), trace=str(file), **scene.job))
    if set(outcome.of("reads")) - {scene.before}:
        raise Violation(f"a reader's snapshot of generation {scene.before} became {outcome.of('reads')}")
    acknowledged, turn = scene.before, seed
    for number, call in enumerate(trace(file)):
        disk.do(call)
        if call.op == "note":
            acknowledged = int(call.path.removeprefix("ack "))
        if after not in ("", call.op):
            continue
        ends = (-1, acknowledged) if "remove" in scene.job else (acknowledged, acknowledged + 1)
        for words, fates in _fates(random.Random(f"{seed} {number}"), list(disk.unsure()), more):
            turn += 1
            if turn % share == 0:
                wrong = _tried(work, disk, fates, ends)
                yield wrong and wrong.replace("\0", f"{words} was on the disk after call {number} ({call})")


def _tried(work: Path, disk: Disk, fates: dict[int, object], ends: tuple[int, int]) -> str | None:
    """What is wrong when the disk ends so, with as little as it takes; None if nothing is."""

    def wrong(fates: dict[int, object]) -> str:
        build(disk, fates, work / "disk")
        try:
            verify(work / "disk" / "home", work / "cut.jsonl", *ends)
        except Violation as violation:
            return str(violation)
        return ""

    what = wrong(fates)
    if not what:
        return None
    # The smallest example: give back to the disk whatever is not needed to go wrong.
    for one in list(fates):
        less = {other: fate for other, fate in fates.items() if other != one}
        if found := wrong(less):
            fates, what = less, found
    lost = [path for path, node in disk.unsure() if id(node) in fates]
    return f"{', '.join(lost)}: \0: {what}"


def power(work: Path, seed: int, share: int = 1, more: int = 4, only: str = "", after: str = "") -> str:
    """Cut the power in every scene, or `only` one; a summary. See `cut`. Raises Violation with all that was found."""
    library = compiled(work)
    if not library:
        return "skipped: no C compiler, or not Linux on 64 bits"
    disks, found = 0, {}
    with Nursery(library) as nursery:
        for scene in scenes(work, nursery):
            if only not in ("", scene.words):
                continue
            for what in cut(work, scene, nursery, seed, share, more, after):
                disks += 1
                if what:
                    found.setdefault(f"{scene.words}, {what.partition(': ')[0]}", []).append(what)
    if found:
        told = [f"{where}: {len(whats)} times, first {whats[0].partition(': ')[2]}" for where, whats in found.items()]
        raise Violation("\n".join(told))
    return f"{disks} disks after a power cut"
