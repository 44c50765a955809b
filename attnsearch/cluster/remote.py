"""Attention over keys that other processes read: tasks go out, answers come back, and are complete or refused.

Axis letters: m = queries, N = all keys, d = width.

A softmax has no partial answer: a part that is missing changes every weight. So each segment must have been read once,
all of it, in the state of the catalog that was asked about. Otherwise there is no answer, and no option allows one.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnsearch.cluster.packing import (
    Record,
    find_problem,
    pack_bias,
    pack_marks,
    read_covariances,
    read_matches,
    read_states,
    unpack_numbers,
)
from attnsearch.cluster.part import PROTOCOL, VersionsError
from attnsearch.engines.covariance import Covariance, merge_covariances
from attnsearch.engines.engine import Parts, States
from attnsearch.engines.groups import Matches, Pair, group_items
from attnsearch.engines.pieces import DEFAULT, Cut, Piece, cut_pieces
from attnsearch.engines.scan import Scan
from attnsearch.errors import CatalogError
from attnsearch.storage.failures import changed
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias
    from attnsearch.engines.groups import Groups, Progress

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]
Answer = TypeVar("Answer")
Ask = Callable[[Sequence[Record]], Sequence[Record]]
"""Called with tasks, it returns the answer to each, see `part`. It raises CatalogError if it can't, and never waits
without end."""

_numbers = itertools.count(uuid.uuid4().int >> 70)  # of tasks; those of another run have others
_AGAIN = "ask again"
_TASKS = 16  # of a block of items, at least, if each has a block of leaders
_MOST = 4  # blocks of leaders in a task: a third of a second of work for one thread
_AT_ONCE = 128  # tasks under one deadline, where all of them may take hours


class RemoteEngine:
    """The engine over other processes that see the files of an open catalog; see `engine.Engine`, the protocol.

    `ask` reaches the processes, and `close` lets go of them, who open the segments under the names `files`, if given.
    """

    def __init__(
        self, store: Store, ask: Ask, close: Callable[[], None] = lambda: None, cut: Cut = DEFAULT,
        files: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._store = store
        self._files = files or [str(file.absolute()) for file in store.files]
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

    def group_items(
        self, first_keys: Numbers, counts: Numbers, min_score: float, *, progress: Progress | None = None
    ) -> Groups:
        """Group items by their keys: see `engine.Engine.group_items`."""
        rows = self._cut.pairs

        def compare(pair: Pair) -> Iterator[Matches]:
            share = min(max(int(pair.leaders.counts.sum()) // _TASKS, rows), _MOST * rows)
            parts = [pair] if pair.may_lead else pair.split(share)
            tasks = (self._describe_pair(part, min_score) for part in parts)
            return self._ask_for(tasks, read_matches)

        return group_items(first_keys, counts, compare, rows=rows, progress=progress)

    def measure_covariance(self) -> Covariance:
        """The covariance of all keys, in float64."""
        tasks = self._divide("spread", block=self._cut.block)
        pieces = itertools.chain.from_iterable(self._ask_for(tasks, read_covariances))
        return merge_covariances(pieces, self._store.info.d)

    def project(self, axes: Doubles) -> Doubles:
        """The coordinates (N, a) of each key along the axes (a, d), in float64, by key number; 0 where none has it."""
        points = np.zeros((self._store.size, len(axes)))

        def place(task: Record, answered: Record) -> None:
            first, size = task["first"], task["size"]
            points[first : first + size] = unpack_numbers(answered, "points", (size, len(axes)))

        for _ in self._ask_for(self._divide("project", block=self._cut.block, axes=axes), place):
            pass
        return points

    def _read(
        self, q: Floats, plain: Floats | None, k: int, bias: Bias | None, *, output: bool, every_logit: Floats | None
    ) -> States:
        scan = Scan(q, plain, k=k, output=output, bias=bias)
        workers = set()
        tasks = self._divide(
            "attend",
            block=self._cut.block_rows(self._store.size, len(scan.queries)),
            q=q,
            plain=plain,
            k=k,
            output=output,
            every=every_logit is not None,
        )
        for task in tasks:
            task["bias"] = pack_bias(bias, task["first"], task["first"] + task["size"])

        def read(task: Record, answered: Record) -> list[States]:
            workers.add(answered["worker"])
            place = slice(task["first"], task["first"] + task["size"])
            return read_states(task, answered, scan, bias, None if every_logit is None else every_logit[:, place])

        pieces = itertools.chain.from_iterable(self._ask_for(tasks, read, at_once=len(tasks)))
        states = scan.finish([*pieces])
        state = states.attention
        is_short = (state.top_logits > -np.inf).sum(axis=1) < np.minimum(state.visible, k)
        if (is_short & (state.maximum < np.inf)).any():
            raise self._refuse("a worker sent no valid answer: fewer best keys than there are")
        return states._replace(parts=Parts(len(self._store.segments), len(workers)))

    def _ask_for(
        self, tasks: Iterable[Record], read: Callable[[Record, Record], Answer], at_once: int = _AT_ONCE
    ) -> Iterator[Answer]:
        """What `read` makes of each task and its answer, in order; so many tasks are asked at a time."""
        remaining = iter(tasks)
        while batch := list(itertools.islice(remaining, at_once)):
            self._store.check_open()
            answers = self._ask(batch)
            if problems := [*filter(None, map(find_problem, answers))]:
                raise self._refuse(f"a worker sent no valid answer: {problems[0]}")
            self._check(batch, answers)
            for task, answered in zip(batch, answers, strict=True):
                try:
                    yield read(task, answered)
                except (ValueError, KeyError, TypeError) as error:
                    message = f"the worker {answered.get('worker')} sent no valid answer: {error}"
                    raise self._refuse(message) from None

    def _head(self, kind: str) -> Record:
        """What every task has."""
        commit = self._store.info.commit
        number, d = next(_numbers), self._store.info.d
        return {"protocol": PROTOCOL, "commit": commit, "number": number, "kind": kind, "d": d, "mapped": None}

    def _divide(self, kind: str, **asked: object) -> list[Record]:
        """All keys as tasks of about one piece."""
        groups = self._group_pieces(cut_pieces(self._store.segments, self._cut.piece))
        return [{**self._head(kind), **asked, **self._describe(group)} for group in groups]

    def _group_pieces(self, pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
        """Small pieces together, up to the rows of a large one."""
        segments = self._store.segments
        group: list[Piece] = []
        rows = 0
        for piece in pieces:
            first = segments[group[0].segment].first + group[0].rows.start if group else 0
            span = segments[piece.segment].first + piece.rows.stop - first
            if group and (rows + len(piece.rows) > self._cut.piece or span > 2 * self._cut.piece):
                yield group
                group, rows = [], 0
            group.append(piece)
            rows += len(piece.rows)
        if group:
            yield group

    def _describe(self, group: Sequence[Piece]) -> Record:
        """The pieces of a task, as it has them."""
        segments = self._store.segments
        first = segments[group[0].segment].first + group[0].rows.start
        pieces = []
        for number, rows in group:
            segment, within = segments[number], slice(rows.start, rows.stop)
            pieces.append(
                {
                    "file": self._files[number],
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
        size, count = last.first + group[-1].rows.stop - first, sum(len(rows) for _, rows in group)
        return {"first": first, "size": size, "rows": count, "pieces": pieces}

    def _describe_pair(self, pair: Pair, min_score: float) -> Record:
        """A task that compares a pair."""
        keys = pair.items.keys if pair.may_lead else np.concatenate([pair.items.keys, pair.leaders.keys])
        pieces = [*cut_pieces(self._store.segments, self._cut.piece)]
        firsts = [self._store.segments[segment].first + rows.start for segment, rows in pieces]
        touched = sorted(set((np.searchsorted(firsts, keys, side="right") - 1).tolist()))
        task = {**self._head("match"), **self._describe([pieces[n] for n in touched]), "rows": len(keys)}
        for name, items in (("items", pair.items), ("leaders", pair.leaders)):
            task[name] = [items.numbers, items.first_keys - task["first"], items.counts]
        return {**task, "may_lead": pair.may_lead, "min_score": min_score}

    def _check(self, tasks: Sequence[Record], answers: Sequence[Record]) -> None:
        """Raise CatalogError unless the answers are those to the tasks, each piece once; InputError for a protocol."""
        for answered in answers:
            worker = answered["worker"]
            if answered.get("protocol") != PROTOCOL or answered.get("fault") == "protocol":
                raise protocol_error(answered)
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
        for task, answered in zip(tasks, answers, strict=True):
            if [*_names([task])] != [*_names([answered])] or task["number"] != answered["number"]:
                raise self._refuse("the answers are not in the order of the tasks")
            rows = [piece["rows"] for piece in answered["pieces"]]
            sizes = [piece["stop"] - piece["start"] for piece in task["pieces"]]
            if sum(rows) != task["rows"] or min(rows) < 0 or (rows != sizes and task["kind"] != "match"):
                raise self._refuse(f"{sum(rows):,} of {task['rows']:,} rows were read")

    def _explain(self, fault: str, answered: Record) -> CatalogError:
        """The error for a fault that a worker reports."""
        file, worker = answered.get("file", ""), answered.get("worker")
        message = f"the worker {worker} can't read {file}: {answered.get('message')}"
        if fault == "unreachable":
            return self._refuse(message, "each worker must be able to read it, and to keep a copy")
        number = {str(path.absolute()): number for number, path in enumerate(self._store.files)}.get(file)
        if number is None and file in self._files:
            return self._refuse(message, f"publish the catalog again{', with --again' * (fault == 'damaged')}")
        is_here = number is not None and self._store.files[number].exists()
        if fault == "missing" and number is not None and not is_here:
            return changed(self._store.info.name)
        if fault == "missing":
            return self._refuse(message, "publish the catalog, or give the workers its folder, under the same name")
        if number is not None and is_here:
            self._store.load_rows(number)  # raises what a query without workers does
            message = f"{message}, though here it is"
        return self._refuse(message, "see what that machine has in its place")

    def _refuse(self, message: str, hint: str = _AGAIN) -> CatalogError:
        return CatalogError(message, where=self._store.info.name, hint=hint)


def protocol_error(answered: Record) -> VersionsError:
    """The error for the answer of a worker that speaks another protocol."""
    message = f"the worker {answered['worker']} speaks protocol {answered.get('protocol')}, not {PROTOCOL}"
    return VersionsError(message, hint="install the same attnsearch on all machines")


def _names(records: Sequence[Record]) -> Iterator[tuple[str, int, int]]:
    """The pieces of tasks or answers: each by its file and rows."""
    for record in records:
        for piece in record["pieces"]:
            yield piece["file"], piece["start"], piece["stop"]
