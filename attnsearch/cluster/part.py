"""A task → its answer: the part of an engine's work that any process can do which sees the segments' files.

`answer` is a pure function of an installed module. A scheduler sends its name and a task, both of plain values; the
process needs no catalog, no database and no encoder. Segments never change, so it keeps those that it has verified.

A task has
    protocol, commit        what both sides must agree on
    d, block                the width, and the rows that are compared at once
    first, size             the number of the task's first key, and how many follow; keys are numbered from it
    pieces                  the rows to read: file, rows and sums of the segment; start, stop; first, its key's number;
                            and the marks dead and joined of these rows
    mapped                  how many bytes the process may keep mapped; None for the default
    q, plain, k, output, bias, every
                            what `engine.Engine.attend` takes, and whether every logit is wanted
and its answer
    protocol, commit, worker
    pieces                  for each: file, start, stop, the rows that were read, its state, and its plain state
    logits                  (m, size), or None
or, in the place of the last two, `fault`, `file` and `message`.
"""

from __future__ import annotations

import os
import platform
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch import __version__, threads
from attnsearch.cluster.packing import Record, pack_state, unpack_bias, unpack_marks
from attnsearch.engines.scan import Scan
from attnsearch.storage.segment import SegmentRow, find_first_keys, load_rows

PROTOCOL = 1

MAPPED = 1 << 36  # bytes of segments that a process keeps mapped, unless a task says less

Floats = NDArray[np.float32]

_mapped: OrderedDict[tuple[Any, ...], Floats] = OrderedDict()  # verified rows; the least recently used first
_opening = threading.Lock()


def describe() -> Record:
    """The versions on this side, of which those that matter must be the same on both; and where it is."""
    python, numpy = (".".join(version.split(".")[:2]) for version in (platform.python_version(), np.__version__))
    return {"protocol": PROTOCOL, "attnsearch": __version__, "Python": python, "numpy": numpy, "worker": _worker()}


def answer(task: Record) -> Record:
    """Do a task; see the head of the file. Whatever is wrong with the files is in the answer, and nothing is raised."""
    about = {"protocol": PROTOCOL, "commit": task["commit"], "worker": _worker()}
    if task["protocol"] != PROTOCOL:
        return {**about, "fault": "protocol", "file": "", "message": f"it speaks protocol {PROTOCOL}"}
    vectors = []
    for piece in task["pieces"]:
        try:
            vectors.append(_load(piece, task["d"], task["mapped"] or MAPPED))
        except FileNotFoundError:
            return {**about, "fault": "missing", "file": piece["file"], "message": "there is no such file"}
        except (OSError, ValueError) as error:
            message = getattr(error, "strerror", None) or str(error)
            return {**about, "fault": "damaged", "file": piece["file"], "message": message}
    size = task["size"]
    segments = [_segment(piece) for piece in task["pieces"]]
    every_logit = np.full((len(task["q"]), size), -np.inf, np.float32) if task["every"] else None
    scan = Scan(
        task["q"],
        task["plain"],
        k=task["k"],
        output=task["output"],
        bias=unpack_bias(task["bias"], find_first_keys(segments, size), size),
        every_logit=every_logit,
    )
    pieces = []
    for piece, segment, x in zip(task["pieces"], segments, vectors, strict=True):
        blocks = [segment.block(rows, x[rows.start : rows.stop]) for rows in segment.cut(task["block"])]
        with threads.ONE_THREAD_OF_BLAS:  # as local engines have it: several threads round otherwise
            states = scan.merge(map(scan.attend, blocks))
        pieces.append(
            {
                **{name: piece[name] for name in ("file", "start", "stop")},
                "rows": sum(len(block.x) for block in blocks),
                "state": pack_state(states.attention, task["first"]),
                "plain": None if scan.is_plain else pack_state(states.plain),
            }
        )
    return {**about, "pieces": pieces, "logits": every_logit}


def _worker() -> str:
    """The name of this process: its machine, and its number there."""
    return f"{platform.node()}:{os.getpid()}"


def _segment(piece: Record) -> SegmentRow:
    """A piece's rows as a segment of their own."""
    rows = piece["stop"] - piece["start"]
    dead, joined = (unpack_marks(piece[marks], rows) for marks in ("dead", "joined"))
    return SegmentRow(piece["first"], rows, piece["file"], piece["sums"], dead, joined)


def _load(piece: Record, d: int, most: int) -> Floats:
    """The vectors (n, d) of a piece. Raises OSError and ValueError as `load_rows` does."""
    name = (piece["file"], piece["rows"], d, piece["sums"], piece["start"], piece["stop"])
    with _opening:
        if name in _mapped:
            _mapped.move_to_end(name)
            return _mapped[name]
    file, shape = Path(piece["file"]), (piece["rows"], d)
    x = load_rows(file.parent, file.name, shape, piece["sums"], range(piece["start"], piece["stop"]))
    with _opening:
        for gone in [other for other in _mapped if not os.path.exists(other[0])]:  # noqa: PTH110 (never raises)
            del _mapped[gone]
        while _mapped and sum(other.nbytes for other in _mapped.values()) + x.nbytes > most:
            _mapped.popitem(last=False)
        _mapped[name] = x
    return x
