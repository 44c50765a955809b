"""Wrong command lines: what is answered all the same, what is suggested, and that a suggestion works as it is."""

from __future__ import annotations

import itertools
import json
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch import __version__
from attnsearch.cli import main, mistakes
from attnsearch.cli.app import COMMANDS


def suggestion(error):
    """The words of the last command line in an error, without `attnsearch` itself."""
    return shlex.split(error.rpartition(": attnsearch ")[2])


@pytest.mark.parametrize("before", [[], ["-k", "1"], ["--lexical"], ["-w", "title != 'a b'"]])
@pytest.mark.parametrize("after", [[], ["-k", "1"], ["--where", "title != 'a b'", "--json"], ["-q"]])
def test_one_argument_with_a_blank_is_a_query(run, shop_file, before, after):
    words = [*before, "robot moon", *after, "-c", "shop.yaml"]
    run("query", "sea", "-c", "shop.yaml")
    answer = run(*words)
    assert answer.code == 0
    assert re.sub(r"[\d.]+( ms|,?\n)", "", answer.out) == re.sub(r"[\d.]+( ms|,?\n)", "", run("query", *words).out)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["search", "moon sea", "-k", "3"], "query 'moon sea' -k 3"),
        (["find", "it's"], """query 'it'"'"'s'"""),
        (["ask", "moon"], "query moon"),
        (["rm", "shop"], "remove shop"),
        (["delete", "my shop"], "remove 'my shop'"),
        (["ls"], "list"),
        (["add", "a b.csv"], "index 'a b.csv'"),
        (["create", "a.csv"], "index a.csv"),
        (["status", "shop"], "info shop"),
        (["serach", "moon"], "query moon"),
        (["qury", "moon", "sea"], "query moon sea"),
        (["LIST"], "list"),
        (["remvoe", "shop"], "remove shop"),
        (["whales"], "query whales"),
        (["moon", "landing", "-k", "3"], "query 'moon landing' -k 3"),
        (["moon landing", "sea"], "query 'moon landing sea'"),
        (["moon", "$(rm -rf ~)"], "query 'moon $(rm -rf ~)'"),
    ],
)
def test_a_word_that_is_no_command(run, home, argv, line):
    expected = f"attnsearch: no such command '{argv[0]}'; did you mean: attnsearch {line}\n"
    assert run(*argv) == (2, "", expected)
    assert not home.exists()


@pytest.mark.parametrize("argv", [[""], [" "], ["help", "nothing"]])
def test_nothing_to_suggest(run, argv):
    code, _, error = run(*argv)
    assert code == 2
    assert error.endswith("; see 'attnsearch --help'\n")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["explain", "moon", "--from", "lines"], "query and index have it"),
        (["show", "moon", "--where", "x"], "query, duplicates, explain, heatmap and eval have it"),
        (["export", "shop", "--vector"], "query has it"),
        (["remove", "-o", "x"], "see 'attnsearch remove --help'"),
        (["query", "moon", "--lexicall"], "did you mean --lexical?"),
    ],
)
def test_an_option_of_other_commands(run, argv, hint):
    option = next(word for word in argv if word.startswith("-"))
    assert run(*argv) == (2, "", f"attnsearch: no such option: {option}; {hint}\n")


def test_synonyms_are_no_commands():
    synonyms = list(itertools.chain.from_iterable(mistakes._SYNONYMS.values()))
    assert len(set(synonyms)) == len(synonyms)
    assert not set(synonyms) & {*COMMANDS, *mistakes._SYNONYMS}


def test_help_and_version(run):
    assert run("help") == run("--help") == run("help", "--help")
    assert run("help", "index") == run("index", "-h")
    assert run("help", "index").out.startswith("Usage: attnsearch index ")
    version = (0, f"attnsearch {__version__}\n", "")
    assert run("version") == run("-V") == run("--version") == run("query", "-V") == version


@pytest.mark.parametrize(
    ("argv", "option", "line"),
    [
        (["query", "-40 degrees outside", "-c", "shop"], "-4", "query -c shop -- '-40 degrees outside'"),
        (["query", "--force, the flag", "-k", "1"], "--force, the flag", "query -k 1 -- '--force, the flag'"),
        (["query", "moon", "-40"], "-4", "query moon -- -40"),
        (["query", "-40", "--", "moon"], "-4", "query -- moon -40"),
        (["explain", "-7 below"], "-7", "explain -- '-7 below'"),
        (["-40 degrees outside"], "-4", "query -- '-40 degrees outside'"),
    ],
)
def test_a_text_that_begins_with_a_dash(run, argv, option, line):
    message = f"no such option: {option}; if it is what you look for: attnsearch {line}"
    assert run(*argv) == (2, "", f"attnsearch: {message}\n")
    error = json.loads(run(*argv[:1], "--json", *argv[1:]).err)["error"] if argv[0] in COMMANDS else None
    assert error is None or error["message"] == f"no such option: {option}"


@pytest.mark.parametrize("flag", ["-c is a flag", "-w year > 1990", "-q "])
def test_a_text_that_typer_would_take_for_an_option(run, flag):
    option, value = flag[:2], flag[3:]
    code, out, error = run("query", flag, "-k", "1")
    assert (code, out) == (2, "")
    first, second = error.split("; if it is ")[1:]
    assert suggestion(first) == ["query", option, *filter(None, [value]), "-k", "1"]
    assert suggestion(second) == ["query", "-k", "1", "--", flag]


def test_the_value_of_an_option_may_look_like_one(run, shop_file):
    assert " has a field '-x'; " in run("query", "moon", "-c", "shop.yaml", "-w", "-x = 3").err


@given(st.from_regex(r"--?\w[^\0]{0,9} [^\0]{0,9}", fullmatch=True).filter(lambda text: not text.startswith("--=")))
def test_what_is_suggested_for_a_text_is_that_query(text):
    """Pasted into a shell, whatever the text: one that was taken for an option, or has its reading as a text."""
    with pytest.MonkeyPatch.context() as patch:
        errors = []
        patch.setattr("attnsearch.cli._fail", lambda problem, argv: errors.append(problem) or 2)
        main(["query", text, "-c", "no such catalog"])
    (problem,) = errors
    if "what you look for" in problem.hint:
        words = suggestion(problem.hint)
        assert (words[0], mistakes._texts(words[1:])) == ("query", [text])


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["-c", "shop", "query", "moon"], "options come after the command: attnsearch query -c shop moon"),
        (["-c", "shop"], "options come after the command: see 'attnsearch --help'"),
        (["query", "moon", "--jsn"], "did you mean --json or --jsonl?"),
        (["query", "moon", "-z"], "see 'attnsearch query --help'"),
        (["list", "moon"], "see 'attnsearch list --help'"),
    ],
)
def test_other_hints(run, argv, hint):
    assert run(*argv).err.endswith(f"; {hint}\n")


@pytest.mark.parametrize("source", ["my file's.json", "-"])
def test_a_hint_with_a_command_works_as_it_is(run, small, write, monkeypatch, tmp_path, source):
    monkeypatch.chdir(tmp_path)
    content = json.dumps({"v": 1, "a b": [{"title": "moon"}, {"title": "sea"}], "c": [{"title": "x"}]})
    write("my file's.json", content)
    name = ["--name", "x"] if source == "-" else []
    words = suggestion(run("index", source, *name, stdin=content.encode()).err)
    assert words == ["index", source, "--items", '"a b"']
    assert run(*words, *name, stdin=content.encode()).code == 0
