"""The commands together: help, version, completion."""

from __future__ import annotations

import re
import sys

import pytest

from attnsearch import __version__
from attnsearch.cli.app import COMMANDS, app_for


@pytest.mark.parametrize(
    ("argv", "built"),
    [
        (["query", "list"], ["query"]),
        (["list"], ["list"]),
        ([], COMMANDS),
        (["--help"], COMMANDS),
        (["qery"], COMMANDS),
    ],
)
def test_typer_reads_no_command_that_is_not_asked_for(argv, built):
    assert [command.name for command in app_for(argv).registered_commands] == list(built)


def test_completion_knows_the_catalogs(run, shop_file, monkeypatch):
    run("index", "shop.yaml")
    monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "attnsearch query moon -c ")
    monkeypatch.setenv("COMP_CWORD", "4")
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert {"shop", "library", "kitchen", "toolbox"} <= set(sys.stdout.getvalue().split())


def test_version_and_help(run):
    assert run("--version") == (0, f"attnsearch {__version__}\n", "")
    assert run("query", "--version") == (0, f"attnsearch {__version__}\n", "")
    for argv in (
        [],
        ["--help"],
        ["-h"],
        *([name, "-h"] for name in ("query", "index", "list", "info", "remove", "explain")),
    ):
        code, out, err = run(*argv)
        assert (code, err) == (0, "")
        assert "Usage: attnsearch" in out


def test_no_word_of_the_help_is_taken_for_markup(run, monkeypatch):
    """The help is rich's markup, in which [table] would be a style, and vanish."""
    import ast
    from pathlib import Path

    import attnsearch

    package = Path(attnsearch.__file__).parent
    helps = [
        ast.unparse(word.value)
        for folder in ("terminal", "commands", "cli")
        for file in (package / folder).glob("*.py")
        for word in ast.walk(ast.parse(file.read_text()))
        if isinstance(word, ast.keyword) and word.arg == "help"
    ]
    assert len(helps) > 30
    assert not [text for text in helps if re.search(r"\[[a-z#/@]", text)]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_one_form_of_defaults_and_metavars(run, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "400")
    out = run(name, "--help").out
    assert "[default" not in out
    assert "<int" not in out
    assert not re.search(r"default(?!: )", out.replace("defaults", ""))
    assert out.count("(default: ") == out.count("default")


def test_explain_offers_only_its_own_formats(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert "Output format: table or json." in run("explain", "--help").out
    assert "Output format: table, json, jsonl, csv, tsv or md." in run("query", "--help").out
