"""Texts → their vectors, by any process that has the encoder's model.

`embed` is a pure function of an installed module, as `part.answer` is. A process keeps the encoder that it has loaded.
With each answer come its vectors of the `PROBES`, by which the other side sees that both compute the same: so nothing
of a process counts that has not shown this, whenever it joined.

A task has
    protocol                what both sides must agree on
    heads                   the encoder: of each head the model's name, sha256 and identity; its use, as a list; quick,
                            precision and weight
    offline                 whether no model may be fetched
    role, texts             what `encoder.Encoder.encode` takes; n texts
and its answer
    protocol, worker
    probes                  the vectors (3, d) of the probes, with the prompt of keys
    x                       the vectors (n, d) of the texts
or, in the place of the last two, `fault` and `hint`.

Axis letters: n = texts, d = width.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.cluster.packing import Record
from attnsearch.cluster.part import PROTOCOL, name_worker
from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder, parts_of
from attnsearch.encoding.heads import HeadsEncoder
from attnsearch.errors import AttnsearchError, ModelError
from attnsearch.models.model import is_path
from attnsearch.models.use import Use

# In scripts and lengths of several kinds; the last one is longer than what most models read.
PROBES = ("The moon rises over the quiet sea.", "naïve Straße, 日本の小説 🚀 [SEP] 1984", "a robot counts stars " * 150)

_MOST = 2  # encoders that a process keeps

Floats = NDArray[np.float32]


class _Loaded(NamedTuple):
    """An encoder, and its vectors (3, d) of the probes."""

    encoder: Encoder
    probes: Floats


_loaded: OrderedDict[str, _Loaded] = OrderedDict()  # the least recently used first
_embedding = threading.Lock()  # one batch after another, each with all threads of this process


def describe_encoder(encoder: Encoder) -> list[Record]:
    """The heads of an encoder, as a task has them."""
    weights = encoder.weights if isinstance(encoder, HeadsEncoder) else (1.0,)
    return [
        {
            "model": part.model.name,
            "sha256": part.model.sha256,
            "identity": part.model.identity,
            "use": [*part.use],
            "quick": part.quick,
            "precision": part.precision,
            "weight": weight,
        }
        for part, weight in zip(parts_of(encoder), weights, strict=True)
    ]


def describe_work(task: Record) -> str:
    """What a worker did with a task, for a message about one that it did not survive."""
    return f"embedded {len(task['texts']):,} texts of {sum(map(len, task['texts'])):,} characters"


def embed(task: Record) -> Record:
    """Do a task; see the head of the file. Whatever is wrong with a model is in the answer."""
    about = {"protocol": PROTOCOL, "worker": name_worker()}
    if task["protocol"] != PROTOCOL:
        return {**about, "fault": f"it speaks protocol {PROTOCOL}, not {task['protocol']}", "hint": ""}
    try:
        with _embedding, threads.ONE_THREAD_OF_BLAS:
            encoder, probes = _load(task)
            return {**about, "probes": probes, "x": encoder.encode(task["texts"], task["role"])}
    except AttnsearchError as error:
        return {**about, "fault": error.message, "hint": error.hint}


def _load(task: Record) -> _Loaded:
    """The encoder of a task. Raises ModelError for one that is not here, or not the same."""
    name = json.dumps(task["heads"])
    if name in _loaded:
        _loaded.move_to_end(name)
        return _loaded[name]
    _limit_threads()
    encoders = [_load_head(head, offline=task["offline"]) for head in task["heads"]]
    weights = [head["weight"] for head in task["heads"]]
    encoder = encoders[0] if len(encoders) == 1 else HeadsEncoder(encoders, weights)
    loaded = _Loaded(encoder, encoder.encode(PROBES))
    _loaded[name] = loaded
    if len(_loaded) > _MOST:
        _loaded.popitem(last=False)
    return loaded


def _load_head(head: Record, *, offline: bool) -> Encoder:
    name, use = head["model"], Use(*head["use"])
    if is_path(name) and not Path(name).is_dir():
        raise ModelError("no such folder", where=name, hint="copy the model there, to a folder of the same name")
    encoder = loading.load(name, offline=offline, quick=head["quick"], remembered=True, use=use)
    if not encoder.model.made(head["sha256"], head["identity"]):
        what = "weights" if encoder.model.sha256 != head["sha256"] else "files"
        raise ModelError(f"has other {what} than here", where=name, hint="copy the model there from here")
    encoder = encoder.suited(0, head["precision"])
    if encoder.precision != head["precision"]:
        raise ModelError(f"can't be run in {head['precision']}", where=encoder.model.name)
    return encoder


def _limit_threads() -> None:
    """Take as many threads as a worker of Dask has, of which there may be several on one machine."""
    if "distributed" not in sys.modules:
        return
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # this is none
        return
    threads.limit(worker.state.nthreads)
