"""The harnesses of tests/torture, shortened. Whole: `make torture`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from tests.torture import faults, generations, kill, load, power, writers
from tests.torture.driver import Nursery

pytestmark = pytest.mark.slow  # processes that are killed, by the hundred

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
    whole(faults.faults(work, SEED, share=100))


def test_power(work):
    whole(power.power(work, SEED, share=80, more=1))


def meet(work, scene, fault, op, name):
    """Play a scene with a fault at one call: the first on a file of this name."""
    library = faults.compiled(work)
    if not library:
        pytest.skip("no C compiler, or not Linux on 64 bits")
    (fault,) = [one for one in faults.FAULTS if one.words == fault]
    with Nursery(library) as nursery:
        (scene,) = [one for one in faults.scenes(work, nursery) if one.words == scene]
        calls = faults.calls(nursery, work, scene)
        found = [at for at, call in enumerate(calls, 1) if call.op == op and re.fullmatch(name, call.base)]
        return faults.attempt(nursery, work, scene, fault, found[0])


class TestFound:
    """What the harnesses found, each by itself."""

    @pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT"])
    def test_a_draft_that_cant_be_written(self, work, error):
        assert meet(work, "commit", f"{error} from then on", "write", "unfinished-.*") == "failed"

    def test_death_before_there_is_a_wal(self, work):
        assert meet(work, "first commit", "die after", "write", "index.sqlite") == "died"

    def test_a_power_cut_after_the_first_commit_in_a_new_home(self, work):
        whole(power.power(work, SEED, share=1, more=0, only="first commits in a new home", after="note"))

    def test_a_power_cut_in_a_removal(self, work):
        whole(power.power(work, SEED, share=3, more=0, only="removal", after="unlink"))


def test_two_writers(work):
    writers.writers(work, SEED, commits=10, hold=2.0)


def test_load(work):
    load.load(work, SEED, seconds=3)


def test_many_queries(work):
    load.many(work, SEED, small=1000, real=0)
