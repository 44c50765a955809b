from __future__ import annotations

import sys
import threading

import numpy as np  # noqa: F401 (it brings BLAS)
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from attnsearch import threads


@pytest.mark.parametrize("processors", [1, 4])
@pytest.mark.parametrize("arguments", [[], [3], [3, 1, 2], range(50)])
def test_results_come_in_order(monkeypatch, processors, arguments):
    monkeypatch.setattr(threads, "count", lambda: processors)
    assert list(threads.each(lambda number: number * 10, arguments)) == [number * 10 for number in arguments]


def test_an_error_is_raised_in_its_place(monkeypatch):
    monkeypatch.setattr(threads, "count", lambda: 2)
    results = threads.each(lambda number: 12 // number, [3, 0, 4])
    assert next(results) == 4
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_calls_overlap(monkeypatch):
    """Two calls that wait for each other end only if they run at the same time."""
    monkeypatch.setattr(threads, "count", lambda: 2)
    barrier = threading.Barrier(2, timeout=10)
    assert sorted(threads.each(lambda _: barrier.wait(), range(2))) == [0, 1]


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_no_more_threads_start(monkeypatch, allowed):
    """A limit of processes, as in a container: this thread does what others can't."""
    started = []
    start = threading.Thread.start

    def refuse(thread):
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threads, "count", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert list(threads.each(lambda number: number * 10, range(50))) == [number * 10 for number in range(50)]


def test_there_is_at_least_one_thread():
    assert threads.count() >= 1


class TestBlas:
    """BLAS has one thread while ours run, and then as many as its user gave it."""

    @pytest.fixture(autouse=True)
    def two_threads(self, monkeypatch):
        monkeypatch.setattr(threads, "count", lambda: 2)
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        with threadpool_limits(2, user_api="blas"):
            assert self.sizes() == {2}
            yield
            assert self.sizes() == {2}

    @staticmethod
    def sizes(_=None):
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    def test_one_each(self):
        assert list(threads.each(self.sizes, range(3))) == [{1}] * 3

    def test_nested(self):
        results = threads.each(lambda _: [*threads.each(self.sizes, range(2)), self.sizes()], range(3))
        assert list(results) == [[{1}] * 3] * 3

    def test_two_callers_at_a_time(self):
        """The one that ends first leaves the other alone."""
        first, second = threads.each(self.sizes, range(2)), threads.each(self.sizes, range(2))
        assert next(first) == next(second) == {1}
        assert list(first) == [{1}]
        assert self.sizes() == {1}
        assert list(second) == [{1}]

    def test_an_error(self):
        with pytest.raises(ZeroDivisionError):
            list(threads.each(lambda number: 1 // number, range(2)))

    def test_a_single_call_is_left_alone(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
        assert list(threads.each(len, ["ab"])) == [2]

    def test_where_blas_has_one_anyway(self, monkeypatch):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
        assert list(threads.each(len, ["ab", "c"])) == [2, 1]
