"""Rewriting of options that typer can't parse."""

from __future__ import annotations

import pytest

from attnsearch.terminal.argv import normalized


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["query", "x", "--lexical"], ["query", "x", "--lexical=auto"]),
        (["--lexical", "-k", "3"], ["--lexical=auto", "-k", "3"]),
        (["--lexical", ".5"], ["--lexical", ".5"]),
        (["--lexical", "-1"], ["--lexical", "-1"]),
        (["--lexical", "1e-1"], ["--lexical", "1e-1"]),
        (["--lexical=7"], ["--lexical=7"]),
        (["--", "--lexical"], ["--", "--lexical"]),
        (["--lexical", "--", "3"], ["--lexical=auto", "--", "3"]),
        ([], []),
    ],
)
def test_a_weight_that_is_left_out(argv, words):
    assert normalized(argv) == words


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("q --good a b --bad c d", "q --good a --good b --bad c --bad d"),
        ("q -c x --good a b -q", "q -c x --good a --good b -q"),
        ("--good a q", "--good a q"),
        ("--good a q b", "--good a q b"),
        ("-c x --good a q", "-c x --good a q"),
        ("--good a q --bad b c", "--good a q --bad b --bad c"),
        ("q --good -1 b", "q --good -1 --good b"),
        ("q --good a -c x b", "q --good a -c x b"),
        ("q --good a -- b", "q --good a -- b"),
        ("q --good", "q --good"),
    ],
)
def test_several_words_after_an_option(argv, words):
    assert normalized(["feedback", *argv.split()]) == ["feedback", *words.split()]
    assert normalized(["query", *argv.split()]) == ["query", *argv.split()]
