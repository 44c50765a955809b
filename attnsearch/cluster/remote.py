"""Attention over keys that other processes read: tasks go out, answers come back, and are complete or refused.

Axis letters: m = queries, N = all keys, d = width.

A softmax has no partial answer: a part that is missing changes every weight. So each segment must have been read once,
all of it, in the state of the catalog that was asked about. Otherwise there is no answer, and no option allows one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch.cluster.packing import Record, pack_bias, pack_marks, unpack_state
from attnsearch.cluster.part import PROTOCOL
from attnsearch.engines.engine import Parts, States
from attnsearch.engines.pieces import DEFAULT, Cut, Piece, cut_pieces
from attnsearch.engines.scan import Scan
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage.failures import changed
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias

Floats = NDArray[np.float32]
Ask = Callable[[Sequence[Record]], Sequence[Record]]
"""Called with tasks, it returns the answer to each, see `part`. It raises CatalogError if it can't, and never waits
without end."""

_AGAIN = "ask again"


class RemoteEngine:
    """The engine over other processes that see the files of an open catalog; see `engine.Engine`, the protocol.

    `ask` reaches the processes, and `close` lets go of them.
    """

    def __init__(self, store: Store, ask: Ask, close: Callable[[], None] = lambda: None, cut: Cut = DEFAULT) -> None:
        self._store = store
        self._ask = ask
        self.close = close
        self._cut = cut

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states, with the `k` best keys of each query and, with `output`, softmax(z) X (m, d)."""
        return self._read(q, plain, k, bias, output=output, every_logit=None)

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, without best keys, and every logit (m, N); -inf where a key does not count."""
        every_logit = np.full((len(q), self._store.size), -np.inf, np.float32)
        return self._read(q, plain, 0, bias, output=output, every_logit=every_logit), every_logit

    def _read(
        self, q: Floats, plain: Floats | None, k: int, bias: Bias | None, *, output: bool, every_logit: Floats | None
    ) -> States:
        self._store.check_open()
        scan = Scan(q, plain, k=k, output=output, bias=bias)
        asked = {
            "protocol": PROTOCOL,
            "commit": self._store.info.commit,
            "d": q.shape[1],
            "block": self._cut.block_rows(self._store.size, len(scan.queries)),
            "q": q,
            "plain": plain,
            "k": k,
            "output": output,
            "every": every_logit is not None,
            "mapped": None,
        }
        tasks = [{**asked, **part, "bias": pack_bias(bias, part["first"], part["first"] + part["size"])}
                 for part in self._divide()]  # fmt: skip
        answers = self._ask(tasks)
        self._check(tasks, answers)
        states = []
        for task, answered in zip(tasks, answers, strict=True):
            try:
                states += [_read_states(piece, scan) for piece in answered["pieces"]]
                if every_logit is not None:
                    place = slice(task["first"], task["first"] + task["size"])
                    every_logit[:, place] = _read_logits(answered["logits"], (len(q), task["size"]))
            except (ValueError, KeyError, TypeError) as error:
                raise self._refuse(f"the worker {answered.get('worker')} sent no valid answer: {error}") from None
        workers = len({answered["worker"] for answered in answers})
        return scan.finish(states)._replace(parts=Parts(len(self._store.segments), workers))

    def _divide(self) -> Iterator[Record]:
        """All keys as tasks of about one piece: the pieces of each, and the numbers of its keys."""
        segments = self._store.segments
        group: list[Piece] = []
        rows = 0
        for piece in cut_pieces(segments, self._cut.piece):
            first = segments[group[0].segment].first + group[0].rows.start if group else 0
            span = segments[piece.segment].first + piece.rows.stop - first
            if group and (rows + len(piece.rows) > self._cut.piece or span > 2 * self._cut.piece):
                yield self._describe(group)
                group, rows = [], 0
            group.append(piece)
            rows += len(piece.rows)
        if group:
            yield self._describe(group)

    def _describe(self, group: Sequence[Piece]) -> Record:
        """The pieces of a task, as it has them."""
        segments, files = self._store.segments, self._store.files
        first = segments[group[0].segment].first + group[0].rows.start
        pieces = []
        for number, rows in group:
            segment, within = segments[number], slice(rows.start, rows.stop)
            pieces.append(
                {
                    "file": str(files[number].absolute()),
                    "rows": segment.rows,
                    "sums": segment.sums,
                    "start": rows.start,
                    "stop": rows.stop,
                    "first": segment.first + rows.start - first,
                    "dead": None if segment.dead is None else pack_marks(segment.dead[within]),
                    "joined": None if segment.joined is None else pack_marks(segment.joined[within]),
                }
            )
        last = segments[group[-1].segment]
        return {"first": first, "size": last.first + group[-1].rows.stop - first, "pieces": pieces}

    def _check(self, tasks: Sequence[Record], answers: Sequence[Record]) -> None:
        """Raise CatalogError unless the answers are those to the tasks, each piece once; InputError for a protocol."""
        for answered in answers:
            worker = answered.get("worker")
            if answered.get("protocol") != PROTOCOL or answered.get("fault") == "protocol":
                message = f"the worker {worker} speaks protocol {answered.get('protocol')}, not {PROTOCOL}"
                raise InputError(message, hint="install the same attnsearch on all machines")
            if answered.get("commit") != self._store.info.commit:
                raise self._refuse(f"the worker {worker} answered for another state of the catalog")
            if fault := answered.get("fault"):
                raise self._explain(fault, answered)
        planned = Counter(_names(tasks))
        answered_pieces = Counter(_names(answers))
        missing = {file for file, *_ in planned - answered_pieces}
        if missing or len(answers) != len(tasks):
            count = len(self._store.segments)
            raise self._refuse(f"{count - len(missing)} of {count} segments answered")
        if extra := answered_pieces - planned:
            raise self._refuse(f"the segment {next(iter(extra))[0]} answered more than once")
        rows = sum(piece["rows"] for answered in answers for piece in answered["pieces"])
        expected = sum(segment.rows for segment in self._store.segments)
        if rows != expected:
            raise self._refuse(f"{rows:,} of {expected:,} rows were read")
        for task, answered in zip(tasks, answers, strict=True):
            if [*_names([task])] != [*_names([answered])]:
                raise self._refuse("the answers are not in the order of the tasks")

    def _explain(self, fault: str, answered: Record) -> CatalogError:
        """The error for a fault that a worker reports."""
        file, worker = answered.get("file", ""), answered.get("worker")
        message = f"the worker {worker} can't read {file}: {answered.get('message')}"
        if fault == "missing":
            if any(str(path.absolute()) == file and not path.exists() for path in self._store.files):
                return changed(self._store.info.name)
            return self._refuse(message, "give the workers the folder of the catalogs, under the same name")
        return self._refuse(message, f"'attnsearch check {self._store.info.name}' looks at every segment")

    def _refuse(self, message: str, hint: str = _AGAIN) -> CatalogError:
        return CatalogError(message, where=self._store.info.name, hint=hint)


def _names(records: Sequence[Record]) -> Iterator[tuple[str, int, int]]:
    """The pieces of tasks or answers: each by its file and rows."""
    for record in records:
        for piece in record["pieces"]:
            yield piece["file"], piece["start"], piece["stop"]


def _read_states(piece: Record, scan: Scan) -> States:
    """The states of a piece. Raises ValueError for anything else."""
    attention = unpack_state(piece["state"], scan.empty.attention)
    plain = scan.empty.plain if scan.is_plain else unpack_state(piece["plain"], scan.empty.plain)
    return States(attention, plain)


def _read_logits(array: object, shape: tuple[int, int]) -> Floats:
    """Logits of this shape. Raises ValueError for anything else."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"its logits are not an array of float32 of the shape {shape}")
    return array
