"""SIGKILL at random moments of a writer in PostgreSQL: no acknowledged commit is lost, none is half there."""

from __future__ import annotations

import json
import random
import time
from contextlib import closing
from pathlib import Path

from tests.postgres import server as servers
from tests.postgres.writing import writing
from tests.torture.verifier import Violation, using_home

ITEMS = 120
LATEST = 0.4  # seconds after it began that a writer is killed, at most


def database(work: Path, seed: int, kills: int = 60) -> str:
    """Kill a writer again and again; each time, the catalog holds the last state that was reported, or the next one."""
    if reason := servers.why_not():
        return f"skipped: {reason}"
    server = servers.Server()
    try:
        with using_home(work / "home"):
            return kill_writers(server, work, seed, kills)
    finally:
        server.close()


def kill_writers(server: servers.Server, work: Path, seed: int, kills: int) -> str:
    """Kill writers of a catalog on this server, and describe what became of their commits."""
    draw = random.Random(seed)
    url, path = server.url(server.database(), "torture"), work / "items.json"
    states = {(): 0}
    reported, acknowledged, unreported = 0, 0, 0
    for generation in range(1, kills + 1):
        items = [
            {"id": f"i{n}", "title": f"moon {draw.randrange(generation + 3)}"} for n in draw.sample(range(ITEMS), 40)
        ]
        path.write_text(json.dumps(items))
        states[tuple(sorted((item["id"], item["title"]) for item in items))] = generation
        with writing(path, url, "begun") as process:
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(draw.uniform(0, LATEST))
            process.kill()
            is_reported = bool(process.stdout.read())
        state = read_state(url)
        if states.get(state, -1) not in {reported, generation} or (is_reported and states[state] != generation):
            raise Violation(f"after {reported}, generation {generation} left {states.get(state)}, seed {seed}")
        acknowledged += is_reported
        unreported += states[state] == generation and not is_reported
        reported = states[state]
    return f"{kills} kills; {acknowledged} commits were reported, {unreported} took place unreported"


def read_state(url: str) -> tuple[tuple[str, str], ...]:
    """The id and title of every item. Raises Violation for a catalog that is not whole."""
    from attnsearch.postgres.check import find_problems
    from attnsearch.postgres.place import DatabasePlace
    from attnsearch.postgres.store import open_store

    if DatabasePlace(url).read_stored() is None:
        return ()
    if problems := [problem for problem in find_problems(url) if "its model" not in problem]:
        raise Violation("; ".join(problems))
    with closing(open_store(url)) as store:
        return tuple(sorted((item.id, item.title) for _, item in store.items()))
