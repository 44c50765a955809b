"""The same changes to a catalog in a folder and to one in a database: both hold the same after each of them."""

from __future__ import annotations

import json
import random
from contextlib import closing

import pytest

from attnsearch.indexing import compaction
from attnsearch.indexing.update import update
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.check import find_problems
from attnsearch.postgres.connection import connect
from attnsearch.postgres.writer import DatabaseWriter
from attnsearch.storage.home import catalog_folder
from attnsearch.storage.store import Store
from tests.postgres.test_writer import contents, contents_of, index

WORDS = ("moon", "sea", "robot", "lamp", "star", "Größe", "C++")


def make_items(draw: random.Random, ids: list[str]) -> list[dict]:
    """Items of which some have several passages, nested fields, lists, or the text of another."""
    items = []
    for ident in ids:
        words = draw.choices(WORDS, k=draw.choice((1, 3, 250)))
        item = {"id": ident, "title": draw.choice(WORDS), "text": " ".join(words)}
        if draw.random() < 0.7:
            item |= {"price": draw.choice((1, 2.5, "7 €")), "tags": draw.sample(WORDS, 2)}
        if draw.random() < 0.3:
            item["by"] = {"name": draw.choice(WORDS), "born": f"19{draw.randrange(10, 99)}-01-02"}
        items.append(item)
    return items


def fields_of(url: str) -> list[tuple]:
    """The table `fields`."""
    with closing(connect(parse_address(url))) as connection:
        return connection.execute("SELECT * FROM fields ORDER BY rowid").fetchall()


@pytest.mark.parametrize("seed", range(3))
def test_same_as_a_folder(server, database, write, small, monkeypatch, seed):
    monkeypatch.setattr(compaction, "SEGMENT", 12)
    draw = random.Random(seed)
    url, path = server.url(database, "both"), write("both.json", "")
    ids = [f"i{number}" for number in range(12)]
    items: dict[str, dict] = {}
    joined, join = [], DatabaseWriter._join
    monkeypatch.setattr(DatabaseWriter, "_join", lambda *arguments: (joined.append(1), join(*arguments)))
    for step in range(7):
        for item in make_items(draw, draw.sample(ids, draw.choice((1, 2, 8)))):
            items[item["id"]] = item
        for ident in draw.sample(sorted(items), min(len(items) - 1, draw.choice((0, 0, 1, 3)))):
            del items[ident]
        path.write_text(json.dumps(list(items.values())))
        options = {"keep": draw.random() < 0.3, "language": draw.choice((None, None, "german", "none"))}
        reports = [index(path, url, **options), update([str(path)], name="both", **options)]
        assert len({report[1:5] for report in reports}) == 1
        assert find_problems(url) == [], step
        assert contents(url) == {
            ident: (title, description, json.dumps(fields, ensure_ascii=False, separators=(",", ":")), passages)
            for ident, ((title, description, fields), passages) in contents_of(catalog_folder("both")).items()
        }
        with Store(catalog_folder("both")) as store:
            rows = [(name, *rest[:-1]) for _, name, *rest in fields_of(url)]
            assert [row[0] for row in rows] == [field.name for field in store.fields()]
            assert reports[0].info._replace(created="", updated="", commit="", listing=0) == store.info._replace(
                created="", updated="", commit="", listing=0
            )
    assert joined


def test_another_model(server, database, write, small):
    url, path = server.url(database, "shop"), write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n")
    index(path, url)
    small.sha256 = "6" * 64
    path.write_text("- {id: a, title: moon}\n")
    report = index(path, url)
    assert (report.embedded, report.info.items) == (1, 1)
    assert find_problems(url) == []
    assert [*contents(url)] == ["a"]
