"""The man pages of a wheel: they are valid, and agree with the help, the reference and the completion."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

from attnsearch import __version__
from attnsearch.cli.app import COMMANDS
from tests.documents import ROOT
from tests.test_dependencies import DIRECT, PINS
from tests.test_documents import TestReference as Reference

BUILDER = ROOT / ".ci" / "man_pages.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The files of a wheel, by name."""
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def pages(wheel):
    """The man pages, by name."""
    start = f"attnsearch-{__version__}.data/data/share/man/man1/"
    return {name.removeprefix(start): text.decode("ascii") for name, text in wheel.items() if name.startswith(start)}


def terms(page):
    """The names that the page explains, each with the heading above: ("OUTPUT", "--json")."""
    lines = page.replace(r"\-", "-").splitlines()
    heading = ""
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith(".SH "):
            heading = line.removeprefix(".SH ")
        elif before == ".TP":
            yield from ((heading, name) for name in re.findall(r"\\fB(.*?)\\fR", line))


def options(names):
    return {name for name in names if name.startswith("-")} - {"-h", "--help"}


def test_there_is_a_page_for_each_command(pages):
    assert set(pages) == {"attnsearch.1", *(f"attnsearch-{name}.1" for name in COMMANDS)}
    assert [name for heading, name in terms(pages["attnsearch.1"]) if heading == "COMMANDS"] == list(COMMANDS)
    named = re.findall(r"\\fBattnsearch-(\w+)\\fR\(1\)", pages["attnsearch.1"].replace(r"\-", "-"))
    assert named == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_all_agree_on_the_options(run, pages, monkeypatch, capsys, name):
    monkeypatch.setenv("COLUMNS", "100")
    help_lines = run(name, "--help").out.splitlines()
    in_help = [part for line in help_lines for part in re.findall(r"^ {2,6}(-[^\s,]+(?:, -[^\s,]+)*)", line)]
    shown = options(option for part in in_help for option in part.split(", "))
    assert len(shown) >= 1

    on_the_page = options(term for _, term in terms(pages[f"attnsearch-{name}.1"]))
    hidden = {"-V", "--version"}
    in_the_reference = {option for command, option in Reference().documented() if command == name} - hidden
    completed = set()
    for dashes in ("-", "--"):
        monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"attnsearch {name} {dashes}")
        monkeypatch.setenv("COMP_CWORD", "2")
        with pytest.raises(SystemExit):
            run()
        completed |= options(capsys.readouterr().out.split())
    assert on_the_page == in_the_reference == completed == shown


def test_all_agree_on_the_commands(run, monkeypatch, capsys):
    """The order of the reference is compared in test_documents."""
    in_help = re.findall(r"^  (\w+) {2,}", run("--help").out.partition("Commands:")[2].partition("Options:")[0], re.M)
    monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "attnsearch ")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run()
    assert in_help == capsys.readouterr().out.split() == list(COMMANDS)


def test_the_first_page_has_every_variable_and_exit_code(pages):
    from attnsearch.errors import Exit

    explained = list(terms(pages["attnsearch.1"]))
    assert [int(name) for heading, name in explained if heading == "EXIT STATUS"] == [int(code) for code in Exit]
    assert ("ENVIRONMENT", "ATTNSEARCH_HOME") in explained
    assert ("FILES", "") not in explained


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
@pytest.mark.parametrize("device", ["utf8", "ascii"])
def test_groff_has_nothing_to_say(pages, device):
    for name, text in pages.items():
        ran = subprocess.run(
            ["groff", "-man", "-ww", f"-T{device}", "-P-c"], input=text, capture_output=True, text=True, check=True
        )
        assert ran.stderr == "", name
        printed = re.sub(r".\x08", "", ran.stdout)
        assert "Print this help and exit." in printed
        if name == "attnsearch-query.1":
            assert ("--lexical [λ]" if device == "utf8" else "--lexical [lambda]") in printed
            assert ("1/√d_k" if device == "utf8" else "1/sqrt d_k") in printed


def test_the_build_needs_only_what_it_installs():
    """No numpy, no model: a build in isolation has what build-system.requires names, and what that brings."""
    modules = {"pystemmer": "Stemmer", "pyyaml": "yaml"}
    names = {modules.get(requirement.name, requirement.name.replace("-", "_")) for requirement in DIRECT}
    others = names - {"typer", "rich"}
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(others)})); "
        f"sys.path.insert(0, {str(BUILDER.parent)!r}); import man_pages; print(len(man_pages.pages('1')))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert int(ran.stdout) == len(COMMANDS) + 1


def test_what_it_installs_is_pinned_and_that_of_the_package():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = {str(requirement) for requirement in map(Requirement, table["build-system"]["requires"])}
    assert {Requirement(line).name for line in required} <= PINS.keys()
    assert required & {str(requirement) for requirement in DIRECT} == {line for line in required if "typer" in line}
    assert "exclude" not in table["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert ".ci" in table["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
