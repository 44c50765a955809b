"""A catalog in a database answers as the same catalog in a folder does."""

from __future__ import annotations

import json

import pytest

from attnsearch.storage.files import home_folder
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
        assert answer == pytest.approx(expected, rel=1e-6, abs=close)
    else:
        assert answer == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_the_json_is_the_same(url, run, name):
    argv = ["query", *OPTIONS[name], "--json"]
    ran = run(*argv, "-c", url)
    assert ran.code == 0, ran.err
    same(without_times(ran.out), without_times(run(*argv, "-c", "one").out))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
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
