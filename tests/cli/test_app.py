"""The commands together: help, version, completion."""

from __future__ import annotations

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


def test_each_command_offers_only_its_own_formats(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert "--format" not in run("info", "--help").out
    assert "Print table, json, csv, npz, html, svg or png." in run("heatmap", "--help").out
    assert "Print table, json or jsonl." in run("show", "--help").out
    assert "Print table, json, jsonl, csv, tsv, md or html." in run("query", "--help").out
