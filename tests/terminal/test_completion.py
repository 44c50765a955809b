"""What a shell is offered, by the words before the cursor."""

from __future__ import annotations

import json
import sys

import pytest

from attnsearch.cli import main
from attnsearch.storage import home as homes

BOOKS = [
    {"id": "a", "title": "moon", "genre": "science fiction", "price": 3, "born": "1921-09-12", "Shelf Name": "top"},
    {"id": "b", "title": "sea", "genre": "poetry", "price": 4, "born": "1921-09-13", "Shelf Name": "deep (low)"},
    {"id": "c", "title": "robot", "genre": "poetry", "price": 5, "author": {"name": "Lem"}, "Shelf Name": "top"},
]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch, small):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def books(run, write):
    write("books.jsonl", "".join(json.dumps(book) + "\n" for book in BOOKS))
    assert run("index", "books.jsonl").code == 0
    write("shop.jsonl", '{"id": "a", "title": "moon", "brand": "Acme"}\n')
    assert run("index", "shop.jsonl").code == 0


@pytest.fixture
def complete(monkeypatch, capsys):
    """The completions of the last of some words, as bash hands them over, with a quote that is not closed yet."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["attnsearch", *words]))
        monkeypatch.setenv("COMP_CWORD", f"{len(words)}")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([])
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        return out.splitlines() if out != "\n" else []

    return complete


FIELDS = ["id", "title", "genre", "price", "born", r"Shelf\ Name", "author.name"]


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["query", "x", "-c", "books", "-w", ""], FIELDS),
        (["query", "-c", "books", "--where", "'"], [field.replace("\\", "") for field in FIELDS]),
        (["query", "-c", "books", "-w", "'gen"], ["genre=", "genre~"]),
        (["query", "-c", "books", "-w", "'genre=sci"], ["genre=science fiction"]),
        (["query", "-c", "books", "-w", "'genre = "], ["genre = poetry", "genre = science fiction"]),
        (["query", "-c", "books", "-w", '"price > 1 and genre = p'], ["price > 1 and genre = poetry"]),
        (["query", "-c", "books", "-w", "'genre = x'", "-w", "'genre=p"], ["genre=poetry"]),
        # Outside quotes, bash splits a word at "=".
        (["query", "-c", "books", "-w", "genre", "=", ""], ["poetry", r"science\ fiction"]),
        (["query", "-c", "books", "-w", "genre", "="], ["poetry", r"science\ fiction"]),
        (["query", "-c", "books", "--where", "genre", "=", "po"], ["poetry"]),
        (["query", "-c", "books", "--where", "genre", "=", "'science f"], ["science fiction"]),
        (["query", "-c", "books", "-w", "'Shelf Name=d"], ["Shelf Name=deep (low)"]),
        (["query", "-c", "books", "-w", "Sh"], [r"Shelf\ Name=", r"Shelf\ Name~"]),
        (["query", "-c", "books", "genre", "=", ""], []),
        (["explain", "x", "-c", "shop", "-w", "br"], ["brand=", "brand~"]),
        (["eval", "x", "-c", "shop", "-w", "'brand="], ["brand=Acme"]),
        (["query", "-c", "books", "--value", "a"], ["author.name"]),
        (["query", "-c", "books", "--show", "a"], ["author.name", "all"]),
        (["query", "--show", "none"], ["none"]),
        (["query", "-f", "js"], ["json", "jsonl"]),
        (["duplicates", "--format", "t"], ["table", "tsv"]),
        (["query", "-c", "books", "--prior", ""], ["price", "born"]),
        (["query", "-c", "books", "--prior", "g"], []),
        (["query", "-c", "boo"], ["books"]),
        (["info", "sh"], ["shop"]),
        (["remove", "books", "sh"], ["shop"]),
        (["index", "books.jsonl", "--title-field", "g"], ["genre"]),
        (["index", "books.jsonl", "--text-field", "genre", "--text-field", "a"], ["author.name"]),
        (["index", "other.jsonl", "--name", "shop", "--id-field", "b"], ["brand"]),
        # Nothing, and no error.
        (["index", "nowhere.jsonl", "--id-field", ""], []),
        (["index", "--id-field", ""], []),
        (["query", "-c", "nowhere", "-w", ""], []),
        (["query", "-c", "nowhere.csv", "-w", ""], []),
        (["query", "-c", "kitchen", "-w", ""], []),
        (["query", "-w", ""], []),
        (["query", "-c", "books", "-w", "'zzz = "], []),
        (["query", "-c", "books", "-w", "\udcff"], []),
    ],
)  # fmt: skip
def test_completions(books, complete, words, completions):
    """Two catalogs are the user's, so without -c the library would be asked, which is not indexed."""
    assert complete(*words) == completions


def test_without_an_option_the_default_catalog(books, complete, monkeypatch):
    monkeypatch.setenv("ATTNSEARCH_CATALOG", "shop")
    assert complete("query", "-w", "br") == ["brand=", "brand~"]


def test_a_catalog_that_can_not_be_read(books, complete, home):
    (home / "books" / "index.sqlite").write_bytes(b"x" * 5_000)
    assert complete("query", "-c", "books", "-w", "") == []
    assert complete("query", "-c", "b") == ["books"]


def test_no_key_is_read(books, complete, monkeypatch):
    monkeypatch.setattr(homes, "open_migrated", None)
    for file in (homes.catalog_folder("books") / "segments").iterdir():
        file.unlink()
    assert complete("query", "-c", "books", "-w", "pri") == ["price=", r"price\>=", r"price\<="]


@pytest.mark.parametrize("text", ["$(id)", "`id`", r"\$(id)", "a'b", 'a"b', "*", "a\x1b[31mb", "a\u202eb", "!!"])
def test_nothing_that_a_shell_would_act_on(run, write, complete, text):
    """zsh evaluates what it is given."""
    line = {"id": "a", "title": "moon", "plain": text, f"x{text}": "y", "other": "fine"}
    write("odd.jsonl", json.dumps(line) + "\n")
    assert run("index", "odd.jsonl").code == 0
    assert complete("query", "-c", "odd", "-w", "'plain=") == []
    assert complete("query", "-c", "odd", "--value", "'") == ["id", "title", "plain", "other"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(books, run, monkeypatch, shell):
    monkeypatch.setenv("_ATTNSEARCH_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "attnsearch query -c books -w 'genre = sci")
    with pytest.raises(SystemExit):
        run()
    assert "genre = science fiction" in sys.stdout.getvalue()
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "attnsearch query -c books -w genre=sci")
    with pytest.raises(SystemExit):
        run()
    assert "genre=science fiction" in sys.stdout.getvalue()
