from __future__ import annotations

import re

import pytest

from attnsearch.explanation.reasons import Contribution, Lead
from attnsearch.output.safe_text import PIPE, Screen, simplified
from attnsearch.pictures.reasons import lead, whys
from attnsearch.search.result import Hit, Result, Sum, Why, Word

NASTY = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[bold]x[/bold]\x9b2J\u202egpj.exe\u2028end\x7f"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
SGR = re.compile(r"\x1b\[[0-9;]*m")
HIT = Hit(3, "a", "First", 0.61, 0.58, 11.02, "", {})


def summed(text, shares, marks=0.0, rounding=0.0):
    words = [Word(one[0], *one.span(), share) for one, share in zip(re.finditer(r"\w+", text), shares, strict=True)]
    return Sum(text, words, marks, rounding)


WHY = Why(
    10.31, {"moon": 0.5, "sea": 0.21}, {}, summed("Moon, sea", [4, -1]), summed("the moon", [0.001, 9.0], 1.25, 0.06)
)
RESULT = Result("q", "shop", "small", 0.05, 64, 0, None, 3.1, 41.2, [HIT], whys=[WHY])


def test_the_sum():
    assert whys(RESULT).splitlines()[0] == "#3 First: 11.02 = 10.31 semantic + 0.71 lexical (moon 0.50, sea 0.21)"
    prior = WHY._replace(lexical={}, prior={"stars": -0.5})
    assert "= 10.31 semantic - 0.50 prior (stars -0.50)" in whys(RESULT._replace(whys=[prior]))


def test_what_memory_adds():
    memory = {"sour soup": 2.1, "beets": 0.001}
    text = whys(RESULT._replace(whys=[WHY._replace(lexical={}, memory=memory)]))
    assert '= 10.31 semantic + 2.10 memory, because "sour soup" was judged\n' in text
    text = whys(RESULT._replace(whys=[WHY._replace(lexical={}, memory={"beets": 0.001})]))
    assert "= 10.31 semantic\n" in text  # 0.00 says nothing


def test_words_without_color():
    """The largest first, what is 0.00 left out; the rounding only where it can be seen."""
    assert whys(RESULT).splitlines()[1:] == [
        "   query: mostly Moon +4.00; against it sea -1.00",
        "   item: mostly moon +9.00; the marks +1.25; rounding +0.06",
    ]


def test_many_words():
    why = WHY._replace(
        query=None, item=summed("a b c d e f g h i j k l m A", [1, 2, 3, 4, 5, 6, 7, -1, -2, -3, -4, 0, 0, 9])
    )
    (_, line) = whys(RESULT._replace(whys=[why])).splitlines()
    assert line.startswith(
        "   item: mostly a +10.00, g +7.00, f +6.00, e +5.00, d +4.00, c +3.00, …; against it k -4.00,"
    )
    assert line.endswith(" k -4.00, j -3.00, i -2.00, …")


def test_words_in_color():
    """The strongest in the strongest blue, a quarter of it against in a faint orange; nothing on the weak.

    The numbers stand below, as they do without color.
    """
    out = whys(RESULT, Screen(width=80, colors=1 << 24))
    assert "\x1b[38;2;0;0;0;48;2;102;204;255mMoon\x1b[0m, \x1b[38;2;255;255;255;48;2;82;61;44msea\x1b[0m" in out
    assert "item: the \x1b[38;2;0;0;0;48;2;102;204;255mmoon\x1b[0m" in out
    assert SGR.sub("", out).splitlines()[1:] == [
        "   query: Moon, sea",
        "   mostly Moon +4.00; against it sea -1.00",
        "   item: the moon",
        "   mostly moon +9.00; the marks +1.25; rounding +0.06",
    ]


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", [8, 20, 24, 33, 79])
def test_it_fits_the_window(width, color):
    """A color shades all of the text; no number is cut, in a window that is wide enough for one."""
    long = summed("moon sea " * 30, [1, -1] * 30)
    out = whys(RESULT._replace(whys=[WHY._replace(query=long, item=long)]), Screen(width=width, colors=256 * color))
    lines = SGR.sub("", out).splitlines()
    assert all(len(line) <= width for line in lines)
    words = " ".join(lines).split()
    assert [words.count(number) for number in ("+30.00;", "-30.00")] == [2, 2]
    assert words.count("moon") == (62 if color else 2)


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", range(30, 80, 3))
def test_a_word_keeps_its_number(width, color):
    words = "alpha beta gamma delta epsilon zeta"
    why = WHY._replace(query=None, item=summed(words, [6, 5, 4, 3, -2, -1], marks=1.5))
    out = SGR.sub("", whys(RESULT._replace(whys=[why]), Screen(width=width, colors=16 * color)))
    lines = [line.strip() for line in out.splitlines()]
    for part in ("alpha +6.00", "beta +5.00", "gamma +4.00", "delta +3.00", "epsilon -2.00", "the marks +1.50"):
        assert sum(part in line for line in lines) == 1


@pytest.mark.parametrize("width", range(30, 60))
def test_an_ellipsis_in_ascii_fits(width):
    why = WHY._replace(query=None, item=summed("a b c d e f g h i j", range(1, 11)))
    out = simplified(whys(RESULT._replace(whys=[why]), Screen(width=width, unicode=False)))
    assert "..." in out
    assert all(len(line) <= width for line in out.splitlines())


def test_no_markup():
    """What a text has in brackets is not read as a style."""
    why = WHY._replace(query=None, item=summed("x [bold] y", [1, 2, 3]), lexical={})
    for screen in (Screen(width=80), Screen(width=80, colors=16)):
        out = SGR.sub(
            "",
            whys(
                RESULT._replace(whys=[why._replace(item=why.item._replace(words=[Word("[bold]", 2, 8, 2.0)]))]), screen
            ),
        )
        assert "mostly [bold] +2.00" in out
        assert ("item: x [bold] y" in out) == bool(screen.colors)


@pytest.mark.parametrize("screen", [PIPE, Screen(width=40), Screen(width=40, colors=256), Screen(colors=256)])
def test_nothing_acts_on_a_terminal(screen):
    nasty = Sum(f"{NASTY} {NASTY}", [Word(NASTY, 0, len(NASTY), 2.0)], 0.0, 0.0)
    hit = HIT._replace(title=NASTY)
    out = whys(
        RESULT._replace(
            hits=[hit], whys=[WHY._replace(lexical={NASTY: 1.0}, prior={NASTY: 1.0}, query=nasty, item=nasty)]
        ),
        screen,
    )
    parts = [Contribution("word", NASTY, 1.0), Contribution("term", NASTY, 1.0), Contribution("field", NASTY, 1.0)]
    out += lead(Lead(hit, hit, 1.0, 2.7, parts), screen)
    assert not RAW.search(SGR.sub("", out))
    assert "x1b]52" in "".join(out.split())
    assert bool(SGR.search(out)) == (screen.colors > 0)


def test_a_lead():
    other = HIT._replace(rank=5, title="Other", logit=10.02)
    parts = [
        Contribution("word", "moon", 1.2),
        Contribution("semantic", "", -0.3),
        Contribution("rounding", "", 1e-7),
        Contribution("marks", "", 0.1),
    ]
    out = lead(Lead(HIT, other, 1.0, 2.718, parts))
    assert out.splitlines() == [
        "First (rank 3) ranks above Other (rank 5): 11.02 - 10.02 = +1.00, 2.72 times the weight",
        "",
        "logit  by",
        "+1.20  query's word          moon",
        "-0.30  semantic, as a whole",
        "+0.10  query's marks",
        "+1.00  total",
    ]
    assert "times" not in lead(Lead(HIT, other, 800.0, None, []))
    assert "ranks below First" in lead(Lead(other, HIT, -1.0, 0.37, parts))
