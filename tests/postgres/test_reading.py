"""A catalog in a database answers as the same catalog in a folder does."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from attnsearch.cluster import address
from attnsearch.postgres import connection
from attnsearch.storage.files import LEARNED, home_folder
from attnsearch.terminal.completion import complete_catalog, complete_filter
from tests.commands.test_on import COMMANDS, ITEMS, JUDGED, OPTIONS, without_times
from tests.postgres.filling import fill_from

OPTIONS = {name: argv for name, argv in OPTIONS.items() if name not in ("two catalogs", "remembered")}


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def url(write, small, run, server, kept):
    """The catalog `one` in a database, which is made once; it is also in the home of each test, from which some items
    went and to which some came."""
    path = write("one.json", json.dumps(ITEMS[:-3]))
    assert run("index", path, "--name", "one").code == 0
    write("one.json", json.dumps(ITEMS[2:]))
    assert run("index", path, "--name", "one").code == 0
    if "url" not in kept:
        kept["url"] = server.url(server.database(), "one")
        fill_from(home_folder() / "one", kept["url"])
    return kept["url"]


def same(answer: object, expected: object, close: float = 1e-6) -> None:
    """Equal, but for the last digits of sums that a server makes in another order."""
    if isinstance(expected, dict):
        assert isinstance(answer, dict)
        assert list(answer) == list(expected)
        close = 1e-4 if expected.get("item") == "all others" else close  # a small difference of two sums
        for name, value in expected.items():
            same(answer[name], value, close)
    elif isinstance(expected, list):
        assert isinstance(answer, list)
        assert len(answer) == len(expected)
        for pair in zip(answer, expected, strict=True):
            same(*pair, close)
    elif isinstance(expected, float):
        assert answer == pytest.approx(expected, rel=1e-5, abs=close)
    else:
        assert answer == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_the_json_is_the_same(url, run, name):
    argv = ["query", *OPTIONS[name], "--json"]
    ran = run(*argv, "-c", url)
    assert ran.code == 0, ran.err
    same(without_times(ran.out), without_times(run(*argv, "-c", "one").out))


@pytest.mark.parametrize("name", ["explain", "matrix", "heatmap", "eval"])
def test_other_commands(url, write, run, monkeypatch, tmp_path, name):
    write("judged.yaml", JUDGED)
    monkeypatch.chdir(tmp_path)
    argv = [*COMMANDS[name], "--json"]
    ran = run(*argv, "-c", url)
    assert ran.code == 0, ran.err
    answered, expected = json.loads(ran.out), json.loads(run(*argv, "-c", "one").out)
    for answer in (answered, expected):
        for field in ("elapsed_ms", "seconds"):
            answer.pop(field, None)
    same(answered, expected)


REFUSED = {
    "a cluster": (
        ["query", "moon", "-c", "URL", "--on", "local:2"],
        2,
        "ask it without --on",
    ),
    "two catalogs": (["query", "moon", "-c", "URL", "-c", "one"], 2, "is asked alone; name no other beside it"),
    "a way to read files": (
        ["query", "moon", "-c", "URL", "--from", "json"],
        2,
        "--from is for a file",
    ),
    "a server": (["serve", "-c", "URL"], 2, "this takes a catalog in a folder, not one in a database"),
    "an agent": (["mcp", "-c", "URL"], 2, "this takes a catalog in a folder, not one in a database"),
    "a default": (["use", "URL"], 2, "this takes a catalog in a folder, not one in a database"),
    "a name too many": (["serve", "URL"], 2, "unexpected argument: postgresql://"),
    "another catalog": (["query", "moon", "-c", "URLs"], 3, "there is no such catalog"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_for_a_catalog_in_a_database(url, write, run, monkeypatch, tmp_path, name):
    """In one sentence, which has no password."""
    argv, code, message = REFUSED[name]
    write("judged.yaml", JUDGED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(address, "find_spec", lambda name: True)  # as if Dask were there
    with_password = url.replace("postgres@", "postgres:s3cret@").replace(
        "/one?", "/ones?" if "URLs" in argv else "/one?"
    )
    ran = run(*(with_password if word.startswith("URL") else word for word in argv))
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert "s3cret" not in ran.err
    assert not [*tmp_path.rglob("learned*")]


def test_the_default_catalog(url, run, monkeypatch):
    monkeypatch.setenv("ATTNSEARCH_CATALOG", url.replace("postgres@", "postgres:s3cret@"))
    answer = json.loads(run("query", "moon", "--json").out)
    assert (answer["catalog"], answer["items"]) == ("one", 38)
    for argv in (["use"], ["use", "--json"]):
        ran = run(*argv)
        assert "postgresql://postgres@" in ran.out
        assert "s3cret" not in ran.out + ran.err


def test_an_item(url, run):
    for argv in (["show", "i5", "--json"], ["show", "i99"]):
        ran, alone = run(*argv, "-c", url), run(*argv, "-c", "one")
        assert ran == alone
        assert ran.code == (2 if "i99" in argv else 0)


def test_duplicates(url, run):
    same(*(json.loads(run("duplicates", ref, "--json").out) for ref in (url, "one")))


def test_an_export(url, run):
    ours, theirs = (run("export", ref).out.splitlines() for ref in (url, "one"))
    assert ours[1:] == theirs[1:]


def test_a_field_that_was_not_stored_with_the_rest(url, run):
    """Prose is read from the items."""
    argv = ["query", "moon", "-w", "description ~ moon", "--json"]
    same(*(without_times(run(*argv, "-c", ref).out) for ref in (url, "one")))


def test_what_was_learned(url, run, server, tmp_path):
    assert run("feedback", "robot sea", "--good", "i5", "-c", "one").code == 0
    content = (home_folder() / "one" / LEARNED).read_bytes()
    schema, database = '"attnsearch_one"', url.split("/")[3]
    server.execute(f"INSERT INTO {schema}.learned VALUES ('\\x{content.hex()}')", database=database)
    try:
        argv = ["query", "robot sea", "--json"]
        answers = [without_times(run(*argv, "-c", ref).out) for ref in (url, "one")]
        assert answers[0][0]["recalled"]
        same(*answers)
        server.execute(f"UPDATE {schema}.learned SET content = '\\x00'", database=database)
        ran = run(*argv, "-c", url)
        assert (ran.code, ran.out) == (3, "")
        assert "the catalog is damaged: " in ran.err
    finally:
        server.execute(f"DELETE FROM {schema}.learned", database=database)


def test_a_page_has_no_password(url, run, tmp_path):
    page = tmp_path / "page.html"
    with_password = url.replace("postgres@", "postgres:s3cret@")
    assert run("query", "moon", "-c", with_password, "-o", page).code == 0
    assert "postgresql://postgres@" in page.read_text()
    assert "s3cret" not in page.read_text()


def test_a_completion_does_not_connect(url, small, monkeypatch):
    def connect(*_):
        raise AssertionError

    monkeypatch.setattr(connection, "connect", connect)
    context = SimpleNamespace(params={"catalog": [url]}, args=[])
    assert complete_filter(context, "ye") == []
    assert complete_catalog("postgresql://") == []
