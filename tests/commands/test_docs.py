"""`attnsearch docs`: the pages, in the terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attnsearch.cli import main
from attnsearch.commands import guide
from tests.conftest import Terminal
from tests.documents import ROOT

PAGES = [
    "readme",
    "reference",
    "attention",
    "cluster",
    "encoders",
    "heads",
    "learning",
    "licenses",
    "postgresql",
    "python",
    "reliability",
    "scale",
    "serving",
    "storage",
    "changelog",
]


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Run the command line on a terminal of 80 columns; what it shows."""

    def on_a_terminal(*argv: str, columns: int = 80) -> str:
        screen = Terminal()
        monkeypatch.setattr("sys.stdout", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        assert main(argv) == 0
        return screen.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    return on_a_terminal


def test_the_list(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = run("docs")
    head, *listed = [re.fullmatch(r"(\w+) {2,}(\S.*)", line).groups() for line in ran.out.splitlines()]
    assert (ran.code, ran.err, head) == (0, "", ("page", "about"))
    assert [name for name, _ in listed] == PAGES
    assert all(sentence.endswith(".") and 20 < len(sentence) <= 105 for _, sentence in listed)
    assert len({sentence for _, sentence in listed}) == len(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_in_a_pipe_a_page_is_its_markdown(page, run):
    file = {"readme": "README.md", "changelog": "CHANGELOG.md"}.get(page, f"docs/{page}.md")
    assert run("docs", page) == (0, (ROOT / file).read_text(), "")


@pytest.mark.parametrize("name", ["Storage", "storage.md", "docs/storage.md", "STORAGE"])
def test_other_ways_to_name_a_page(name, run):
    assert run("docs", name).out == (ROOT / "docs" / "storage.md").read_text()


def test_on_a_terminal_it_is_formatted(on_a_terminal):
    shown = on_a_terminal("docs", "storage")
    assert "\x1b[" in shown
    assert "# The form on disk" not in shown
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize(("background", "code"), [("15;0", "1;36"), ("0;15", "1;34")])
def test_code_has_no_background(background, code, on_a_terminal, monkeypatch):
    """Black boxes would be all that one sees on a light terminal."""
    monkeypatch.setenv("COLORFGBG", background)
    codes = re.findall(r"\x1b\[([\d;]+)m", on_a_terminal("docs", "reference"))
    assert code in codes
    assert not {int(part) for code in codes for part in code.split(";")} & {*range(40, 49), *range(100, 108)}


@pytest.mark.parametrize("page", PAGES)
def test_without_colors_nothing_acts_on_the_terminal(page, on_a_terminal):
    shown = on_a_terminal("docs", page, "--color", "never", columns=60)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 60


def test_a_relative_link_is_its_text(on_a_terminal):
    shown = on_a_terminal("docs", "readme", "--color", "never")
    assert "reference has every command" in " ".join(shown.split())
    assert "](" not in shown


@pytest.mark.parametrize(
    ("page", "hint"),
    [
        ("refrence", "did you mean 'reference'?"),
        ("zzz", "'attnsearch docs' lists the pages"),
        ("../README", "did you mean 'readme'?"),
        ("", "'attnsearch docs' lists the pages"),
        ("contributing", "'attnsearch docs' lists the pages"),
        ("\x1b[31m", "'attnsearch docs' lists the pages"),
    ],
)
def test_no_such_page(page, hint, run):
    ran = run("docs", page)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("attnsearch: there is no page '")
    assert ran.err.endswith(f"'; {hint}\n")
    assert "\x1b" not in ran.err


class TestInstalled:
    """Where the package holds its own pages, as the wheel puts them."""

    @pytest.fixture
    def package(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(guide, "PACKAGE", tmp_path / "attnsearch")
        return tmp_path / "attnsearch"

    def test_its_own_pages_come_first(self, package, write, run):
        write("attnsearch/docs/README.md", "# A\n\nOne sentence. Two.\n")
        write("attnsearch/docs/other.md", "# B\n\nAnother\nsentence.\n")
        write("README.md", "# Somebody else's\n")
        assert run("docs").out == "page    about\nreadme  One sentence.\nother   Another sentence.\n"

    def test_none(self, package, run):
        ran = run("docs")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == f"attnsearch: {package / 'docs'}: the documentation is not installed; reinstall attnsearch\n"
        assert guide.complete_page("") == []

    def test_one_that_cannot_be_read(self, package, write, run):
        write("attnsearch/docs/storage.md", b"\xff")
        (package / "docs" / "folder.md").mkdir()
        for page in ("storage", "folder"):
            ran = run("docs", page)
            assert (ran.code, ran.out) == (3, "")
            assert ran.err.endswith("; reinstall attnsearch\n")


def test_completion(run):
    assert guide.complete_page("re") == ["readme", "reference", "reliability"]


@pytest.mark.slow
def test_the_wheel_has_every_page(tmp_path):
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert (tmp_path / "site" / "attnsearch" / "docs" / "learning.svg").is_file()
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for page in ("readme", "reference", "changelog"):
        argv = [sys.executable, "-m", "attnsearch", "docs", page]
        ran = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert ran.stdout == guide.pages()[page].read_text()
