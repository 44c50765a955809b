"""`-f svg` and `-f png`: argv → a figure, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from attnsearch.output.notes import percent
from attnsearch.pictures.matrix import format_number
from attnsearch.storage.learned import load_learned
from tests.conftest import Terminal
from tests.plots.drawing import read_svg, texts

JUDGED = "- {query: moon, relevant: [a]}\n- {query: robot, relevant: [c]}\n- {query: sea, relevant: [c]}\n"
COMMANDS = {
    "map": ["explain", "moon", "-c", "shop"],
    "matrix": ["explain", "moon sea", "a", "--matrix", "-c", "shop"],
    "heatmap": ["heatmap", "moon", "sea", "-c", "shop"],
    "eval": ["eval", "judged.yaml", "-c", "shop"],
    "train": ["train", "judged.yaml", "-c", "shop", "--dry-run"],
}


@pytest.fixture(autouse=True)
def judged(write, shop, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return write("judged.yaml", JUDGED)


@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
class TestEveryCommand:
    def test_the_name_of_the_file_says_which(self, run, argv, tmp_path):
        assert run(*argv, "-o", "x.svg") == (0, "", "")
        assert run(*argv, "-o", "x.PNG") == (0, "", "")
        assert "shop" in "".join(texts((tmp_path / "x.svg").read_bytes()))
        assert (tmp_path / "x.PNG").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")

    def test_stdout_has_the_same_bytes_as_the_file(self, run, argv, tmp_path):
        run(*argv, "-o", "x.svg")
        ran = run(*argv, "-f", "svg")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.encode() == (tmp_path / "x.svg").read_bytes()

    def test_what_contradicts_is_refused(self, run, argv, tmp_path):
        code, out, err = run(*argv, "-f", "png", "-o", "x.svg")
        assert (code, out) == (2, "")
        assert "--format png and the name x.svg say two things" in err
        assert not (tmp_path / "x.svg").exists()

    def test_a_terminal_takes_no_png(self, run, argv, monkeypatch):
        monkeypatch.setattr(sys, "stdout", Terminal())
        assert run(*argv, "-f", "png").code == 2

    def test_without_matplotlib_nothing_is_computed(self, run, argv, monkeypatch, small):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        small.read.clear()
        code, out, err = run(*argv, "-f", "svg")
        assert (code, out) == (2, "")
        assert err == "attnsearch: SVG and PNG need matplotlib; pip install matplotlib\n"
        assert not small.read


def test_eval_compares_two_settings(run, tmp_path):
    assert run(*COMMANDS["eval"], "--compare", "--temperature 0.5", "-o", "x.svg").code == 0
    assert {"as asked", "--temperature 0.5"} <= set(texts((tmp_path / "x.svg").read_bytes()))


def test_eval_draws_the_numbers_of_json(run, tmp_path):
    run(*COMMANDS["eval"], "-o", "x.svg")
    answer = json.loads(run(*COMMANDS["eval"], "--json").out)
    ndcg, error = answer["intervals"]["ndcg"], answer["metrics"]["calibration_error"]
    expected = (
        f"shop · nDCG@10 {ndcg['low']:.3f} to {ndcg['high']:.3f} with 95% confidence · calibration error {error:.3f}"
    )
    assert expected in texts((tmp_path / "x.svg").read_bytes())


def test_train_draws_and_stores_as_without(run, tmp_path, home):
    argv = ["train", "judged.yaml", "-c", "shop", "--force"]
    assert run(*argv, "-o", "x.svg").code == 0
    assert "learned from 3 judged requests" in " ".join(texts((tmp_path / "x.svg").read_bytes()))
    with_figure = load_learned(home / "shop")
    assert run("reset", "shop").code == 0
    assert run(*argv).code == 0
    assert np.array_equal(load_learned(home / "shop").w, with_figure.w)


def test_train_of_itself_has_no_judgments_to_count(run):
    code, _, err = run("train", "--self", "-c", "shop", "-f", "svg")
    assert code == 2
    assert "--self learns from no judged requests" in err


def test_heatmap_draws_the_numbers_of_json(run, tmp_path):
    run(*COMMANDS["heatmap"], "-o", "x.svg", "-k", "2", "--by", "score")
    answer = json.loads(run(*COMMANDS["heatmap"], "--json", "-k", "2").out)
    shown = texts((tmp_path / "x.svg").read_bytes())
    assert [text for text in shown if text in answer["queries"]] == answer["queries"] * 2  # rows, and titles of columns
    assert [text for text in shown if text in ("0.00", "1.00")][:4] == [
        f"{score:.2f}" for row in answer["scores"] for score in row
    ]
    assert "all others" not in shown


def test_a_map_has_the_items_of_the_steps(run, tmp_path):
    run(*COMMANDS["map"], "-k", "2", "-o", "x.svg")
    hits = json.loads(run(*COMMANDS["map"], "-k", "2", "--json").out)["hits"]
    shown = texts((tmp_path / "x.svg").read_bytes())
    assert {f"{hit['title']} {percent(hit['weight'])}" for hit in hits} <= set(shown)
    assert "shop · 3 items in the two directions in which they differ most" in shown


def test_a_matrix_has_the_numbers_of_json(run, tmp_path):
    run(*COMMANDS["matrix"], "-o", "x.svg")
    matrix = json.loads(run(*COMMANDS["matrix"], "--json").out)["matrix"]
    shown = texts((tmp_path / "x.svg").read_bytes())
    assert {format_number(value, 2) for row in matrix["cells"] for value in row} <= set(shown)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["moon", "a"], "of an ITEM, svg has nothing but the matrix; add --matrix"),
        (["moon", "a", "--over", "b"], "of an ITEM, svg has nothing but the matrix"),
        (["moon", "--and", "sea"], "svg is a map for one request, which has no --and"),
        (["moon", "--value", "price"], "svg is a map for one request, which has no --value"),
        (["moon", "-w", "price > 9"], "every item is hidden"),
    ],
)
def test_explain_has_no_figure_of(run, argv, message):
    code, out, err = run("explain", *argv, "-c", "shop", "-f", "svg")
    assert (code, out) == (2, "")
    assert message in err


def test_a_catalog_cannot_act_in_a_figure(run, write, tmp_path):
    hostile = "<script>alert(1)</script>"
    write("judged.yaml", f"- {{query: '{hostile} moon', relevant: [a]}}\n")
    assert run(*COMMANDS["eval"], "-o", "x.svg").code == 0
    svg = (tmp_path / "x.svg").read_bytes()
    read_svg(svg)
    assert f"{hostile} moon" in texts(svg)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables", [{"MPLBACKEND": "none of these"}, {"MPLCONFIGDIR": os.devnull}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_an_environment_changes_nothing_and_needs_no_word(variables, tmp_path):
    """In a process of its own: matplotlib reads these when it is imported."""
    program = (
        "import sys; from attnsearch.plots.training import draw_curve; from attnsearch.learning.curve import Curve;"
        "sys.stdout.buffer.write(draw_curve(Curve([], 0), '\\u03bb $x$'))"
    )
    env = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    ran = [
        subprocess.run([sys.executable, "-c", program], env=env | more, capture_output=True, check=True)
        for more in ({}, variables)
    ]
    assert ran[0].stdout == ran[1].stdout
    assert ran[1].stderr == b""
