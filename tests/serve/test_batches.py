"""Those who wait at the same time are answered together, each with its own answer or its own error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from attnsearch import update
from attnsearch.errors import InputError
from attnsearch.serve import answers, batches
from attnsearch.serve.batches import Batches
from attnsearch.serve.catalogs import Catalogs
from attnsearch.wire.requests import QueryRequest


class Call:
    """Doubles numbers; the first call waits until it may go on. `calls` has the arguments of each call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, numbers: list[int]) -> list[int]:
        self.calls.append(numbers)
        self.began.set()
        assert self.may_end.wait(10)
        if -1 in numbers:
            raise InputError("a negative number")
        return [2 * number for number in numbers]


@pytest.fixture
def call():
    return Call()


def ask_together(call: Call, numbers: list[int], keys: str = "", at_once: int = 1) -> list[Future[int]]:
    """Ask the numbers in turn, with the key "a" unless another is given, while the first is being answered."""
    joined: Batches[int, int] = Batches(at_once)
    keys = keys or "a" * len(numbers)
    futures = []
    with ThreadPoolExecutor(len(numbers)) as pool:
        for place, (number, key) in enumerate(zip(numbers, keys, strict=True)):
            futures.append(pool.submit(joined.ask, key, number, call))
            count = keys[: place + 1].count("a")
            wait_until(lambda count=count: joined._running["a"] + len(joined._waiting.get("a", ())) == count)
        wait_until(call.began.is_set)
        call.may_end.set()
    assert joined._waiting == joined._running == {}
    return futures


def wait_until(is_true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2_000):
        if is_true():
            return
        pause.wait(0.005)
    raise AssertionError


def test_who_finds_nobody_is_answered_alone(call):
    call.may_end.set()
    joined: Batches[int, int] = Batches()
    assert [joined.ask("a", number, call) for number in (1, 2)] == [2, 4]
    assert call.calls == [[1], [2]]


def test_those_who_wait_are_answered_together(call):
    assert [future.result(10) for future in ask_together(call, [1, 2, 3, 4])] == [2, 4, 6, 8]
    assert call.calls == [[1], [2, 3, 4]]


def test_as_many_at_once_as_may_be(call):
    """Then each takes its share, and leaves the others to those that run beside it."""
    futures = ask_together(call, [1, 2, 3, 4, 5, 6, 7], at_once=2)
    assert [future.result(10) for future in futures] == [2, 4, 6, 8, 10, 12, 14]
    assert sorted(call.calls) == [[1], [2], [3, 4, 5], [6], [7]]


def test_other_keys_do_not_wait(call):
    futures = ask_together(call, [1, 2, 3], "aba")
    assert [future.result(10) for future in futures] == [2, 4, 6]
    assert sorted(call.calls) == [[1], [2], [3]]


def test_only_so_many(call, monkeypatch):
    monkeypatch.setattr(batches, "MOST", 2)
    assert [future.result(10) for future in ask_together(call, [1, 2, 3, 4, 5, 6])] == [2, 4, 6, 8, 10, 12]
    assert call.calls == [[1], [2, 3], [4, 5], [6]]


@pytest.mark.parametrize("numbers", [[1, 2, -1, 4], [-1, 2, 3, 4], [1, -1, 3, 4]])
def test_the_error_of_one_is_nobody_elses(call, numbers):
    futures = ask_together(call, numbers)
    for number, future in zip(numbers, futures, strict=True):
        if number == -1:
            with pytest.raises(InputError, match="a negative number"):
                future.result(10)
        else:
            assert future.result(10) == 2 * number


def test_too_few_answers_are_a_fault_of_each(call):
    call.may_end.set()
    with pytest.raises(ValueError, match="shorter"):
        Batches().ask("a", 1, lambda _: [])


class TestQueries:
    @pytest.fixture
    def catalogs(self, small):
        update([{"id": "a", "title": "moon"}, {"id": "b", "title": "sea"}, {"id": "c", "title": "robot"}], name="shop")
        with closing(Catalogs()) as opened:
            opened.batches = Batches(1)
            yield opened

    def test_many_are_answered_as_each_alone(self, catalogs, monkeypatch):
        requests = [
            QueryRequest(query=text, k=k, **options)
            for text in ("moon", "sea", "robot", "moon sea", "  ", "robot moon")
            for k in (1, 2, None)
            for options in ({}, {"untrained": True}, {"top_p": 0.9}, {"min_weight": 0.1}, {"explain": True})
        ] * 2

        def ask(request: QueryRequest) -> object:
            try:
                answer = answers.answer_query(catalogs, request)
            except InputError as error:
                return str(error)
            del answer["elapsed_ms"]
            return answer

        expected = [ask(request) for request in requests]
        sizes = []
        search = answers.search
        monkeypatch.setattr(
            answers, "search", lambda index, texts, *rest, **options: sizes.append(len(texts)) or search(
                index, texts, *rest, **options
            )
        )  # fmt: skip
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(ask, requests)) == expected
        assert max(sizes) > 1

    @pytest.mark.parametrize(
        ("options", "widest", "joined"),
        [
            ({}, 3, 2), ({"min_score": 0.5}, 3, 2), ({}, answers.MOST_JOINED, 2), ({}, answers.MOST_JOINED + 1, 1),
            ({"explain": True}, 3, 2), ({"top_p": 0.9}, 3, 2),
        ],
    )  # fmt: skip
    def test_those_that_want_few_hits_are_joined(self, catalogs, monkeypatch, options, widest, joined):
        requests = [QueryRequest(query="moon", k=1, **options), QueryRequest(query="sea", k=widest, **options)]
        keys = []
        monkeypatch.setattr(catalogs.batches, "ask", lambda key, request, call: keys.append(key) or call([request])[0])
        for request in requests:
            answers.answer_query(catalogs, request)
        assert len(set(keys)) == 3 - joined

    def test_one_sees_a_commit_that_came_before_it(self, catalogs, monkeypatch):
        """Though those beside whom it is answered came before that."""
        search, began, may_go_on = answers.search, threading.Event(), threading.Event()

        def search_slowly(*options, **others):
            began.set()
            assert may_go_on.wait(10)
            return search(*options, **others)

        monkeypatch.setattr(answers, "search", search_slowly)
        request = QueryRequest(query="moon", k=9)
        with ThreadPoolExecutor(3) as pool:
            before = pool.submit(answers.answer_query, catalogs, request)
            assert began.wait(10)
            meanwhile = pool.submit(answers.answer_query, catalogs, request)
            wait_until(lambda: any(catalogs.batches._waiting.values()))
            update([{"id": "d", "title": "moon"}], name="shop", keep=True)
            after = pool.submit(answers.answer_query, catalogs, request)
            wait_until(lambda: any(len(waiting) == 2 for waiting in catalogs.batches._waiting.values()))
            may_go_on.set()
            counts = [len(call.result(10)["hits"]) for call in (before, meanwhile, after)]
        assert counts == [3, 4, 4]
