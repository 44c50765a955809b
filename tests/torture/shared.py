"""One index shared by threads, and by tasks of asyncio, while a writer commits: every answer is of the state it opened.

Some indexes are closed while threads still ask: these get an answer, or that the index is closed, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from attnsearch import Index
from tests.torture import generations
from tests.torture.driver import LIMIT, Nursery
from tests.torture.generations import QUERIES
from tests.torture.load import PAUSE, Answer, check_currency
from tests.torture.verifier import CLOSE, NAME, Violation, find_generation, using_home, verify

THREADS = 16
CALLS = 4  # of each thread, to one index


def shared(work: Path, seed: int, seconds: float = 60.0) -> str:
    """Let threads share one index after the other while a writer commits; a summary."""
    home, source = work / "shared", work / "shared.jsonl"
    count = max(int(seconds / PAUSE), 2)
    generations.items(count + 1)  # which threads must not make
    chance = random.Random(seed)
    answers, calls = [], 0
    with Nursery() as nursery, using_home(home), ThreadPoolExecutor(THREADS) as pool, ThreadPoolExecutor(1) as waiting:
        nursery.run(home, source, first=0, count=1)
        options = {"first": 1, "count": count, "pause": PAUSE, "limit": seconds * 10 + LIMIT}
        writer = waiting.submit(nursery.run, home, source, **options)
        while not writer.done() or not answers:
            answer, answered = _ask_round(pool, chance)
            answers.append(answer)
            calls += answered
        outcome = writer.result()
    if len(outcome.acknowledged) != count or outcome.errors:
        raise Violation(f"the writer stopped: {outcome.events[-3:]} {outcome.errors}")
    check_currency(answers, outcome)
    verify(home, source, count, count)
    seen = len({answer.generation for answer in answers})
    return f"{THREADS} threads, {calls} answers of {len(answers)} indexes, {seen} of {count + 1} generations"


def _ask_round(pool: ThreadPoolExecutor, chance: random.Random) -> tuple[Answer, int]:
    """Open an index, and ask it in all threads at once: the generation it has, and how many answers there were."""
    start = time.monotonic()
    index = Index.open(NAME)
    end = time.monotonic()
    barrier = threading.Barrier(THREADS, timeout=LIMIT)
    plans = [[chance.choice(ASK) for _ in range(CALLS)] for _ in range(THREADS)]
    closes_early = chance.random() < 0.3

    def ask(plan: list[Callable[[Index], int]]) -> list[int]:
        barrier.wait()
        seen = []
        for call in plan:
            try:
                seen.append(call(index))
            except ValueError as error:
                if not closes_early or not str(error).endswith("the index is closed; open it again"):
                    raise
        return seen

    with index:
        generation = index["now"].fields["generation"]
        if chance.random() < 0.5:
            lists = asyncio.run(_gather(pool, ask, plans))
        else:
            futures: list[Future[list[int]]] = [pool.submit(ask, plan) for plan in plans]
            if closes_early:
                time.sleep(chance.random() * 0.02)
                index.close()
            lists = [future.result(LIMIT) for future in futures]
    seen = [g for some in lists for g in some]
    if set(seen) - {generation}:
        raise Violation(f"one index of generation {generation} gives answers of {sorted(set(seen))}")
    return Answer(generation, start, end), len(seen)


async def _gather(
    pool: ThreadPoolExecutor, ask: Callable[[list[Callable[[Index], int]]], list[int]], plans: list
) -> list[list[int]]:
    """As `asyncio.to_thread` does, but in threads that are there already, since the calls wait for each other."""
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(pool, ask, plan) for plan in plans))


def _query(index: Index) -> int:
    return find_generation(index.query(QUERIES[1], k=10_000).hits, QUERIES[1])


def _query_many(index: Index) -> int:
    results = index.query_many(QUERIES, k=10_000)
    return max(find_generation(result.hits, text) for result, text in zip(results, QUERIES, strict=True))


def _filter(index: Index) -> int:
    (hit,) = index.query(QUERIES[0], where="has generation")
    return _generation(hit.fields)


def _shelves(index: Index) -> int:
    """The items with the highest shelf, and no others."""
    g = _item(index)
    highest = max(item.get("shelf", -1) for item in generations.items(g).values())
    expected = {ident for ident, item in generations.items(g).items() if item.get("shelf") == highest}
    hits = index.query(QUERIES[0], k=10_000, where=f"shelf = {highest}")
    return g if {hit.id for hit in hits} == expected else -1


def _terms(index: Index) -> int:
    """All items, with terms: the text of `now` is the one word lamp."""
    hits = index.query("lamp", k=10_000, lexical=1.0)
    g = _generation(next(hit for hit in hits if hit.id == "now").fields)
    return g if {hit.id for hit in hits} == set(generations.items(g)) else -1


def _attend(index: Index) -> int:
    g = _item(index)
    expected = generations.weights(g, QUERIES[2])
    weights = dict(zip(index.ids, index.attend([QUERIES[2]])[0], strict=True))
    is_right = weights.keys() == expected.keys() and all(abs(weights[i] - expected[i]) <= CLOSE for i in weights)
    return g if is_right else -1


def _items(index: Index) -> int:
    g = _item(index)
    items = {item.id: item.title for item in index}
    is_right = items == {ident: item["title"] for ident, item in generations.items(g).items()}
    return g if is_right and len(index) == len(items) and len(set(index.owners.tolist())) == len(items) else -1


def _keys(index: Index) -> int:
    shape = (index.info.keys, index.info.d)
    return _item(index) if index.keys.shape == shape and len(index.owners) == len(index.keys) else -1


def _explain(index: Index) -> int:
    return _generation(index.explain(QUERIES[3], "now")[0].fields)


def _item(index: Index) -> int:
    return _generation(index["now"].fields)


def _generation(fields: dict) -> int:
    return int(fields["generation"])


ASK = (_query, _query_many, _filter, _shelves, _terms, _attend, _items, _keys, _explain, _item)
