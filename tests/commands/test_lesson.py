"""`attnsearch lesson`: a slide at a time for a person, all at once for a program."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnsearch.encoding import loading
from attnsearch.errors import ModelError
from attnsearch.lesson.steps import steps
from attnsearch.lesson.story import CHAPTERS, LAST
from attnsearch.lesson.variations import variations
from tests.conftest import Terminal
from tests.documents import ROOT, blocks

TITLES = [chapter.title for chapter in CHAPTERS.values()][:LAST]


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """No encoder is there."""

    def load(*_args, **_options):
        raise ModelError("the model all-MiniLM-L6-v2 is not here", hint="get it")

    monkeypatch.setattr(loading, "load", load)


@pytest.fixture
def on_a_terminal(monkeypatch, capsys):
    """Run the command line on a terminal on which a person types this; what it shows, and what it asks."""

    def on_a_terminal(typed: str, *argv: str) -> tuple[str, str]:
        from attnsearch.cli import main

        screen = Terminal()
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        monkeypatch.setattr("sys.stdout", screen)
        monkeypatch.setenv("COLUMNS", "80")
        assert main(["lesson", *argv]) == 0
        return screen.getvalue(), capsys.readouterr().err

    return on_a_terminal


def slides_in(text: str) -> list[int]:
    """The numbers of the slides in a text."""
    return [number for number in range(1, LAST + 1) if f"{number}. {CHAPTERS_IN_ORDER[number]}" in text]


CHAPTERS_IN_ORDER = {number: title.partition(" with {")[0] for number, title in enumerate(TITLES, 1)}


class TestAllAtOnce:
    def test_in_a_pipe_it_does_not_wait(self, run):
        """It does not wait, whatever could be read from stdin."""
        ran = run("lesson")
        assert (ran.code, ran.err, slides_in(ran.out)) == (0, "", list(range(1, LAST + 1)))

    def test_plain_on_a_terminal_has_no_colors(self, on_a_terminal, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "3")
        shown, asked = on_a_terminal("", "--plain")
        assert (slides_in(shown), asked, "\x1b" in shown) == (list(range(1, LAST + 1)), "", False)

    @pytest.mark.parametrize("number", range(1, LAST))
    def test_a_step_is_one_slide(self, run, number):
        assert slides_in(run("lesson", "--step", str(number)).out) == [number]

    @pytest.mark.parametrize(
        ("argv", "expected"),
        [
            (["--step", "15"], "15 is not from 1 to 14"),
            (["--step", "0"], "0 is not from 1 to 14"),
            (["--plain", "--json"], "--plain and --format json say two things"),
            (["--plain", "--color", "always"], "--plain is without colors"),
            (["--save", "x.txt"], "name it x.npz"),
            (["--open"], "--open is for a page in a file"),
        ],
    )
    def test_what_says_two_things_is_refused(self, run, argv, expected):
        ran = run("lesson", *argv)
        assert (ran.code, ran.out) == (2, "")
        assert expected in ran.err


class TestOneAtATime:
    @pytest.mark.parametrize(
        ("typed", "last"), [("\n\nq\n", 3), ("q\n", 1), ("\nQuit\n", 2), ("", 1), ("\n" * 99, LAST)]
    )
    def test_enter_shows_the_next_and_q_ends(self, on_a_terminal, typed, last):
        shown, asked = on_a_terminal(typed)
        assert slides_in(shown) == list(range(1, last + 1))
        assert asked.count("Enter: go on, q: quit") == min(last, LAST - 1)

    @pytest.mark.parametrize(("term", "erased"), [("xterm", 2), ("dumb", 0)])
    def test_an_answered_question_is_erased(self, on_a_terminal, monkeypatch, term, erased):
        monkeypatch.setattr("sys.stderr", errors := Terminal())
        monkeypatch.setenv("TERM", term)
        on_a_terminal("\n\nq\n")
        assert errors.getvalue().count("\x1b[A\x1b[2K") == erased

    @pytest.mark.parametrize(("lines", "has_room"), [(24, True), (17, False)])
    def test_a_slide_and_its_question_fit_the_window(self, on_a_terminal, monkeypatch, lines, has_room):
        monkeypatch.setenv("LINES", str(lines))
        shown, asked = on_a_terminal("q\n")
        assert len(shown.splitlines()) == 16
        assert asked.startswith("\n") == has_room

    def test_a_slide_fits_the_window_as_it_is_when_it_is_shown(self, on_a_terminal, monkeypatch):
        def narrow(_self):
            monkeypatch.setenv("COLUMNS", "40")
            return next(typed)

        typed = iter(["\n", "q\n"])
        monkeypatch.setattr(Terminal, "readline", narrow)
        first, second = on_a_terminal("", "--color", "never")[0].split(CHAPTERS_IN_ORDER[2])
        assert max(map(len, first.splitlines())) > 40
        assert max(map(len, second.splitlines())) <= 40

    def test_one_slide_does_not_wait(self, on_a_terminal):
        shown, asked = on_a_terminal("", "--step", "2")
        assert (slides_in(shown), asked) == ([2], "")

    def test_ctrl_c_ends_quietly(self, on_a_terminal, monkeypatch):
        def interrupt(_self):
            raise KeyboardInterrupt

        monkeypatch.setattr(Terminal, "readline", interrupt)
        shown, asked = on_a_terminal("")
        assert slides_in(shown) == [1]
        assert asked.endswith("quit \n")


class TestWithoutAModel:
    def test_the_last_slide_says_so(self, run):
        ran = run("lesson")
        assert ran.code == 0
        assert "it can't be computed here: the model all-MiniLM-L6-v2 is not here" in " ".join(ran.out.split())

    def test_asked_for_it_is_an_error(self, run):
        ran = run("lesson", "--step", str(LAST))
        assert (ran.code, ran.out) == (4, "")
        assert ran.err == "attnsearch: the model all-MiniLM-L6-v2 is not here; get it\n"


class TestFiles:
    def test_json_has_the_numbers_of_the_slides(self, run):
        slides = json.loads(run("lesson", "--json").out)["slides"]
        assert [slide["number"] for slide in slides] == list(range(1, LAST + 1))
        for slide, fields in zip([*steps(), *variations()], slides, strict=False):
            expected = [
                number
                for table in slide.tables
                for group in table.groups
                for c in group.columns
                for number in c.numbers
            ]
            real = [
                number
                for table in fields["tables"]
                for group in table["groups"]
                for column in group["columns"]
                for number in column["numbers"]
            ]
            assert real == [None if number == -math.inf else number for number in expected]

    def test_six_lines_of_numpy_give_the_printed_numbers(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        printed = run("lesson", "--step", "6", "--save", "science.npz").out
        (lines,) = (block for block in blocks(ROOT / "docs" / "attention.md", "python") if "np.load" in block)
        computed: dict[str, Any] = {"print": lambda *_: None}
        exec(lines, computed)
        weights, logits, arrays = computed["weights"][0], computed["logits"][0], computed["a"]
        for title, logit, weight in zip(arrays["titles"], logits, weights, strict=True):
            (line,) = (line.split() for line in printed.splitlines() if line.startswith(f"{title}  "))
            assert line[-4:-1] == [f"{logit:g}", f"{math.exp(logit):.3f}", f"{weight:.1%}"]
        output = run("lesson", "--step", "7").out
        (line,) = (line for line in output.splitlines() if line.startswith("output"))
        assert line.split()[1:] == [f"{number:.0f}" for number in weights @ arrays["V"]]
        assert np.allclose(arrays["logits"], logits)
        assert np.allclose(arrays["weights"], weights)
        assert np.allclose(arrays["output"], weights @ arrays["V"])
        assert np.array_equal(arrays["x"] @ arrays["W_Q"], arrays["q"])

    def test_a_file_has_all_slides(self, run, tmp_path):
        file = tmp_path / "lesson.txt"
        assert run("lesson", "-o", str(file)) == (0, "", "")
        assert slides_in(file.read_text()) == list(range(1, LAST + 1))


@pytest.mark.slow
def test_a_slide_of_the_four_books_loads_no_encoder(tmp_path):
    program = "import sys; from attnsearch.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-c", program, "lesson", "--step", "1"]
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path)}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    loaded = set(ran.stderr.split())
    assert "attnsearch.lesson.steps" in loaded
    assert not {"tokenizers", "torch", "scipy", "jinja2", "sqlite3"} & loaded
    assert not [name for name in loaded if name.startswith(("attnsearch.encoding.", "attnsearch.search."))]
