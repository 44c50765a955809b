"""Everything at once: processes that run all commands on a few catalogs, and some of them killed at any moment.

Each process writes a log, a JSON object a line: one when it begins something, one when that has ended. So everything
that was acknowledged is known, whoever was killed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a child has only the thread that forked it

from attnsearch import cli
from attnsearch.errors import AttnsearchError
from attnsearch.indexing.repair import repair
from attnsearch.opening.index import Index
from attnsearch.storage import home
from attnsearch.teaching.feedback import read_feedback
from tests.torture import generations
from tests.torture.driver import LAZY, LIMIT, ROOT
from tests.torture.verifier import Violation, ask_generation, check_catalog, read_generation, using_home

STAYING, REMOVED = ("left", "right"), "middle"  # catalogs; one is removed from time to time
GENERATIONS = 64  # that writers choose from
PAUSE = 0.05  # seconds, at most, between two commands of a process
LIFE = 0.1, 0.6  # seconds from one kill to the next
BUSY = "another attnsearch is writing to it; try again when it is done"
NOT_THERE = re.compile(r"there is no catalog '.*'; .*|'.*' is not indexed yet; .*|.*was removed; what it was taught .*")
CHANGED = re.compile(r"\w+: the catalog has changed since the training began, so nothing was kept; train it again")
HEADS = re.compile(r"attnsearch: \w+: (?:adding|dropping) the head twin\n")
WAITING = re.compile(r"attnsearch: (?:\w+: )?waiting for another attnsearch to finish writing to \w+\n")


class Run(NamedTuple):
    """One command: what, on which catalog, with which argument, from when to when (both of the monotonic clock).

    `code` is its exit code, None if it was killed; `problem` is what it wrote to stderr, or what else is wrong.
    """

    role: str
    name: str
    argument: Any
    start: float
    end: float
    code: int | None
    problem: str = ""


def storm(work: Path, seed: int, seconds: float = 600.0, processes: int = 6) -> str:
    """Let a storm rage; a summary. Raises one Violation for everything that it broke."""
    house, logs = work / "home", work / "logs"
    logs.mkdir()
    (work / "judged.jsonl").write_text(
        "".join(json.dumps({"query": f"lamp {n}", "relevant": ["now"]}) + "\n" for n in range(6))
    )
    argv = [sys.executable, "-m", "tests.torture.storm", str(work), str(seed), str(seconds), str(processes)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ATTNSEARCH_HOME": str(house), "ATTNSEARCH_DEBUG": "1"}
    leader = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds + 9 * LIMIT
    )
    if leader.returncode:
        raise Violation(f"the storm: {leader.stdout}{leader.stderr}")
    runs = [run for file in sorted(logs.iterdir()) for run in _read_runs(file)]
    problems = Counter(f"{run.role}: {text}" for run in runs if (text := find_problem(run)))
    lines = [f"{count} times {problem}" for problem, count in problems.most_common(20)]
    with using_home(house):
        lines += [line for name in (*STAYING, REMOVED) for line in check_end(name, [r for r in runs if r.name == name])]
    if lines:
        raise Violation("\n".join(lines))
    return _summarize(runs)


def _summarize(runs: list[Run]) -> str:
    roles = Counter(run.role for run in runs if run.code == 0)
    killed = sum(run.code is None for run in runs)
    refused = Counter(_reason(run.problem) for run in runs if run.code)
    return (
        f"{', '.join(f'{count} {role}' for role, count in sorted(roles.items()))}; {killed} killed;"
        f" refused: {', '.join(f'{count} {reason}' for reason, count in sorted(refused.items())) or 'none'}"
    )


def _reason(problem: str) -> str:
    return "busy" if BUSY in problem else "changed" if "has changed" in problem else "not there"


def _read_runs(file: Path) -> Iterator[Run]:
    """The runs in a log. Whatever began and has no end was killed at the time that the last line gives."""
    begun: dict[str, Any] | None = None
    for line in file.read_text().splitlines():
        event = json.loads(line)
        if "killed" in event:
            if begun:
                yield Run(**begun, end=event["killed"], code=None)
        elif "end" in event:
            yield Run(**event)
            begun = None
        else:
            begun = event


def find_problem(run: Run) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    problem = HEADS.sub("", WAITING.sub("", run.problem)).removeprefix("attnsearch: ").strip()
    if problem.startswith('{"error": '):
        error = json.loads(problem)["error"]
        problem = f"{error['message']}; {error['hint']}"
    if not run.code:
        return problem
    expected = (
        problem.endswith(BUSY)
        or (run.role == "train" and CHANGED.fullmatch(problem))
        or (run.name == REMOVED and NOT_THERE.fullmatch(problem))
    )
    return "" if run.code == 3 and expected else f"exit {run.code}: {problem}"


def check_end(name: str, runs: list[Run]) -> Iterator[str]:
    """What is wrong with a catalog after the storm: it is not whole, or lacks what was acknowledged."""
    written = [run for run in runs if run.role == "index"]
    for run in runs:
        if run.role == "read" and run.code == 0:
            known = any(w.argument == run.argument and w.start < run.end for w in written)
            if not known:
                yield f"{name}: an answer of generation {run.argument}, which nobody had indexed"
    try:
        generation = read_generation(name)
        if generation >= 0:
            check_catalog(name)
    except Violation as violation:
        yield f"{name}: {violation}"
        return
    removals = [run.end for run in runs if run.role == "remove" and run.code in (0, None)]
    since = max(removals, default=0.0)
    last = max((run.start for run in written if run.code == 0 and run.start > since), default=0.0)
    if last and not any(run.argument == generation and run.code in (0, None) and run.end >= last for run in written):
        yield f"{name}: generation {generation}, but another was acknowledged later"
    acknowledged = {r.argument for r in runs if r.role == "feedback" and r.code == 0}  # which a removal keeps
    there = {judged.query for judged in read_feedback(home.catalog_folder(name))}
    if lost := acknowledged - there:
        yield f"{name}: {len(lost)} of {len(acknowledged)} acknowledged judgments are lost, such as {min(lost)}"


class Worker:
    """A process in the storm: one command after the other, at random."""

    def __init__(self, work: Path, seed: str) -> None:
        self.work = work
        self.chance = random.Random(seed)
        self.source = work / f"source-{seed}.jsonl"
        self.log = os.open(work / "logs" / seed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.seed = seed
        self.judged = 0

    def rage(self, end: float) -> None:
        """Run commands until that time."""
        while time.monotonic() < end:
            role = self.chance.choice([*ROLES])
            name = REMOVED if role == "remove" else self.chance.choice((*STAYING, REMOVED))
            argument = self._choose_argument(role)
            begun = {"role": role, "name": name, "argument": argument, "start": time.monotonic()}
            self._write(begun)
            try:
                outcome = ROLES[role](self, name, argument)
            except AttnsearchError as error:
                outcome = {"code": int(error.code), "problem": str(error)}
            except BaseException:  # noqa: BLE001 (that is the finding)
                outcome = {"code": 70, "problem": traceback.format_exc()}
            self._write({**begun, **outcome, "end": time.monotonic()})
            time.sleep(self.chance.uniform(0, PAUSE))

    def _choose_argument(self, role: str) -> Any:
        if role == "index":
            return self.chance.randrange(GENERATIONS)
        if role == "feedback":
            self.judged += 1
            return f"judged {self.seed} {self.judged}"
        return None

    def _write(self, event: dict[str, Any]) -> None:
        os.write(self.log, json.dumps(event).encode() + b"\n")

    def run(self, *argv: str) -> dict[str, Any]:
        """Run a command line."""
        return self.run_and_read(*argv)[0]

    def run_and_read(self, *argv: str) -> tuple[dict[str, Any], str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(argv)
        return {"code": int(code), "problem": err.getvalue()}, out.getvalue()

    def index(self, name: str, generation: int) -> dict[str, Any]:
        generations.write(self.source, generation)
        heads = generations.HEADS[self.chance.randrange(len(generations.HEADS))] or ()
        return self.run("index", str(self.source), "--name", name, "-q", *(f"--head={head}" for head in heads))

    def read(self, name: str, _: None) -> dict[str, Any]:
        """All weights of two queries, compared with float64."""
        try:
            with Index.open(name) as index:
                seen = {ask_generation(index, text) for text in self.chance.sample(generations.QUERIES, 2)}
        except Violation as violation:
            return {"code": 0, "problem": str(violation)}
        return {"code": 0, "argument": min(seen), "problem": "" if len(seen) == 1 else f"generations {seen}"}

    def ask(self, name: str, _: None) -> dict[str, Any]:
        """One item passes the filter, and has all the weight."""
        argv = ("moon", "-c", name, "--lexical", "-w", "generation >= 0", "--json", "-q")
        outcome, out = self.run_and_read("query", *argv)
        if outcome["code"] == 0 and [(hit["id"], hit["weight"]) for hit in json.loads(out)["hits"]] != [("now", 1.0)]:
            outcome["problem"] = out
        return outcome

    def list(self, name: str, _: None) -> dict[str, Any]:
        outcome, out = self.run_and_read("list", "--json")
        rows = {row["name"]: row for row in json.loads(out)}
        if any("problem" in row for row in rows.values()) or not rows.keys() >= set(STAYING):
            outcome["problem"] = out
        return outcome

    def check(self, name: str, _: None, *options: str) -> dict[str, Any]:
        outcome, out = self.run_and_read("check", name, *options)
        if outcome["code"] and out:
            outcome["problem"] += out
        return outcome

    def rebuild(self, name: str, _: None) -> dict[str, Any]:
        """A repair of what is whole: all of it is copied and swapped, as if it were damaged."""
        repaired = repair(home.catalog_folder(name))
        return {"code": 0, "problem": f"lost: {repaired.lost}" if repaired.lost.items else ""}


ROLES: dict[str, Callable[[Worker, str, Any], dict[str, Any]]] = {
    "index": Worker.index,
    "read": Worker.read,
    "ask": Worker.ask,
    "list": Worker.list,
    "rebuild": Worker.rebuild,
    "info": lambda worker, name, _: worker.run("info", name, "--json"),
    "check": Worker.check,
    "repair": lambda worker, name, _: worker.check(name, None, "--repair"),
    "feedback": lambda worker, name, query: worker.run("feedback", query, "--good", "now", "-c", name, "-q"),
    "train": lambda worker, name, _: worker.run(
        "train", str(worker.work / "judged.jsonl"), "-c", name, "--force", "-q"
    ),
    "reset": lambda worker, name, _: worker.run("reset", name, "-q"),
    "remove": lambda worker, name, _: worker.run("remove", name, "-q"),
}


def lead(work: Path, seed: int, seconds: float, processes: int) -> str:
    """Start the processes, kill one now and then and start another; what is wrong, if one hangs."""
    chance = random.Random(seed)
    names = iter(range(1 << 30))
    first = Worker(work, "first")
    for name in (*STAYING, REMOVED):
        first.index(name, 0)
        first._write({"role": "index", "name": name, "argument": 0, "start": 0.0, "end": 0.0, "code": 0})
    end = time.monotonic() + seconds
    start_worker = functools.partial(_fork, work, seed, end)
    workers = dict(start_worker(next(names)) for _ in range(processes))
    while time.monotonic() < end:
        time.sleep(min(chance.uniform(*LIFE), max(end - time.monotonic(), 0.0)))
        pid, log = chance.choice(sorted(workers.items()))
        os.kill(pid, signal.SIGKILL)  # our child, not yet waited for, so the number is still its own
        os.waitpid(pid, 0)
        with (work / "logs" / log).open("a") as stream:
            stream.write(json.dumps({"killed": time.monotonic()}) + "\n")
        del workers[pid]
        workers.update([start_worker(next(names))])
    late = end + LIMIT
    while workers and time.monotonic() < late:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            log = workers.pop(pid)
            if status:
                return f"the process {log} ended with {status}"
        time.sleep(0.01)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return f"these hang: {sorted(workers.values())}" if workers else ""


def _fork(work: Path, seed: int, end: float, number: int) -> tuple[int, str]:
    """Start a process: its number, and the name of its log."""
    name = f"{seed}-{number}"
    pid = os.fork()
    if not pid:
        try:
            Worker(work, name).rage(end)
        finally:
            os._exit(0)
    return pid, name


def main(work: str, seed: str, seconds: str, processes: str) -> int:
    for module in LAZY:
        importlib.import_module(module)
    with using_home(Path(work) / "home"):
        problem = lead(Path(work), int(seed), float(seconds), int(processes))
    print(problem)
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
