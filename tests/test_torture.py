"""The harnesses of tests/torture, shortened. Whole: `make torture`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.torture import faults, generations, kill, load, power, writers

SEED = 1


@pytest.fixture
def work():
    """A folder in memory: what is killed here is a process, not a machine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


def whole(told: str) -> str:
    if told.startswith("skipped"):
        pytest.skip(told)
    return told


def test_generations_have_every_kind_of_change():
    kinds = set()
    for g in range(1, 9):
        before, after = generations.items(g - 1), generations.items(g)
        kinds |= {"added"} if set(after) - set(before) else set()
        kinds |= {"removed"} if set(before) - set(after) else set()
        for ident in set(before) & set(after) - {"now"}:
            text = [(item["title"], item["description"]) for item in (before[ident], after[ident])]
            kinds |= {"text"} if text[0] != text[1] else {"fields"} if before[ident] != after[ident] else {"same"}
    assert kinds == {"added", "removed", "text", "fields", "same"}
    assert sum(generations.weights(5, "moon").values()) == pytest.approx(1)


def test_kill(work):
    kill.kill(work, SEED, kills=12)


def test_faults(work):
    whole(faults.faults(work, SEED, share=60))


def test_power(work):
    whole(power.power(work, SEED, share=24, more=1))


def test_two_writers(work):
    writers.writers(work, SEED, commits=15, hold=0.5)


def test_load(work):
    load.load(work, SEED, seconds=3)


def test_many_queries(work):
    load.many(work, SEED, small=1000, real=0)
