"""Pages as commands write them: `-f html`, the name of FILE, `--open`."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser

import pytest

from tests.documents import ROOT
from tests.pages.reading import read_page

pytestmark = pytest.mark.usefixtures("undrawn")

QUERY = ("query", "moon", "-c", "shop.yaml")


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser was asked for."""
    addresses = []
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


@pytest.mark.parametrize(
    "options", [["-o", "x.html"], ["-f", "html", "-o", "x.html"], ["-o", "x.HTML"], ["-f", "html", "-o", "x.page"]]
)
def test_a_file(run, shop_file, tmp_path, options):
    assert run(*QUERY, *options) == (0, "", "")
    read_page((tmp_path / options[-1]).read_bytes())


def test_stdout(run, shop_file):
    assert run(*QUERY, "-f", "html").out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "argv",
    [QUERY, ("explain", "moon", "-c", "shop.yaml"), ("heatmap", "moon", "-c", "shop.yaml"),
     ("eval", "judged.yaml", "-c", "shop.yaml"), ("train", "judged.yaml", "-c", "shop.yaml")],
    ids=lambda argv: argv[0],
)  # fmt: skip
class TestEachCommand:
    @pytest.fixture(autouse=True)
    def judged(self, shop_file, write):
        write("judged.yaml", "- {query: moon, relevant: [a]}\n- {query: robot, relevant: [c]}\n")

    def test_the_ending_is_enough(self, run, argv, tmp_path):
        assert run(*argv, "-o", "x.html") == (0, "", "")
        read_page((tmp_path / "x.html").read_bytes())

    def test_a_contradiction(self, run, argv, tmp_path):
        for options in (["--json"], ["-f", "table"]):
            ran = run(*argv, "-o", "x.html", *options)
            assert ran.code == 2
            assert "and the name x.html say two things" in ran.err
        assert not (tmp_path / "x.html").exists()

    def test_an_unknown_format(self, run, argv):
        ran = run(*argv, "-f", "htm")
        assert ran.code == 2
        assert "html" in ran.err

    def test_it_is_opened(self, run, argv, tmp_path, opened):
        assert run(*argv, "-o", "x.html", "--open") == (0, "", "")
        assert opened == [(tmp_path / "x.html").as_uri()]

    def test_only_a_page_in_a_file_is_opened(self, run, argv, opened):
        for options in ([], ["-f", "html"], ["-o", "x.txt"], ["-f", "html", "-o", "-"]):
            ran = run(*argv, *options, "--open")
            assert ran == (2, "", "attnsearch: --open is for a page in a file; name the file: -o FILE.html\n")
        assert run(*argv, "-f", "html", "-o", "/dev/null", "--open").code == 2
        assert not opened


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        ("json", "{\n"),
        ("jsonl", '{"'),
        ("csv", "query,"),
        ("tsv", "query\t"),
        ("md", "**moon**"),
        ("txt", "#"),
        ("CSV", "query,"),
    ],
)
def test_an_ending_chooses_the_format(run, shop_file, tmp_path, ending, start):
    assert run(*QUERY, "-o", f"x.{ending}") == (0, "", "")
    assert (tmp_path / f"x.{ending}").read_text().startswith(start)


def test_an_ending_chooses_json_of_what_has_a_table_or_json(run, shop_file, tmp_path):
    for argv in (["list"], ["check", "shop.yaml"], ["info", "shop.yaml"]):
        run("index", "shop.yaml")
        assert run(*argv, "-o", "x.json").code == 0
        json.loads((tmp_path / "x.json").read_text())


def test_json_lines_may_have_the_name_of_json(run, shop_file, tmp_path):
    for argv in ([*QUERY, "--jsonl"], ["export", "shop.yaml"]):
        assert run(*argv, "-o", "x.json").code == 0
        assert json.loads((tmp_path / "x.json").read_text().splitlines()[0])


def test_an_option_chooses_the_format_of_any_other_name(run, shop_file, tmp_path):
    for name in ("x.txt", "x.pdf", "x"):
        assert run(*QUERY, "--json", "-o", name).code == 0
        assert json.loads((tmp_path / name).read_text())["query"] == "moon"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            [*QUERY, "-o", "x.pdf"],
            "x.pdf: pdf is not a format of this command; use one of table, json, jsonl, csv, tsv,",
        ),
        (
            ["explain", "moon", "-o", "x.csv"],
            "x.csv: csv is not a format of this command; use one of table, json, html,",
        ),
        (["lesson", "-o", "x.svg"], "x.svg: svg is not a format of this command; use one of table, json, html\n"),
        (
            ["show", "a", "-o", "x.html"],
            "x.html: html is not a format of this command; use one of table, json, jsonl\n",
        ),
        (["duplicates", "shop.yaml", "--json", "-o", "x.csv"], "--format json and the name x.csv say two things"),
        ([*QUERY, "-f", "table", "-o", "x.csv"], "--format table and the name x.csv say two things; name it FILE.txt"),
    ],
)
def test_an_ending_that_promises_something_else(run, shop_file, tmp_path, argv, message):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert message in err
    assert sorted(path.name for path in tmp_path.glob("x.*")) == []


def no_browser(address):
    raise webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize("browser", [lambda address: False, no_browser], ids=["refused", "none"])
def test_no_browser(run, shop_file, tmp_path, monkeypatch, browser):
    monkeypatch.setattr(webbrowser, "open", browser)
    ran = run(*QUERY, "-o", "x.html", "--open")
    assert ran == (0, "", f"attnsearch: no browser could be opened; the page is in {tmp_path / 'x.html'}\n")


@pytest.mark.parametrize("browser", ["'half %s", '"half', "/nonexistent %s", "%s", "a:b"])
def test_a_browser_that_can_not_be_started(tmp_path, browser):
    """webbrowser reads $BROWSER once, so another process does."""
    code = "from attnsearch.terminal.browser import emit_page; emit_page('x', 'x.html', is_opened=True)"
    env = {"PATH": "/nonexistent", "BROWSER": browser, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    shown = f"attnsearch: no browser could be opened; the page is in {tmp_path / 'x.html'}\n"
    assert (ran.returncode, ran.stderr) == (0, shown)


def test_an_error_leaves_the_old_page(run, shop_file, write):
    page = write("x.html", "old")
    assert run("query", " ", "-c", "shop.yaml", "-o", "x.html").code == 2
    assert page.read_text() == "old"


def test_queries_of_a_pipe_are_one_page(run, shop_file, monkeypatch):
    monkeypatch.setattr("attnsearch.terminal.requests.BATCH", 3)
    ran = run("query", "-c", "shop.yaml", "-f", "html", stdin="".join(f"moon {n}\n" for n in range(8)).encode())
    tree = read_page(ran.out.encode())
    assert [section.get("id") for section in tree.iter("section") if section.get("id")] == [
        f"q{n}" for n in range(1, 9)
    ]


def test_vector_is_for_json(run, shop_file):
    assert run(*QUERY, "-f", "html", "--vector").code == 2
