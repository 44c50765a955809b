"""`attnsearch serve` under load: eight clients, a writer that commits every second, and whether memory grows.

Clients ask one request after the other, over connections that stay open, from a process of their own. Each commit of
the writer adds an item and changes twenty others, so that an answer shows which state it is of. Afterwards the commits
are made again, one by one, and each answer is compared with that of its state.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from attnsearch import Index, update
from benchmarks import made
from benchmarks.measure import BIN, heading, table

NAME = "items"
MARKED = 20  # items that every commit changes
ROUNDING = 1e-3  # of a weight: texts that are embedded together have other last digits
WORDS = (
    "a quiet story about the sea", "how to cook rice", "a robot that dreams", "copy all files of a folder",
    "the history of mathematics", "soup for a cold evening", "a murder in a small village", "rename many files",
    "letters from a long war", "a cake without flour", "find large folders", "growing up in the mountains",
)  # fmt: skip
MARK = "lighthouse keepers"  # what a request says that finds the items of a commit


class Answer(NamedTuple):
    """A request's number, the seconds that its answer took, its status, and its body."""

    number: int
    seconds: float
    status: int
    body: bytes


class Load(NamedTuple):
    """What clients got, and the memory of the server now: MiB in all, and MiB that are no file's."""

    answers: list[Answer]
    resident: float
    own: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=10_000, help="more, without a writer, to see memory")
    parser.add_argument("--filters", action="store_true", help="one in five requests has a filter or counts words")
    parser.add_argument("--on", help="a cluster that compares the keys, such as local:2")
    arguments = parser.parse_args()
    heading("Serving", "fastapi", "uvicorn")
    with tempfile.TemporaryDirectory() as folder:
        home, copy = Path(folder) / "home", Path(folder) / "copy"
        os.environ["ATTNSEARCH_HOME"] = str(home)
        prepare(arguments.items)
        shutil.copytree(home, copy)
        requests = list_requests(filters=arguments.filters)
        with serving(home, arguments.on) as (port, pid), commits() as count:
            before = cpu_seconds(pid)
            load = ask(port, pid, requests, arguments.clients, seconds=arguments.seconds)
            busy = (cpu_seconds(pid) - before) / max(len(load.answers), 1)
            committed = count()
            half = arguments.requests // 2
            rests = [ask(port, pid, requests, arguments.clients, count=half) for _ in range(2 if half else 0)]
        os.environ["ATTNSEARCH_HOME"] = str(copy)
        wrong = compare(load.answers, requests, committed, arguments.items)
    times = sorted(answer.seconds * 1000 for answer in load.answers)
    errors = sum(answer.status != 200 for part in (load, *rests) for answer in part.answers)
    quantiles = statistics.quantiles(times, n=100)
    head = ("requests", "commits", "errors", "of no state", "p50 ms", "p90 ms", "p99 ms", "longest", "CPU ms")
    table(head, [(len(times), committed, errors, wrong, quantiles[49], quantiles[89], quantiles[98], times[-1],
                  busy * 1000)])  # fmt: skip
    done = [sum(len(part.answers) for part in (load, *rests)[: number + 1]) for number in range(1 + len(rests))]
    parts = zip(done, (load, *rests), strict=True)
    table(("requests", "MiB", "MiB of its own"), [(number, part.resident, part.own) for number, part in parts])


def prepare(count: int) -> None:
    """Index items with random keys, and those that commits change."""
    made.index(NAME, count)
    commit(0)


def commit(number: int) -> None:
    """Commit the state of this number: an item more, and all that are marked with another title."""
    marked = [{"id": f"m{i}", "title": f"{MARK} {number} {i}", "number": -i} for i in range(MARKED)]
    update([*marked, {"id": f"w{number}", "title": f"written {number}", "number": -99}], name=NAME, keep=True)


def list_requests(*, filters: bool) -> list[dict[str, Any]]:
    """What clients ask in turn: a third of it is about what commits change."""
    requests = []
    for number, text in enumerate(WORDS):
        extra = {4: {"where": ["number < 5000"]}, 9: {"lexical": 0.3}}.get(number % 10, {}) if filters else {}
        requests.append({"catalogs": [NAME], "query": text, **extra})
        if number % 2:
            requests.append({"catalogs": [NAME], "query": f"{MARK} {number}", "k": MARKED + 5})
    return requests


@contextmanager
def serving(home: Path, on: str | None = None) -> Iterator[tuple[int, int]]:
    """The port and the process of a server."""
    argv = [BIN / "attnsearch", "serve", "-c", NAME, "--port", "0", "-q", *(["--on", on] if on else [])]
    env = {**os.environ, "ATTNSEARCH_HOME": str(home)}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield urlsplit(server.stdout.readline().strip()).port or 0, server.pid
        finally:
            server.terminate()


@contextmanager
def commits() -> Iterator[Callable[[], int]]:
    """A process that commits every second, until it is asked how many commits there are."""
    ours, its = multiprocessing.Pipe()
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(its,), daemon=True)
    writer.start()
    ours.recv()

    def stop() -> int:
        ours.send(None)
        return int(ours.recv())

    try:
        yield stop
    finally:
        writer.kill()
        writer.join()


def write(pipe: Any) -> None:
    """Commit every second until there is a message; answer it with the number of commits."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line does
    number, due = 0, time.monotonic()
    pipe.send(None)
    while not pipe.poll(max(due - time.monotonic(), 0)):
        due = max(due + 1, time.monotonic())
        number += 1
        commit(number)
    pipe.send(number)


def ask(
    port: int, pid: int, requests: Sequence[dict[str, Any]], clients: int, *, seconds: float = 1e9, count: int = 1 << 60
) -> Load:
    """What clients in a process of their own get, for so long or so many requests, and then the server's memory."""
    ours, its = multiprocessing.Pipe()
    arguments = (its, port, requests, clients, seconds, count)
    process = multiprocessing.get_context("spawn").Process(target=run_clients, args=arguments, daemon=True)
    process.start()
    answers = ours.recv()
    process.join()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, own = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    return Load(answers, resident, own)


def run_clients(
    pipe: Any, port: int, requests: Sequence[dict[str, Any]], clients: int, seconds: float, count: int
) -> None:
    """Send all answers that so many clients get."""
    messages = [pack_request(port, request) for request in requests]
    answers: list[Answer] = []
    end = time.monotonic() + seconds

    def run(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < end and len(answers) < count:
                began = time.perf_counter()
                connection.sendall(messages[number % len(messages)])
                status, body = read_answer(connection)
                answers.append(Answer(number % len(messages), time.perf_counter() - began, status, body))
                number += 1

    threads = [threading.Thread(target=run, args=(3 * number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(answers)


def pack_request(port: int, request: dict[str, Any]) -> bytes:
    """The bytes of a request in HTTP/1.1."""
    body = json.dumps(request).encode()
    head = f"POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the next answer. Raises ConnectionError if there is none."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 16) or fail()
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(1 << 16) or fail()
    return int(lines[0].split()[1]), body


def fail() -> bytes:
    """Raise ConnectionError."""
    raise ConnectionError("the server ended the connection")


def compare(answers: Sequence[Answer], requests: Sequence[dict[str, Any]], commits: int, items: int) -> int:
    """How many answers are not those of a committed state; all commits are made again."""
    of_states: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.status == 200:
            of_states.setdefault(json.loads(answer.body)["items"] - items - MARKED - 1, []).append(answer)
    wrong = 0
    for number in range(commits + 1):
        if number:
            commit(number)
        with Index.open(NAME) as index:
            expected = {}
            for answer in of_states.pop(number, ()):
                if answer.number not in expected:
                    request = {name: value for name, value in requests[answer.number].items() if name != "catalogs"}
                    expected[answer.number] = index.query(request.pop("query"), **request).to_dicts()
                wrong += not is_same(json.loads(answer.body)["hits"], expected[answer.number])
    return wrong + sum(map(len, of_states.values()))


def is_same(hits: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> bool:
    """Whether both are the same items, with the same weights but for rounding."""
    ids, other_ids = ([(hit["id"], hit["title"]) for hit in some] for some in (hits, others))
    weights = zip((hit["weight"] for hit in hits), (hit["weight"] for hit in others), strict=False)
    return ids == other_ids and all(abs(a - b) <= ROUNDING * max(a, b) for a, b in weights)


def cpu_seconds(pid: int) -> float:
    """Seconds of processors that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
