"""Texts whose vectors other processes compute: batches go out, and vectors come back, proven to be an encoder's own.

Axis letters: n = texts, d = width.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from attnsearch.cluster.packing import Record
from attnsearch.cluster.part import PROTOCOL
from attnsearch.cluster.remote import protocol_error
from attnsearch.cluster.texts import PROBES, describe_encoder, describe_work, embed
from attnsearch.encoding.encoder import Encoder, agree
from attnsearch.errors import CatalogError, ModelError
from attnsearch.models.model import is_offline

Floats = NDArray[np.float32]
Stream = Callable[
    [Callable[[Record], Record], Iterator[Record], Callable[[Record], str]], Generator[tuple[int, Record], None, None]
]
"""`Cluster.stream`, or what is called in the same way."""

_ROUNDING = 1e-3  # of the length of a unit vector


class Shares(NamedTuple):
    """How many batches were embedded, and by how many workers."""

    batches: int
    workers: int


class RemoteEncoder:
    """Embeds texts in other processes, which `stream` reaches, as an encoder here would.

    `offline` keeps them from fetching a model, as does the environment here.
    """

    def __init__(self, stream: Stream, *, offline: bool = False) -> None:
        self._stream = stream
        self._offline = offline
        self._batches = 0
        self._workers: set[str] = set()

    @property
    def shares(self) -> Shares:
        """What has been done so far."""
        return Shares(self._batches, len(self._workers))

    def encode_batches(
        self, encoder: Encoder, batches: Iterator[Sequence[str]]
    ) -> Generator[tuple[int, Floats], None, None]:
        """The number of each batch of n texts, as they come, and its unit vectors (n, d).

        Raises ModelError for a worker that has another model, or that computes other vectors than the encoder does of
        the same texts; CatalogError if some vectors don't come.
        """
        first = list(itertools.islice(batches, 1))
        if not first:
            return
        asked = {
            "protocol": PROTOCOL,
            "heads": describe_encoder(encoder),
            "offline": is_offline(offline=self._offline),
            "role": "key",
        }
        own = encoder.encode(PROBES)
        counts: dict[int, int] = {}

        def draw() -> Iterator[Record]:
            for number, texts in enumerate(itertools.chain(first, batches)):
                counts[number] = len(texts)
                yield {**asked, "texts": list(texts)}

        with closing(self._stream(embed, draw(), describe_work)) as answers:
            for number, answered in answers:
                x = self._check(answered, encoder, own, counts.pop(number))
                self._batches += 1
                self._workers.add(answered["worker"])
                yield number, x

    def _check(self, answered: Record, encoder: Encoder, own: Floats, n: int) -> Floats:
        """The vectors (n, d) of an answer, if the worker's vectors of the probes are our `own` (3, d)."""
        if type(answered) is not dict or not isinstance(answered.get("worker"), str):
            raise CatalogError(
                "a worker sent no valid answer: it has no fields, or does not say whose", hint="index again"
            )
        worker, name = answered["worker"], encoder.model.name
        if answered.get("protocol") != PROTOCOL:
            raise protocol_error(answered)
        if fault := answered.get("fault"):
            raise ModelError(f"the worker {worker} can't embed: {fault}", hint=str(answered.get("hint") or ""))
        probes, x = answered.get("probes"), answered.get("x")
        if not (_are_unit(probes, own.shape) and agree(probes, own, encoder.precision)):
            message = f"the worker {worker} computes other vectors of the same texts, with the same files"
            hint = "install the same torch and sentence-transformers there, or index without --on"
            raise ModelError(message, where=name, hint=hint)
        if not _are_unit(x, (n, own.shape[1])):
            message = f"the worker {worker} sent no valid answer: not {n} unit vectors of {own.shape[1]} numbers"
            raise CatalogError(message, hint="index again")
        return x


def _are_unit(x: object, shape: tuple[int, ...]) -> TypeGuard[Floats]:
    """Whether something is an array of unit vectors of this shape."""
    if type(x) is not np.ndarray or x.shape != shape or x.dtype != np.float32:
        return False
    return bool((np.abs(np.linalg.norm(x, axis=1) - 1) < _ROUNDING).all())  # NaN is not
