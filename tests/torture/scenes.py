"""Scenes: commits, or commands other than `index`; a catalog, and what it must hold before and after each of them.

Whatever happens to a scene of commands, the catalog is in the state after the last acknowledged command or in the one
after the next, whole; the commands that remain lead to the last state; and then it can be indexed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnsearch.errors import AttnsearchError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.storage import home
from attnsearch.storage.failures import DamagedError
from attnsearch.storage.files import POSTINGS
from attnsearch.storage.learned import load_learned
from attnsearch.teaching.feedback import read_feedback
from attnsearch.upkeep.default import read_default
from tests.asking import query
from tests.conftest import SmallEncoder
from tests.indexing import damage
from tests.storage.test_migration import FORM_1, make_form, make_form_2
from tests.torture import generations
from tests.torture.driver import Nursery, expect_success
from tests.torture.verifier import (
    CLOSE,
    NAME,
    Violation,
    ask_generation,
    check_catalog,
    read_generation,
    using_home,
    verify,
)

CATALOG = ("-c", NAME, "-q")
FILTER = "shelf >= 1"
RIGHT = 6  # judged requests: one more than the least that is trained on
SHORT = 254  # characters: as long as no text is longer, form 1 holds what later forms do


class State(NamedTuple):
    """What a catalog holds. Without a catalog, `form` is -1; in a damaged one, `generation` is None.

    What it was taught may be there without it: W_Q, and what is right for each judged request that is remembered.
    `default` is the home's, whatever the catalog.
    """

    form: int
    generation: int | None = None
    feedback: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    learned: str = ""
    memory: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    problems: tuple[str, ...] = ()
    default: str | None = None


class Commits(NamedTuple):
    """A job for the driver, the home where it starts, and the generations before and after it."""

    name: str
    start: Path
    before: int
    after: int
    job: dict

    def verify(self, home: Path, source: Path, least: int, most: int) -> int:
        """See `verifier.verify`."""
        return verify(home, source, least, most)


class Commands(NamedTuple):
    """Command lines, the home where they start, and the state before the first and after each."""

    name: str
    start: Path
    commands: list[list[str]]
    states: list[State]

    @property
    def before(self) -> int:
        return 0

    @property
    def after(self) -> int:
        return len(self.commands)

    @property
    def job(self) -> dict:
        return {"commands": self.commands}

    def verify(self, home: Path, source: Path, least: int, most: int) -> int:
        """Check that the catalog is in one of these states, and that the other commands lead on: the number of it."""
        from attnsearch import cli

        with using_home(home):
            state = read_state()
            bare = state._replace(memory=())
            number = next((n for n in range(least, most + 1) if self.states[n]._replace(memory=()) == bare), None)
            if number is None or not {*state.memory} <= {*self.states[number].memory}:
                raise Violation(f"{state}, not {' nor '.join(map(str, self.states[least : most + 1]))}")
            # Killed between feedback and memory, a request is not remembered: the same command again, and it is.
            first = number if state.memory == self.states[number].memory else max(number - 1, 0)
            for argv in self.commands[first:]:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    code = cli.main(argv)
                if code:
                    raise Violation(f"in the state {number}, '{' '.join(argv)}' exits with {code}")
            if (state := read_state()) != self.states[-1]:
                raise Violation(f"in the end {state}, not {self.states[-1]}")
            generations.write(source, 7)
            try:
                update([str(source)], name=NAME)
            except AttnsearchError as error:
                raise Violation(f"in the end, an update is refused: {error}") from error
            if read_generation() != 7:
                raise Violation("in the end, an update changes nothing")
            check_catalog()
        return number


Scene = Commits | Commands


def read_state() -> State:
    """What the catalog of this home holds. Raises Violation for an answer that is wrong, or not refused as it must be.

    The form first: whatever reads more may convert it.
    """
    folder = home.catalog_folder(NAME)
    try:
        form, problems, generation, default = -1, (), None, read_default()
        if home.catalog_exists(folder):
            form = _read_form(folder)
            problems = tuple(check.find_problems(folder))
            generation = _read_generation()
        if generation is not None:
            _compare_postings(folder)
        feedback = tuple((judged.query, tuple(judged.grades.items())) for judged in read_feedback(folder))
        learned = load_learned(folder)
        what = hashlib.sha256(learned.w.tobytes()).hexdigest()[:12] if learned and learned.w is not None else ""
        memory: Iterable[tuple[str, Mapping[str, float]]] = ()
        if learned and learned.memory:
            memory = zip(learned.memory.queries, learned.memory.right, strict=True)
        right = tuple((query, tuple(grades.items())) for query, grades in memory)
        return State(form, generation, feedback, what, right, problems, default)
    except AttnsearchError as error:
        raise Violation(f"{type(error).__name__}: {error}") from error


def _read_form(folder: Path) -> int:
    """The form that the database names; 0 if that can't be read."""
    try:
        with closing(sqlite3.connect(folder / "index.sqlite")) as db:
            return db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return 0


def _read_generation() -> int | None:
    try:
        with Index.open(NAME) as index:
            (generation,) = {ask_generation(index, text) for text in generations.QUERIES[:2]}
            return generation
    except DamagedError:
        return None


def _compare_postings(folder: Path) -> None:
    """Ask with the stored postings and with new ones: the same answer, and of the items that pass the filter."""
    answers = []
    for _ in range(2):
        with Index.open(NAME) as index:
            hits = query(index, "sea robott", k=10_000, where=[FILTER], lexical=0.5, untrained=True).hits
        answers.append({hit.id: hit.weight for hit in hits})
        shutil.rmtree(folder / POSTINGS, ignore_errors=True)
    stored, new = answers
    if stored.keys() != new.keys() or any(abs(stored[ident] - new[ident]) > CLOSE for ident in new):
        raise Violation(f"stored postings give {stored}, new ones {new}")


def make_scenes(work: Path, nursery: Nursery, only: str = "") -> list[Commands]:
    """Repair, feedback, training and its reset, conversion, postings, removal, choice; or the one named `only`."""
    folder = work / "scenes"
    judged = [str(folder / "judged.jsonl")]
    repair = [["check", NAME, "--repair", "-q"]]
    scenes = [
        ("repair of a vector", "vector", repair),
        ("repair of a header", "header", repair),
        ("feedback", "whole", [
            ["feedback", "sea", "--good", "now", *CATALOG],
            ["feedback", "moon", "--bad", "now", *CATALOG],
            ["feedback", "sea", "--remove", *CATALOG],
        ]),
        ("training", "whole", [["train", *judged, "--force", *CATALOG]]),
        ("reset", "whole", [["reset", NAME, "-q"]]),
        ("conversion of form 1", "form 1", [["query", "moon", *CATALOG, "-f", "csv"]]),
        ("conversion of form 2", "form 2", [["query", "moon", *CATALOG, "-f", "csv"]]),
        ("conversion of form 5", "form 5", [["query", "moon", *CATALOG, "-f", "csv"]]),
        ("new postings", "whole", [["query", "mooon", *CATALOG, "-f", "csv", "--lexical", "--where", FILTER]]),
        ("postings made anew", "asked", [["index", str(folder / "next.jsonl"), "--name", NAME, "-q"]]),
        ("removal", "whole", [["remove", NAME, "-q"]]),
        ("removal of all", "whole", [["remove", NAME, "-q"], ["remove", NAME, "--all", "-q"]]),
        ("choice", "whole", [["use", NAME, "-q"], ["use", "kitchen", "-q"], ["use", "--none", "-q"]]),
    ]  # fmt: skip
    scenes = [scene for scene in scenes if only in ("", scene[0])]
    if scenes and not folder.exists():
        _make_starts(folder, nursery)
    return [_make_scene(work, nursery, name, folder / start, commands) for name, start, commands in scenes]


def _make_scene(work: Path, nursery: Nursery, name: str, start: Path, commands: list[list[str]]) -> Commands:
    states = []
    for count in range(len(commands) + 1):
        box = work / "scene"
        shutil.rmtree(box, ignore_errors=True)
        shutil.copytree(start, box)
        expect_success(nursery.run(box / "home", work / "scene.jsonl", commands=commands[:count]))
        with using_home(box / "home"):
            states.append(read_state())
    if name not in ("new postings", "choice") and len(set(states)) < len(states):
        raise RuntimeError(f"{name}: a command changes nothing: {states}")
    if start.name in ("vector", "header", "form 2", "form 5") and states[1] != _read_copy(
        start.with_name("whole"), work
    ):
        raise Violation(f"{name}: {states[1]}")
    return Commands(name, start, commands, states)


def _read_copy(start: Path, work: Path) -> State:
    box = work / "scene"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(start, box)
    with using_home(box / "home"):
        return read_state()


def _make_starts(folder: Path, nursery: Nursery) -> None:
    """A catalog at generation 5 with feedback and something learned; damaged ones; one with postings; older forms."""
    whole, source = folder / "whole", folder / "scenes.jsonl"
    folder.mkdir()
    for g in range(6):
        expect_success(nursery.run(whole / "home", source, first=g, count=1))
    for file, shift in (("first.jsonl", 0), ("judged.jsonl", 1)):
        ids = [*generations.items(5)][: RIGHT + 1]
        lines = [{"query": f"{text} {n}", "relevant": [ids[n + shift]]} for n, text in _number_texts()]
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    generations.write(folder / "next.jsonl", 6)
    commands = [
        ["feedback", "robot", "--good", "now", *CATALOG],
        ["train", str(folder / "first.jsonl"), "--force", *CATALOG],
    ]
    expect_success(nursery.run(whole / "home", source, commands=commands))
    for name in ("vector", "header", "asked", "form 2", "form 5"):
        shutil.copytree(whole, folder / name)
    vector = folder / "vector" / "home" / NAME
    ((file,), *_) = damage.select(vector, "SELECT file FROM segments ORDER BY rows DESC")
    damage.spoil(vector / "segments" / file, -3)
    damage.spoil(folder / "header" / "home" / NAME / "index.sqlite", 3)
    asked = [["query", "mooon", *CATALOG, "-f", "csv", "--lexical", "--where", FILTER]]
    expect_success(nursery.run(folder / "asked" / "home", source, commands=asked))
    make_form_2(folder / "form 2" / "home" / NAME, ["id", "title", []])
    make_form(folder / "form 5" / "home" / NAME, 5)
    _make_form_1(folder / "form 1" / "home" / NAME, source)


def _number_texts() -> Iterator[tuple[int, str]]:
    return enumerate(itertools.islice(itertools.cycle(generations.QUERIES), RIGHT))


def _make_form_1(folder: Path, source: Path) -> None:
    """The catalog of form 1 with the items of generation 5, and one removed from among them."""
    items = generations.items(5)
    texts = {ident: ". ".join(filter(None, (item["title"], item["description"]))) for ident, item in items.items()}
    assert max(map(len, texts.values())) <= SHORT
    (folder / "segments").mkdir(parents=True)
    path = folder / "segments" / f"{'0' * 31}1.npy"
    np.save(path, SmallEncoder().encode(["gone", *texts.values()]))
    info = {
        "name": NAME, "description": "", "sources": [[str(source), "ab"]], "fields": ["id", "title", []],
        "model": "small", "sha256": "5" * 64, "stamp": "5" * 64, "d": 4, "temperature": generations.TEMPERATURE,
        "precision": "float32", "quick": True, "items": len(items), "keys": len(items),
        "created": "2026-01-01T00:00:00+00:00", "updated": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        db.executescript(FORM_1)
        db.executemany("INSERT INTO info VALUES (?, ?)", [(name, json.dumps(value)) for name, value in info.items()])
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        db.execute("INSERT INTO segments VALUES (0, ?, ?, ?)", (len(items) + 1, path.name, sha256))
        for number, (ident, item) in enumerate(items.items(), 1):
            fields = {name: value for name, value in item.items() if name not in ("id", "title", "description")}
            text_sha256 = hashlib.sha256(texts[ident].encode()).digest()
            row = (number, ident, item["title"], item["description"], json.dumps(fields), text_sha256)
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute("INSERT INTO keys VALUES (?, ?)", (number, number))
        db.execute("INSERT INTO tombstones VALUES (0)")
