"""`attnsearch show`: whole items."""

from __future__ import annotations

import json
import sys

import pytest

from attnsearch.commands.items import show
from attnsearch.encoding import loading
from attnsearch.errors import InputError
from tests.conftest import Terminal


def refuse(*_, **__):
    raise AssertionError("the encoder was loaded")


@pytest.fixture
def goods(run, write, small, home, monkeypatch):
    """A catalog that is indexed; from then on neither its encoder nor its vectors can be read."""
    write("goods.csv", "id,title,price\na,moon,3\nb,sea,5\nid2,Robot,7\nc,moon,9\n")
    monkeypatch.chdir(write("long.yaml", f"- title: moon\n  description: |\n    one\n    two{' sea' * 250}\n").parent)
    assert run("index", "goods.csv", "long.yaml", "-q").code == 0
    assert run("query", "moon", "-c", "long.yaml", "-q").code == 0
    for segment in home.glob("*/segments/*.npy"):
        segment.unlink()
    monkeypatch.setattr(loading, "load", refuse)


@pytest.mark.parametrize(
    ("names", "stdin", "ids"),
    [
        (["b"], b"", ["b"]),
        (["robot"], b"", ["id2"]),
        (["b", "Robot"], b"", ["b", "id2"]),
        (["-"], b"id\nb\n\nid2\n", ["b", "id2"]),
        (["b", "-"], b"Robot\n", ["b", "id2"]),
        ([], b"id\nb\n", ["b"]),
    ],
)
def test_items_by_id_and_title(run, goods, names, stdin, ids):
    code, out, err = run("show", *names, "-c", "goods", "-f", "jsonl", stdin=stdin)
    assert (code, err, [json.loads(line)["id"] for line in out.splitlines()]) == (0, "", ids)
    objects = json.loads(run("show", *names, "-c", "goods", "--json", stdin=stdin).out)
    assert [row["id"] for row in objects] == ids if isinstance(objects, list) else objects["id"] == ids[0]


def test_a_text(run, goods):
    assert run("show", "b", "-c", "goods").out == "sea\nb · goods\n\nprice  5\n"
    out = run("show", "moon", "-c", "long.yaml").out
    assert out.startswith("moon\nmoon · long\n\none\ntwo sea sea")
    assert "passages, as the encoder reads them:\n1  moon. one\n   two sea" in out


@pytest.mark.parametrize(
    ("argv", "stdin", "error"),
    [
        (["robbot"], b"", "goods: no item 'robbot'; did you mean 'Robot'?"),
        (["b", "robbot"], b"", "goods: no item 'robbot'; did you mean 'Robot'?"),
        (["moon"], b"", "goods: 2 items are called 'moon'; name one by its id: a, c"),
        (["-"], b"b\nid\n", "goods: no item 'id'; did you mean 'id2'?"),
        (["id"], b"", "goods: no item 'id'; did you mean 'id2'?"),
        (["-"], b"\n", "no item on standard input; write one on each line"),
        (["-"], b"id\n", "no item on standard input; write one on each line"),
        (["-"], b"b\0c\n", "standard input:1: the item has a NUL; write one on each line"),
        (["-"], b"b" * 131_073, "standard input:1: the item is longer than 128 KiB; write one on each line"),
        (["b", "-f", "csv"], b"", "invalid --format 'csv'; use one of table, json, jsonl"),
    ],
)
def test_refused(run, goods, argv, stdin, error):
    assert run("show", *argv, "-c", "goods", stdin=stdin) == (2, "", f"attnsearch: {error}\n")


def test_nothing_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(InputError, match="no item") as caught:
        show()
    assert caught.value.hint == "name one by its id or its title: attnsearch show ITEM"


def test_an_item_called_like_the_head_of_a_column(run, write, small):
    file = write("x.csv", "id,title\nid,moon\n")
    assert run("show", "-", "-c", file, stdin=b"id\n").out.startswith("moon\nid · x.csv\n")


def test_a_file_is_indexed_when_it_has_changed(run, write, small):
    file = write("x.csv", "id,title\na,moon\n")
    assert "moon" in run("show", "a", "-c", file).out
    write("x.csv", "id,title\na,sea\n")
    assert "sea" in run("show", "a", "-c", file).out


def test_a_library_that_nobody_has_indexed(run, small):
    assert run("show", "solaris").out.startswith("Solaris\nsolaris · library\n")
