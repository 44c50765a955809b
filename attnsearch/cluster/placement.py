"""Tasks → the workers that are asked first.

A worker keeps what it has read in memory, so the same rows go to the same worker, query after query, even when other
workers come and go: rendezvous hashing, Thaler & Ravishankar 1998. A worker that has its share of the rows is passed
over, so that none has twice as many as another: consistent hashing with bounded loads, arXiv:1608.01350.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from attnsearch.cluster.packing import Record
from attnsearch.storage.checksum import row_checksum


def choose_workers(tasks: Sequence[Record], threads: Mapping[str, int]) -> list[str]:
    """The worker of each task. `threads` has how many threads each worker has, and at least one worker."""
    whole, all_threads = sum(task["size"] for task in tasks), sum(threads.values())
    free = {worker: whole * count / all_threads for worker, count in threads.items()}
    workers = []
    for task in tasks:
        first = task["pieces"][0]
        name = PurePath(first["file"]).name, first["start"]
        nearest = sorted(threads, key=lambda worker: (row_checksum(worker, *name), worker), reverse=True)
        worker = next((worker for worker in nearest if free[worker] > 0), nearest[0])
        free[worker] -= task["size"]
        workers.append(worker)
    return workers
