"""`attnsearch use` and `remove`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import sys

import pytest

from tests.terminal.test_streams import Terminal


@pytest.fixture
def two(run, shop_file):
    """Two catalogs of one's own: shop and other."""
    run("index", "shop.yaml", "-q")
    run("index", "shop.yaml", "--name", "other", "-q")


class TestUse:
    def test_what_it_says(self, run, two):
        assert run("use") == (0, "no default: you have 2 catalogs (other, shop); choose one: attnsearch use NAME\n", "")
        assert run("use", "shop") == (0, "shop is asked without -c (by 'attnsearch use')\n", "")
        assert run("use") == (0, "shop is asked without -c (by 'attnsearch use')\n", "")
        assert json.loads(run("use", "--json").out) == {
            "schema": 1,
            "default": "shop",
            "asks": "shop",
            "why": "by 'attnsearch use'",
        }
        assert run("use", "other", "-q") == (0, "", "")
        assert run("use", "-q").out == "other is asked without -c (by 'attnsearch use')\n"
        assert run("use", "--none").out.startswith("no default: you have 2 catalogs")

    def test_a_variable_goes_first(self, run, two, monkeypatch):
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "other")
        assert run("use", "shop").out == "other is asked without -c (by $ATTNSEARCH_CATALOG)\n"

    def test_wrong_ones(self, run, two):
        assert run("use", "shap") == (3, "", "attnsearch: there is no catalog 'shap'; did you mean 'shop'?\n")
        assert run("use", "shop", "--none").code == 2

    def test_list_and_info_mark_it(self, run, two):
        run("use", "other")
        assert [line.split("  ")[0] for line in run("list").out.splitlines()[1:3]] == ["other (default)", "shop"]
        rows = json.loads(run("list", "--json").out)
        assert [row["name"] for row in rows if row["default"]] == ["other"]
        assert json.loads(run("info", "other", "--json").out)["default"] is True
        assert json.loads(run("info", "shop", "--json").out)["default"] is False

    def test_a_broken_choice_hinders_no_list(self, run, two, home):
        (home / ".default").write_bytes(b"rubbish")
        assert run("list").code == run("info", "shop").code == 0
        assert run("query", "moon").code == 3


COMMANDS = [
    ["query", "moon"],
    ["explain", "moon"],
    ["duplicates"],
    ["eval", "wanted.yaml"],
    ["train", "wanted.yaml"],
    ["feedback", "moon", "--good", "a"],
    ["feedback", "--list"],
    ["feedback", "moon", "--remove"],
]


class TestAsked:
    """Without -c, every command asks the same catalog, and none when that is not clear."""

    @pytest.fixture(autouse=True)
    def wanted(self, two, write):
        write("wanted.yaml", "- {query: moon, relevant: [a]}\n")

    @pytest.mark.parametrize("argv", COMMANDS)
    def test_in_a_pipe(self, run, argv):
        expected = "attnsearch: which catalog? say -c other or -c shop, or: attnsearch use NAME\n"
        assert run(*argv, "-q") == (2, "", expected)

    @pytest.mark.parametrize("argv", COMMANDS[:3])
    def test_on_a_terminal(self, run, argv, monkeypatch, small):
        monkeypatch.setattr(sys, "stdout", Terminal())
        code, _, err = run(*argv)
        assert code == 0
        assert err.startswith("attnsearch: asking the built-in library; say -c other or -c shop, or: attnsearch use")

    @pytest.mark.parametrize("argv", COMMANDS)
    def test_with_a_default(self, run, argv, home):
        run("use", "shop", "-q")
        run("feedback", "moon", "--good", "a", "-c", "shop", "-q")
        assert run(*argv).code == 0
        assert not (home / "other" / "feedback.jsonl").exists()
        assert not (home / "library").exists()

    def test_one_that_was_removed(self, run):
        run("use", "shop", "-q")
        run("remove", "shop", "-q")
        hint = "choose another: attnsearch use NAME, or none: attnsearch use --none"
        assert run("query", "moon", "-q") == (3, "", f"attnsearch: the default catalog 'shop' is gone; {hint}\n")
