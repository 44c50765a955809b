"""`attnsearch use`, `check` and `remove`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import re
import sys

import pytest

from attnsearch.indexing import repair
from attnsearch.indexing.repair import Lost, Repaired
from attnsearch.storage import home as catalogs_home
from tests.indexing.damage import change
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
    ["show", "a"],
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
        expected = "attnsearch: which catalog? you have other, shop; say {}, or choose a default: attnsearch use NAME\n"
        option = "attnsearch duplicates NAME" if argv[0] == "duplicates" else "-c NAME"
        assert run(*argv, "-q") == (2, "", expected.format(option))

    @pytest.mark.parametrize("argv", COMMANDS[:3])
    def test_on_a_terminal(self, run, argv, monkeypatch, small):
        monkeypatch.setattr(sys, "stdout", Terminal())
        code, _, err = run(*argv)
        assert code == 0
        assert err.startswith("attnsearch: asking the built-in library; you have other, shop: say ")

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


class TestCheck:
    def test_what_it_says(self, run, shop_file, home):
        run("index", "shop.yaml")
        assert run("check", "shop") == (0, "shop: ok\n", "")
        (home / "shop" / "index.sqlite").write_bytes(b"rubbish" * 1000)
        code, out, err = run("check", "shop")
        assert code == 3
        assert out.startswith("shop: ")
        assert err == "attnsearch: shop: the catalog is damaged; run 'attnsearch check shop --repair'\n"

    def test_several(self, run, shop_file, home):
        for name in ("one", "two", "three"):
            run("index", "shop.yaml", "--name", name)
        for name in ("one", "three"):
            (home / name / "index.seal").write_bytes(b"rubbish")
        code, out, err = run("check", "one", "two", "three")
        assert code == 3
        assert "two: ok\n" in out
        assert err == "attnsearch: one, three: these catalogs are damaged; run 'attnsearch check one three --repair'\n"
        assert run("check", "one", "three", "--repair").out.count(": repaired; 0 texts embedded again\n") == 2

    def test_a_repair_touches_no_whole_catalog(self, run, shop_file, home):
        run("index", "shop.yaml")
        before = (home / "shop").stat().st_ino
        assert run("check", "shop", "--repair") == (0, "shop: ok\n", "")
        assert (home / "shop").stat().st_ino == before

    def test_a_repair_is_not_believed_but_checked(self, run, shop_file, home, monkeypatch):
        run("index", "shop.yaml")
        (home / "shop" / "index.seal").write_bytes(b"rubbish")
        nothing = Repaired(catalogs_home.read_catalog_info(home / "shop"), 0, Lost(0, ()))
        monkeypatch.setattr(repair, "repair", lambda *_, **__: nothing)
        ran = run("check", "shop", "--repair")
        assert ran.code == 3
        assert "shop: the catalog is damaged" in ran.err
        assert "repaired" not in ran.out

    def test_what_is_lost_is_said_of_the_catalogs_that_lost_it(self, run, shop_file, home):
        for name in ("one", "two"):
            run("index", "shop.yaml", "--name", name)
        (home / "one" / "index.seal").write_bytes(b"rubbish")
        change(home / "two", "UPDATE items SET title = 'mars' WHERE id = 'a'")
        shop_file.unlink()
        ran = run("check", "one", "two", "--repair")
        assert ran.code == 3
        assert "lost, since no source has them any more: 1 item of two;" in ran.err

    def test_a_model_that_has_changed_is_no_damage(self, run, shop_file, home, small):
        run("index", "shop.yaml")
        run("index", "shop.yaml", "--name", "other")
        small.sha256 = "6" * 64
        command = f"attnsearch index {shop_file}"
        for options in ([], ["--repair"]):
            code, out, err = run("check", "shop", *options)
            assert (code, "it was indexed with other weights of small" in out) == (3, True)
            assert err == f"attnsearch: shop: its model has changed; index it again: {command}\n"
        (home / "other" / "index.seal").write_bytes(b"rubbish")
        hints = f"run 'attnsearch check other --repair'; index it again: {command}"
        both = "the catalog is damaged, and the model of shop has changed"
        assert run("check", "shop", "other").err == f"attnsearch: other: {both}; {hints}\n"
        assert run("index", "shop.yaml", "-q").code == 0
        assert run("check", "shop") == (0, "shop: ok\n", "")


class TestRemove:
    @pytest.fixture
    def taught(self, run, two):
        run("feedback", "moon", "--good", "a", "-c", "shop", "-q")

    @pytest.mark.parametrize("refs", [("shop", "./shop.yaml"), ("./shop.yaml", "shop", "shop")])
    def test_one_that_is_named_twice(self, run, shop_file, refs):
        run("index", "shop.yaml", "-q")
        assert run("remove", *refs) == (0, f"removed {refs[0]}\n", "")

    def test_feedback_stays(self, run, taught, home):
        note = (
            "kept for when it is indexed again: its feedback on 1 request and what it learned (--all removes these too)"
        )
        assert run("remove", "shop", "--dry-run") == (0, f"would remove shop; {note}\n", "")
        assert run("remove", "shop", "other") == (0, f"removed shop; {note}\nremoved other\n", "")
        listed = json.loads(run("list", "--json").out)
        assert listed[-1] == {"name": "shop", "removed": True, "default": False}
        assert re.search("^shop +removed; what it was taught is kept$", run("list").out, re.MULTILINE)
        assert run("query", "moon", "-c", "shop").code == 3
        hint = "'attnsearch remove shop --all' removes that too"
        assert run("remove", "shop").err == f"attnsearch: shop: was removed; what it was taught is kept; {hint}\n"
        run("index", "shop.yaml", "-q")
        assert json.loads(run("feedback", "--list", "-c", "shop", "--json").out)[0]["query"] == "moon"
        assert run("remove", "shop", "--all").out == "removed shop with its feedback on 1 request and what it learned\n"
        assert list(home.iterdir()) == []

    def test_what_is_kept_can_be_removed_later(self, run, taught, home):
        run("remove", "shop", "other", "-q")
        note = "with its feedback on 1 request and what it learned"
        assert run("remove", "shop", "--all", "--dry-run").out == f"would remove shop {note}\n"
        assert run("remove", "shop", "--all", "-q") == (0, "", "")
        assert list(home.iterdir()) == []

    def test_a_dry_run_removes_nothing(self, run, two):
        assert run("remove", "shop", "other", "--dry-run").out == "would remove shop\nwould remove other\n"
        assert run("info", "shop").code == 0

    def test_with_a_wrong_name_nothing_is_removed(self, run, taught):
        for options in ([], ["--all"], ["--dry-run"]):
            assert run("remove", "shop", "nowhere", *options).code == 3
        assert run("info", "shop").code == 0

    def test_of_the_default_it_says_so(self, run, two):
        run("use", "shop")
        assert run("remove", "shop").out == "removed shop; choose another default: attnsearch use NAME\n"

    def test_feedback_that_cannot_be_read_stays_too(self, run, taught, home):
        (home / "shop" / "feedback.jsonl").write_text("rubbish")
        assert "its feedback and what it learned (--all" in run("remove", "shop").out
        assert (home / "shop" / "feedback.jsonl").read_text() == "rubbish"

    def test_two_of_one_file_are_told_apart(self, run, shop_file, write, home):
        run("query", "moon", "-c", "shop.yaml", "-q")
        run("index", write("other.yaml", "- {title: x}\n"), "--name", "shop", "-q")
        run("index", "shop.yaml", "--name", "shop", "-q")
        (unnamed,) = home.glob("@*")
        for command in ("remove", "info", "check"):
            ran = run(command, "shop.yaml")
            hint = f"say shop, or {unnamed.name} for the one without a name"
            assert (ran.code, ran.err) == (3, f"attnsearch: shop.yaml: two catalogs were made from it; {hint}\n")
        assert run("remove", unnamed.name, "shop").code == 0
        assert list(home.iterdir()) == []


def test_lines_fit_the_window(run, two, monkeypatch):
    run("feedback", "moon", "--good", "a", "-c", "shop", "-q")
    monkeypatch.setenv("COLUMNS", "40")
    for argv in (["use", "shop"], ["remove", "shop", "--dry-run"], ["remove", "shop"]):
        monkeypatch.setattr(sys, "stdout", Terminal())
        run(*argv)
        lines = sys.stdout.getvalue().splitlines()
        assert len(lines) > 1
        assert all(len(line) <= 40 for line in lines)


class TestConfirmation:
    """Only people are asked."""

    @pytest.fixture
    def answer(self, two, monkeypatch):
        """Answer on a terminal: what was asked."""
        from attnsearch.cli import main

        def answer(text, *options):
            err = Terminal()
            stdin = Terminal(text)
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stdin", stdin)
                patch.setattr(sys, "stderr", err)
                code = main(["remove", "shop", *options])
            return code, err.getvalue()

        return answer

    @pytest.mark.parametrize("text", ["y\n", " YES\n"])
    def test_yes(self, answer, home, text):
        assert answer(text) == (0, "remove shop? [y/N] ")
        assert not (home / "shop").exists()

    @pytest.mark.parametrize("text", ["", "\n", "n\n", "yy\n"])
    def test_no(self, answer, home, capsys, text):
        code, err = answer(text)
        assert (code, err) == (0, "remove shop? [y/N] ")
        assert capsys.readouterr().out == "nothing removed\n"
        assert (home / "shop").exists()

    @pytest.mark.parametrize("option", ["-y", "--yes", "--dry-run"])
    def test_not_asked(self, answer, option):
        assert answer("", option) == (0, "")


class TestGone:
    """A file that is gone has its catalog still, by the name that `list` shows."""

    @pytest.fixture
    def gone(self, run, shop_file):
        run("query", "moon", "-c", "shop.yaml", "-q")
        shop_file.unlink()
        return str(shop_file)

    def test_list_and_info_mark_it(self, run, gone):
        assert re.search(rf"^{re.escape(gone)} .*\(gone\)$", run("list").out, re.MULTILINE)
        assert json.loads(run("info", gone, "--json").out)["gone"] == [gone]
        assert "(gone)" in run("info", gone).out

    @pytest.mark.parametrize("command", ["remove", "info", "check", "reset"])
    @pytest.mark.parametrize("is_path", [True, False])
    def test_commands(self, run, gone, command, is_path):
        assert run(command, gone if is_path else "shop.yaml").code == 0
        names = [row["name"] for row in json.loads(run("list", "--json").out)]
        assert (gone in names) is (command != "remove")

    def test_a_query_answers_from_what_was_read(self, run, gone):
        code, out, err = run("query", "moon", "-c", gone, "--json")
        assert (code, json.loads(out)["items"]) == (0, 3)
        assert err.startswith(f"attnsearch: {gone} is gone; this is what was read of it on 2")

    def test_elsewhere_its_path_is_suggested(self, run, gone, tmp_path, monkeypatch):
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        assert run("remove", "shop.yaml").err == f"attnsearch: shop.yaml: no such file; did you mean '{gone}'?\n"


def test_names_of_another_case_are_suggested(run, two):
    assert run("info", "SHOP").err == "attnsearch: there is no catalog 'SHOP'; did you mean 'shop'?\n"


def test_a_path_may_begin_with_a_tilde(run, two, shop_file, monkeypatch):
    monkeypatch.setenv("HOME", str(shop_file.parent))
    assert run("use", "~/shop.yaml").err.endswith("2 catalogs were made from it: other, shop; say which: -c other\n")
    run("remove", "other")
    assert run("use", "~/shop.yaml").out == "shop is asked without -c (by 'attnsearch use')\n"
