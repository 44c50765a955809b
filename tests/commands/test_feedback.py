"""`attnsearch feedback` and `reset`: what they write, print and refuse."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys

import pytest
from rich.cells import cell_len

from attnsearch.commands.feedback import feedback as command
from attnsearch.sources import items
from attnsearch.storage import files
from attnsearch.storage.home import built_in_file, catalog_folder
from attnsearch.teaching import feedback
from tests.conftest import Terminal
from tests.storage.examples import grades


@pytest.fixture
def folder(shop, monkeypatch):
    """That of a catalog with the items a moon, b sea and c robot."""
    monkeypatch.chdir(shop.parent)
    return catalog_folder("shop")


class TestCommand:
    def test_what_it_says(self, run, folder):
        code, out, err = run("feedback", "night  sky", "--good", "a", "Sea", "--bad", "robot", "-c", "shop")
        assert (code, err) == (0, "")
        learns = "'attnsearch train -c shop' learns from"
        assert out == f"noted and remembered: 2 good, 1 bad for 'night sky'; 1 request so far; {learns} it\n"
        assert grades(folder) == {"night sky": {"a": 1, "b": 1, "c": 0}}
        out = run("feedback", "day", "--bad", "a", "-c", "shop").out
        assert out == f"noted: 1 bad for 'day'; 2 requests so far; {learns} them\n"
        assert run("feedback", "day", "--bad", "a", "-c", "shop", "-q") == (0, "", "")

    def test_it_says_if_it_is_not_remembered(self, run, folder):
        (folder / files.LEARNED).write_bytes(b"damaged")
        code, out, err = run("feedback", "night", "--good", "a", "-c", "shop")
        assert (code, out.startswith("noted: 1 good for 'night';")) == (0, True)
        assert "so this is noted, but not remembered" in err

    def test_what_was_judged_is_answered_so_from_then_on(self, run, folder, tmp_path):
        def best(*options):
            return json.loads(run("query", "moon", "-c", "shop", "--json", *options).out)["hits"][0]["id"]

        assert best() == "a"
        run("feedback", "moon", "--good", "c", "-c", "shop")
        assert (best(), best("--untrained")) == ("c", "a")
        assert 'because "moon" was judged' in run("query", "moon", "-c", "shop", "--explain").out
        assert ' · 89.4% from memory, because "moon" was judged' in run("query", "moon", "-c", "shop").out.replace(
            "\n", " "
        )
        page = run("query", "moon", "-c", "shop", "-f", "html", "--explain").out
        assert '<dt>judged</dt><dd><bdi lang="">moon</bdi>' in page
        assert 'because “<bdi lang="">moon</bdi>” was judged' in page
        info = json.loads(run("info", "shop", "--json").out)
        assert info["learned"]["memory"] == {
            "requests": 1, "most": 0.9, "temperature": 0.01, "threshold": 0.95, "margin": None,
        }  # fmt: skip
        assert (info["temperature"], info["learned"]["w"]) == (0.05, None)
        assert re.search("^remembers +1 judged request$", run("info", "shop").out, re.MULTILINE)
        copy = str(tmp_path / "copy")
        shutil.copy(folder / files.LEARNED, copy)
        again = "the next feedback or training remembers it again"
        note = f"shop: forgot 1 judged request; the feedback on 1 request is kept, and {again}\n"
        assert run("reset", "shop") == (0, note, "")
        assert (best(), best("--projections", copy)) == ("a", "c")
        run("feedback", "sea", "--good", "b", "-c", "shop")
        assert best() == "c"
        run("feedback", "moon", "--remove", "-c", "shop")
        assert best() == "a"

    def test_json(self, run, folder):
        run("feedback", "night", "--good", "a", "-c", "shop")
        answer = json.loads(run("feedback", "night", "--bad", "b", "-c", "shop", "--json").out)
        assert answer == {"schema": 1, "catalog": "shop", "query": "night", "noted": {"b": 0},
                        "grades": {"a": 1, "b": 0}, "remembered": True, "requests": 1}  # fmt: skip
        answer = json.loads(run("feedback", "night", "--remove", "--good", "moon", "-c", "shop", "--json").out)
        assert (answer["removed"], answer["requests"]) == ({"a": 1}, 1)
        assert not json.loads(run("feedback", "day", "--bad", "b", "-c", "shop", "--json").out)["remembered"]

    def test_a_file_is_indexed_first(self, run, shop, monkeypatch):
        monkeypatch.chdir(shop.parent)
        ref = "./shop.yaml"
        shop.write_text(shop.read_text() + "- {id: new, title: new}\n")
        assert run("feedback", "x", "--good", "new", "-c", ref).code == 0
        assert grades(catalog_folder("shop")) == {"x": {"new": 1}}

    def test_the_list(self, run, folder, shop):
        header = ["query", "item", "is", "when"]
        assert run("feedback", "--list", "-c", "shop").out.split() == header
        assert json.loads(run("feedback", "--list", "-c", "shop", "--json").out) == []
        run("feedback", "night sky", "--good", "a", "--bad", "b", "-c", "shop")
        shop.write_text("- {id: b, title: sea}\n")
        run("index", "shop.yaml")
        code, out, err = run("feedback", "--list", "-c", "shop")
        lines = [re.split(r"  +", line) for line in out.splitlines()]
        assert (code, err, lines[0]) == (0, "", header)
        assert [line[:-1] for line in lines[1:]] == [
            ["night sky", "a (gone)", "good"],
            ["night sky", "sea", "bad"],
        ]
        (answer,) = json.loads(run("feedback", "--list", "-c", "shop", "--json").out)
        assert answer["when"] == feedback.read_history(folder)[0].when
        assert answer["items"] == [
            {"id": "a", "title": None, "grade": 1, "gone": True},
            {"id": "b", "title": "sea", "grade": 0, "gone": False},
        ]

    @pytest.mark.parametrize("columns", [20, 34, 60, 80])
    def test_a_narrow_window(self, run, folder, monkeypatch, columns):
        feedback.add_judgment(
            folder, "a request of many words 暖かい " * 5, {"a": 1, "who is no item of this catalog " * 3: 0}
        )
        feedback.add_judgment(folder, "short", {"b": 1})
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("COLUMNS", str(columns))
        run("feedback", "--list", "-c", "shop", "--color", "never")
        header, *lines = sys.stdout.getvalue().splitlines()
        assert all(cell_len(line) <= columns for line in lines)
        assert [word for line in lines for word in line.split() if word in ("good", "bad")] == ["good", "bad", "good"]
        assert "moon" in lines[0]
        assert ("when" in header, len(lines)) == (columns >= 60, 3)

    def test_nothing_in_it_acts_on_a_terminal(self, run, folder):
        out = run("feedback", "\x1b[2Jnight", "--good", "a", "-c", "shop").out
        for one in (out, run("feedback", "--list", "-c", "shop").out):
            assert "\x1b" not in one
            assert "\\x1b[2Jnight" in one

    def test_the_list_of_what_is_not_indexed_yet(self, run, home):
        assert run("feedback", "--list", "-c", "library", "--json") == (0, "[]\n", "")
        assert run("feedback", "x", "--remove", "-c", "library").code == 2
        assert not home.exists()

    def test_remove(self, run, folder):
        run("feedback", "night", "--good", "a", "--bad", "b", "c", "-c", "shop")
        run("feedback", "day", "--good", "a", "-c", "shop")
        out = run("feedback", "night", "--remove", "--bad", "SEA", "-c", "shop").out
        assert out == "removed: 1 bad for 'night'; 2 requests left\n"
        assert grades(folder)["night"] == {"a": 1, "c": 0}
        out = run("feedback", "night", "--remove", "-c", "shop").out
        assert out == "removed: 1 good, 1 bad for 'night'; 1 request left\n"

    def test_of_two_judged_items_with_one_title_none_is_guessed(self, run, folder, shop):
        shop.write_text("- {id: a, title: moon}\n- {id: b, title: Moon}\n- {id: moon, title: sea}\n")
        run("index", "shop.yaml")
        run("feedback", "night", "--good", "a", "b", "-c", "shop")
        ran = run("feedback", "night", "--remove", "--good", "moon", "-c", "shop")
        assert (ran.code, ran.out) == (2, "")
        assert "no feedback on 'moon' for 'night'" in ran.err
        run("feedback", "night", "--bad", "moon", "-c", "shop")
        assert run("feedback", "night", "--remove", "--bad", "moon", "-c", "shop").code == 0  # which is an id now
        assert grades(folder) == {"night": {"a": 1, "b": 1}}

    def test_remove_that_nothing_is_right(self, run, folder):
        (folder / files.FEEDBACK).write_text('{"query": "night", "relevant": []}\n')
        assert run("feedback", "--list", "-c", "shop").out.splitlines()[1].split() == [
            "night",
            "(nothing",
            "is",
            "right)",
        ]
        out = run("feedback", "night", "--remove", "-c", "shop").out
        assert out == "removed: the judgment that nothing is right for 'night'; 0 requests left\n"

    def test_the_example_in_the_help_is_real(self):
        """Its items are in the built-in kitchen."""
        example = next(line for line in command.__doc__.splitlines() if "--good" in line)
        words = shlex.split(example)
        named = words[words.index("--good") + 1 : words.index("-c")]
        kitchen = {item.id for item in items.read_items([str(built_in_file("kitchen"))]).items}
        assert words[-1] == "kitchen"
        assert len(named) > 1
        assert kitchen.issuperset(named)

    def test_what_is_gone_from_the_catalog_can_be_taken_back(self, run, folder, shop):
        run("feedback", "night", "--good", "a", "c", "-c", "shop")
        shop.write_text("- {id: c, title: robot}\n")
        run("index", "shop.yaml")
        assert run("feedback", "night", "--remove", "--good", "a", "-c", "shop").code == 0
        assert grades(folder) == {"night": {"c": 1}}

    def test_eval_reads_it(self, run, folder):
        run("feedback", "moon", "--good", "a", "--bad", "b", "-c", "shop")
        answer = json.loads(run("eval", folder / files.FEEDBACK, "-c", "shop", "--json").out)
        assert (answer["queries"], answer["metrics"]["mrr"]) == (1, 1)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            ([], 'no query; give one: attnsearch feedback "sour soup" --good ITEM'),
            (["x"], "no items that are right or wrong; name some: attnsearch feedback x --good ITEM --bad ITEM"),
            ([" ", "--good", "a"], "the query is empty"),
            (["a\udcff", "--good", "a"], "the query is not valid UTF-8"),
            (["x", "--good", "moo"], "shop: no item 'moo'; did you mean 'moon'?"),
            (["x", "--good", "a", "--bad", "moon"], "'a' is both good and bad; name it once"),
            (["--good", "a", "b", "x"], "unexpected argument: x"),
            (["--list", "x"], "--list takes no query and no items"),
            (["--list", "--good", "x"], "--list takes no query and no items"),
            (["--list", "--remove"], "--list takes no query and no items"),
            (["x", "--remove"], "no feedback for 'x'; 'attnsearch feedback --list' shows what there is"),
        ],
    )
    def test_refused(self, run, folder, argv, message):
        code, out, err = run("feedback", *argv, "-c", "shop")
        assert (code, out) == (2, "")
        assert err.startswith(f"attnsearch: {message}")
        assert err.count("\n") == 1
        assert not (folder / files.FEEDBACK).exists()

    @pytest.mark.parametrize("argv", [("x", "--good", "a"), ("x", "--remove"), ("--list",)])
    def test_a_pipe(self, run, small, monkeypatch, argv):
        hint = "give its items a name first: attnsearch index - --name NAME"
        error = f"attnsearch: what is read from standard input can't be taught; {hint}\n"
        assert run("feedback", *argv, "-c", "-", stdin=b'{"title": "a"}') == (2, "", error)
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "-")
        assert run("feedback", *argv, stdin=b'{"title": "a"}') == (2, "", error)
