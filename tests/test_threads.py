from __future__ import annotations

import threading

import pytest

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
