"""A task → its answer: the part of an engine's work that any process can do which sees the segments' files.

`answer` is a pure function of an installed module. A scheduler sends its name and a task, both of plain values; the
process needs no catalog, no database and no encoder. Segments never change, so it keeps those that it has verified.

Every task has
    protocol, commit        what both sides must agree on
    number                  which task of all it is; no other has it
    kind                    what is asked: the name of one of the functions below
    d, first, size          the width; the number of the task's first key, which is key 0 in it; and how many follow
    rows                    how many are to be read in all
    pieces                  the rows to read: file (a path or a URL), rows and sums of the segment; start, stop; first,
                            its key's number; and the marks dead and joined of these rows
    mapped                  how many bytes the process may keep mapped; None for the default
and its answer
    protocol, commit, number, worker
    pieces                  for each: file, start, stop, and how many of its rows were read
or, in the place of `pieces`, `fault`, `file` and `message`. Beside that, by the kind:
    attend  q, plain, k, output, bias, every: what `engine.Engine.attend` takes, and whether every logit is wanted;
            block, the rows that are compared at once → the state and the plain state of each piece; logits (m, size)
    spread  block → the covariance of each piece
    project axes, block → points (size, a)
    match   items, leaders, may_lead, min_score: what `groups.match` takes → matches
"""

from __future__ import annotations

import os
import platform
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch import __version__, threads
from attnsearch.cluster import copies
from attnsearch.cluster.packing import Record, pack_state, unpack_bias, unpack_marks
from attnsearch.cluster.urls import UnreachableError
from attnsearch.engines import groups
from attnsearch.engines.covariance import measure_block, merge_covariances, project_block
from attnsearch.engines.scan import Scan
from attnsearch.errors import InputError
from attnsearch.storage.segment import Block, SegmentRow, find_first_keys

PROTOCOL = 2

MATTER = ("protocol", "Python", "numpy")  # versions that must be the same on both sides

MAPPED = 1 << 36  # bytes of segments that a process keeps mapped, unless a task says less

Floats = NDArray[np.float32]

_mapped: OrderedDict[tuple[Any, ...], Floats] = OrderedDict()  # verified rows; the least recently used first
_opening = threading.Lock()


class VersionsError(InputError):
    """Workers speak another protocol than this process, or have another Python or numpy."""


def describe() -> Record:
    """The versions on this side, of which those that matter must be the same on both; and where it is."""
    python, numpy = map(shorten_version, (platform.python_version(), np.__version__))
    return {"protocol": PROTOCOL, "attnsearch": __version__, "Python": python, "numpy": numpy, "worker": name_worker()}


def shorten_version(version: str) -> str:
    """The major and the minor number of a version."""
    return ".".join(version.split(".")[:2])


def find_others(replies: Mapping[str, Record]) -> dict[str, Record]:
    """The workers of whose replies the versions that matter are others than those here."""
    here = describe()
    return {worker: reply for worker, reply in replies.items() if any(reply.get(name) != here[name] for name in MATTER)}


def tabulate_versions(others: Mapping[str, Record]) -> str:
    """A row for the versions here, and for each on the `others`: how many have them, and the address of one."""
    names = ("attnsearch", *MATTER)
    by_versions: dict[tuple[str, ...], list[str]] = {}
    for worker, reply in others.items():
        by_versions.setdefault(tuple(str(reply.get(name, "none")) for name in names), []).append(worker)
    here = describe()
    rows: list[tuple[str, ...]] = [("", *names, ""), ("here", *(str(here[name]) for name in names), "")]
    for versions, workers in by_versions.items():
        count, rest = ("1 worker", "") if len(workers) == 1 else (f"{len(workers)} workers", ", …")
        rows.append((count, *versions, f"{workers[0]}{rest}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"  {'  '.join(map(str.ljust, row, widths)).rstrip()}" for row in rows)


def answer(task: Record) -> Record:
    """Do a task; see the head of the file. Whatever is wrong with the files is in the answer, and nothing is raised."""
    about = {"protocol": PROTOCOL, "commit": task["commit"], "number": task.get("number"), "worker": name_worker()}
    if task["protocol"] != PROTOCOL:
        return {**about, "fault": "protocol", "file": "", "message": f"it speaks protocol {PROTOCOL}"}
    try:
        with threads.ONE_THREAD_OF_BLAS:  # as local engines have it: several threads round otherwise
            return {**about, **_KINDS[task["kind"]](task)}
    except _FaultError as fault:
        return {**about, **fault.answer}


def attend(task: Record) -> Record:
    """The states of attention after the keys of each piece, and every logit if asked for."""
    size = task["size"]
    every_logit = np.full((len(task["q"]), size), -np.inf, np.float32) if task["every"] else None
    scan = Scan(
        task["q"],
        task["plain"],
        k=task["k"],
        output=task["output"],
        bias=unpack_bias(task["bias"], find_first_keys([_segment(piece) for piece in task["pieces"]], size), size),
        every_logit=every_logit,
    )
    pieces = []
    for piece, blocks in _read(task):
        states = scan.merge(map(scan.attend, blocks))
        plain = None if scan.is_plain else pack_state(states.plain)
        state = pack_state(states.attention, task["first"])
        pieces.append({**_name(piece, blocks), "state": state, "plain": plain})
    return {"pieces": pieces, "logits": every_logit}


def spread(task: Record) -> Record:
    """The covariance of the keys of each piece."""
    pieces = []
    for piece, blocks in _read(task):
        covariance = merge_covariances(map(measure_block, blocks), task["d"])
        pieces.append({**_name(piece, blocks), "covariance": covariance._asdict()})
    return {"pieces": pieces}


def project(task: Record) -> Record:
    """The coordinates of every row along some axes."""
    points = np.zeros((task["size"], len(task["axes"])))
    pieces = []
    for piece, blocks in _read(task):
        for block in blocks:
            points[block.first : block.first + len(block.x)] = project_block(block, task["axes"])
        pieces.append(_name(piece, blocks))
    return {"pieces": pieces, "points": points}


def match(task: Record) -> Record:
    """Items against those that lead."""
    pieces = [{**_name(piece, []), "rows": 0} for piece in task["pieces"]]

    def read(keys: NDArray[np.int64]) -> Floats:
        x = np.empty((len(keys), task["d"]), np.float32)
        for piece, read_piece in zip(task["pieces"], pieces, strict=True):
            first = piece["first"]
            rows = np.flatnonzero((keys >= first) & (keys < first + piece["stop"] - piece["start"]))
            x[rows] = _load(piece, task)[keys[rows] - first]
            read_piece["rows"] += len(rows)
        return x

    pair = groups.Pair(groups.Items(*task["items"]), groups.Items(*task["leaders"]), task["may_lead"])
    matches = groups.match(pair, read, task["min_score"])
    return {"pieces": pieces, "matches": matches._asdict()}


_KINDS = {function.__name__: function for function in (attend, spread, project, match)}


class _FaultError(Exception):
    """A file of a piece that can't be read."""

    def __init__(self, fault: str, piece: Record, message: str) -> None:
        super().__init__(message)
        self.answer = {"fault": fault, "file": piece["file"], "message": message}


def _read(task: Record) -> Iterator[tuple[Record, list[Block]]]:
    """Each piece of a task, and its blocks. A piece is let go of for the next one, unless it may stay mapped."""
    for piece in task["pieces"]:
        x, segment = _load(piece, task), _segment(piece)
        yield piece, [segment.block(rows, x[rows.start : rows.stop]) for rows in segment.cut(task["block"])]


def _name(piece: Record, blocks: Sequence[Block]) -> Record:
    """A piece as an answer has it, with how many rows these blocks have."""
    return {name: piece[name] for name in ("file", "start", "stop")} | {"rows": sum(len(block.x) for block in blocks)}


def name_worker() -> str:
    """The name of this process: its machine, and its number there."""
    return f"{platform.node()}:{os.getpid()}"


def _segment(piece: Record) -> SegmentRow:
    """A piece's rows as a segment of their own."""
    rows = piece["stop"] - piece["start"]
    dead, joined = (unpack_marks(piece[marks], rows) for marks in ("dead", "joined"))
    return SegmentRow(piece["first"], rows, piece["file"], piece["sums"], dead, joined)


def _load(piece: Record, task: Record) -> Floats:
    """The vectors (n, d) of a piece of a task. Raises _FaultError."""
    try:
        return _map(piece, task["d"], task["mapped"] or MAPPED)
    except FileNotFoundError:
        raise _FaultError("missing", piece, "there is no such file") from None
    except UnreachableError as error:
        raise _FaultError("unreachable", piece, str(error)) from None
    except (OSError, ValueError) as error:
        raise _FaultError("damaged", piece, getattr(error, "strerror", None) or str(error)) from None


def _map(piece: Record, d: int, most: int) -> Floats:
    """The vectors (n, d) of a piece. Raises as `copies.load` does."""
    wanted = copies.Wanted(piece["file"], (piece["rows"], d), piece["sums"])
    local = copies.find_local(wanted)
    name = (str(local), piece["rows"], d, piece["sums"], piece["start"], piece["stop"])
    with _opening:
        if name in _mapped:
            copies.mark_used(wanted, local)
            _mapped.move_to_end(name)
            return _mapped[name]
    x = copies.load(wanted, range(piece["start"], piece["stop"]))
    with _opening:
        for gone in [other for other in _mapped if not os.path.exists(other[0])]:  # noqa: PTH110 (never raises)
            del _mapped[gone]
        while _mapped and sum(other.nbytes for other in _mapped.values()) + x.nbytes > most:
            _mapped.popitem(last=False)
        _mapped[name] = x
    return x
