"""Heatmaps in windows of any width: every figure is whole, and is the number that it stands for."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attnsearch.explanation.heatmap import BY, Column, Heatmap
from attnsearch.output.safe_text import Screen
from attnsearch.pictures.heatmap import draw_heatmap
from attnsearch.pictures.palette import strength_of

_FIGURE = re.compile(r"<?-?\d+(?:\.\d+)?(?:e[+-]\d+)?%?|–")
_ESCAPE = re.compile(r"\x1b\[[\d;]*m")
_SHADES = " ░▒▓█"


def make(
    weights, *, none=None, right=None, queries=None, titles=None, logits=None, catalogs=("books",), **more
) -> Heatmap:
    """A heatmap of weights (m, n); logits are their logs, and scores a tenth of these."""
    weights = np.array(weights, np.float64)
    m, n = weights.shape
    with np.errstate(divide="ignore"):
        logits = np.log(weights) if logits is None else np.array(logits, np.float64)
    columns = [
        Column(f"i{number}", (titles or [])[number] if titles else f"title {number}", catalogs[number % len(catalogs)])
        for number in range(n)
    ]
    fields = {"catalog": "books", "model": "all-MiniLM-L6-v2", "temperature": 0.05, "items": 9, "masked": 0,
              "lexical": 0.0, "trained": False} | more  # fmt: skip
    return Heatmap(
        queries=queries or [chr(ord("a") + row % 26) * 3 for row in range(m)],
        columns=columns,
        weights=weights,
        logits=logits,
        scores=np.where(np.isfinite(logits), logits / 10, np.nan),
        others=1 - weights.sum(axis=1),
        none_of_these=None if none is None else np.array(none, np.float64),
        right=None if right is None else np.array(right, bool),
        catalogs=list(catalogs),
        **fields,
    )


BOOKS = make(
    [[0.5, 0.25, 0.0], [0.125, 0.3, 0.5]],
    none=[0.1, 0.9],
    right=[[True, False, False], [False, False, True]],
    queries=["moon", "a voyage at sea"],
    titles=["The Moon", "月面基地", "Twenty Thousand Leagues Under the Sea"],
)


def test_a_weight_is_as_strong_as_in_other_pictures():
    weights = [[0.5, 0.25, 0.0], [0.01, 0.3, 0.69]]
    expected = [[strength_of(weight) for weight in row] for row in weights]
    np.testing.assert_allclose(make(weights).strengths("weight"), expected)


def rows(heatmap: Heatmap, text: str) -> list[str]:
    """The lines of the requests, between the head and the first empty line."""
    picture_lines = text.split("\n\n")[0].splitlines()
    return picture_lines[-len(heatmap.queries) :]


def number(figure: str) -> float:
    """The number that a figure stands for."""
    if figure == "–":
        return -math.inf
    value = float(figure.strip("<%")) / (100 if "%" in figure else 1)
    return value / 2 if "<" in figure else value


def tolerance(figure: str) -> float:
    """How far the number may be from what it stands for."""
    if "e" in figure:
        return abs(number(figure)) / 100
    digits = len(figure.rstrip("%").partition(".")[2])
    return 0.5 * 10.0**-digits / (100 if "%" in figure else 1) * 1.000001


class TestInFull:
    def test_titles_over_the_columns(self):
        lines = draw_heatmap(BOOKS, Screen(width=100)).splitlines()
        assert lines == [
            "                                         Twenty        │",
            "                                       Thousand        │",
            "                     The  月面基  Leagues Under    all │ none of",
            "                    Moon      地        the Sea others │   these",
            "moon             ▓50.0%✓ ▒25.0%              –   25.0% │   10.0%",
            "a voyage at sea  ▒12.5%  ▓30.0%         ▓50.0%✓   7.5% │   90.0%",
            "",
            "weight ░6% ▒25% ▓56% █100%",
            "✓ right for the request, as judged",
            "– hidden by a filter",
            "books · 9 items",
        ]

    def test_numbers_over_the_columns_and_a_legend(self):
        lines = draw_heatmap(BOOKS, Screen(width=60)).splitlines()
        assert lines[:7] == [
            "                                            all │ none of",
            "                       1       2       3 others │   these",
            "moon             ▓50.0%✓ ▒25.0%       –   25.0% │   10.0%",
            "a voyage at sea  ▒12.5%  ▓30.0%  ▓50.0%✓   7.5% │   90.0%",
            "",
            "1 The Moon · 2 月面基地 ·",
            "3 Twenty Thousand Leagues Under the Sea",
        ]

    def test_short_figures(self):
        lines = draw_heatmap(BOOKS, Screen(width=40)).splitlines()
        assert lines[:6] == [
            "                   1    2    3 all…│non…",
            "moon           ▓50%✓▒25%    –   25%│ 10%",
            "a voyage at sea▒12% ▓30% ▓50%✓   7%│ 90%",
            "",
            "1 The Moon · 2 月面基地 ·",
            "3 Twenty Thousand Leagues Under the S…",
        ]

    @pytest.mark.parametrize("width", [30, 99])
    def test_very_large_numbers(self, width):
        heatmap = make([[0.5, 0.1]], logits=[[1e30, -12345678.0]])
        (line,) = rows(heatmap, draw_heatmap(heatmap, Screen(width=width), "logit"))
        assert _FIGURE.findall(line)[:2] == ["1e+30", "-1.23e+07"]

    def test_fewer_items(self):
        text = draw_heatmap(BOOKS, Screen(width=20))
        assert rows(BOOKS, text) == ["moon ▓50%✓  50%│ 10%", "a vo…▒12%   88%│ 90%"]
        assert "no room for 2 more items (counted in all others): widen the window, or add -o FILE.html" in " ".join(
            text.split()
        )

    @pytest.mark.parametrize(
        ("by", "figures", "scale"),
        [
            ("logit", [["-0.69", "-1.39", "–"], ["-2.08", "-1.20", "-0.69"]], "-2.08 -1.56 -1.04 -0.52"),
            ("score", [["-0.069", "-0.139", "–"], ["-0.208", "-0.120", "-0.069"]], "-0.208 -0.156 -0.104 -0.052"),
        ],
    )
    def test_other_numbers_have_no_others(self, by, figures, scale):
        text = draw_heatmap(BOOKS, Screen(width=100), by)
        shown = [_FIGURE.findall(line) for line in rows(BOOKS, text)]
        assert [line[:3] for line in shown] == figures
        assert [line[3:] for line in shown] == [["10.0%"], ["90.0%"]]
        assert "others" not in text
        assert scale in re.sub("[░▒▓█]", "", text)

    def test_no_chance_that_nothing_fits(self):
        text = draw_heatmap(BOOKS._replace(none_of_these=None), Screen(width=100))
        assert "│" not in text
        assert "none" not in text

    def test_without_unicode(self):
        """An ellipsis is three points, and takes no more cells for that."""
        text = draw_heatmap(
            BOOKS._replace(queries=["moon moon moon", "sea sea sea sea"]), Screen(width=30, unicode=False)
        )
        assert rows(BOOKS, text) == ["mo...#50%+*25%    –   25%| 10%", "se...*12% #30% #50%+   7%| 90%"]

    def test_several_catalogs(self):
        heatmap = make([[0.5, 0.25]], titles=["moon", "moon"], catalogs=("books", "/home/ann/shop.csv"))
        lines = draw_heatmap(heatmap, Screen(width=99)).splitlines()
        assert [line.split() for line in lines[:2]] == [["moon", "moon", "all"], ["(books)", "(shop.csv)", "others"]]
        assert lines[-1] == "books, shop.csv · 9 items"

    def test_the_setting(self):
        heatmap = BOOKS._replace(trained=True, temperature=0.5, lexical=0.3, masked=2, model="other")
        last = draw_heatmap(heatmap, Screen(width=100)).splitlines()[-1]
        assert last == "books · 7 of 9 items · trained · temperature 0.5 · lexical 0.3 · other"

    def test_what_was_judged(self):
        heatmap = BOOKS._replace(recalled={"sea\x1b": {"ships": 0.5}})
        line = r'1 request is like judged ones: "sea\x1b" has 50.0% from memory, because "ships" was judged'
        assert line in draw_heatmap(heatmap, Screen(width=100)).splitlines()

    def test_quiet(self):
        assert "items" not in draw_heatmap(BOOKS, Screen(width=100, quiet=True))
        assert "1 The Moon" in draw_heatmap(BOOKS, Screen(width=60, quiet=True))

    def test_everything_is_hidden(self):
        heatmap = make(np.zeros((2, 0)), masked=9, emptied_by="kind: no 'z'")._replace(others=np.zeros(2))
        lines = draw_heatmap(heatmap, Screen(width=80)).splitlines()
        assert lines[-3:] == ["nothing is left: --where hides all 9 items", "kind: no 'z'", "books · 0 of 9 items"]

    def test_colors(self):
        """The same characters, without shades, and the color of each cell as strong as its number."""
        plain = draw_heatmap(BOOKS, Screen(width=100))
        colored = draw_heatmap(BOOKS, Screen(width=100, colors=1 << 24))
        assert "\x1b" not in plain
        bare = _ESCAPE.sub("", colored)
        assert [line.split() for line in rows(BOOKS, bare)] == [
            re.sub("[░▒▓█]", " ", line).split() for line in rows(BOOKS, plain)
        ]
        backgrounds = re.findall(r"48;2;(\d+);(\d+);(\d+)m +([\d.]+)%", colored)
        strength = {figure: sum(map(int, color)) for *color, figure in backgrounds}
        assert strength["12.5"] < strength["25.0"] < strength["30.0"] < strength["50.0"]


letters = st.text(st.sampled_from("ab月 é"), min_size=1, max_size=30)


@st.composite
def heatmaps(draw) -> Heatmap:
    """Any heatmap: many cells or few, hidden items, logits of any size; texts without digits."""
    m, n = draw(st.integers(1, 6)), draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    weights = rng.dirichlet(np.full(n + 1, draw(st.sampled_from([0.01, 0.3, 9.0]))), m)[:, :n]
    logits = rng.normal(0, draw(st.sampled_from([0.1, 10.0, 900.0])), (m, n))
    hidden = rng.random(n) < draw(st.sampled_from([0.0, 0.3]))
    weights[:, hidden], logits[:, hidden] = 0.0, -np.inf
    return make(
        weights,
        logits=logits,
        none=draw(st.none() | st.just(rng.random(m))),
        right=draw(st.none() | st.just(rng.random((m, n)) < 0.3)),
        queries=draw(st.lists(letters, min_size=m, max_size=m)),
        titles=draw(st.lists(letters, min_size=n, max_size=n)),
    )


@given(heatmaps(), st.integers(20, 200), st.sampled_from(BY), st.sampled_from([0, 16, 256, 1 << 24]), st.booleans())
def test_every_figure_is_whole_and_right(heatmap, width, by, colors, unicode):
    """The figures, read back, are the numbers; a row adds up; no line is wider than the window."""
    text = _ESCAPE.sub("", draw_heatmap(heatmap, Screen(width=width, colors=colors, unicode=unicode), by))
    lines = rows(heatmap, text)
    assert len(lines) == len(heatmap.queries)
    assert max(map(cell_len, text.splitlines())) <= width
    figures = [_FIGURE.findall(line) for line in lines]
    has_none = heatmap.none_of_these is not None
    count = len(figures[0]) - (by == "weight") - has_none
    assert 0 < count <= len(heatmap.columns) or not heatmap.columns
    shown = heatmap.narrow(count)
    for row, line in enumerate(figures):
        numbers = shown.values(by)[row].tolist()
        expected = [-math.inf if logit == -np.inf else value
                    for value, logit in zip(numbers, shown.logits[row], strict=True)]  # fmt: skip
        expected += [shown.others[row]] * (by == "weight") + ([shown.none_of_these[row]] if has_none else [])
        assert len(line) == len(expected)
        for figure, value in zip(line, expected, strict=True):
            assert number(figure) == pytest.approx(value, abs=tolerance(figure))
            assert value == 0 or not re.fullmatch(r"0(\.0)?%", figure)
        if by == "weight":
            parts = [figure for figure in line[: count + 1] if figure != "–"]
            assert sum(map(number, parts)) == pytest.approx(1, abs=sum(map(tolerance, parts)))
        if heatmap.right is not None:
            mark = "✓" if unicode else "+"
            assert lines[row].count(mark) == shown.right[row].sum()


@given(heatmaps(), st.integers(20, 200))
def test_every_item_has_its_title_or_its_number(heatmap, width):
    text = draw_heatmap(heatmap, Screen(width=width))
    head, *rest = text.split("\n\n")
    if rest and re.match("1 ", rest[0]):
        legend = [int(entry) for entry in re.findall(r"(?:^|· )(\d+) ", " ".join(rest[0].split()))]
        assert legend == list(range(1, len(legend) + 1))
        assert head.splitlines()[-len(heatmap.queries) - 1].split()[: len(legend)] == [str(entry) for entry in legend]


@pytest.mark.parametrize(
    "title",
    ["<script>alert(1)</script>", "\x1b[31mred", "\u202eevil", "a\nb\r\tc", "x" * 10_000, "", "月" * 99],
    ids=["script", "escape", "bidi", "lines", "long", "empty", "wide"],
)
@pytest.mark.parametrize("width", [20, 60, 200])
def test_hostile_titles_and_requests(title, width):
    heatmap = make([[0.5, 0.2]], titles=[title, title], queries=[title or "?"], none=[0.5])
    text = draw_heatmap(heatmap, Screen(width=width))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)
    assert max(map(cell_len, text.splitlines())) <= width
    (line,) = rows(heatmap, text)
    assert re.search(r"▓50(\.0)?%( *▒20(\.0)?% +30(\.0)?%| +50%) ?│ *50(\.0)?%$", line)


def test_a_long_list_is_printed_whole():
    heatmap = make(np.full((50, 3), 0.2))
    assert len(rows(heatmap, draw_heatmap(heatmap, Screen(width=80)))) == 50


def test_no_line_is_wider_than_the_window():
    for width in range(20, 50):
        for colors in (0, 16):
            text = _ESCAPE.sub("", draw_heatmap(BOOKS, Screen(width=width, colors=colors), "logit"))
            assert max(map(cell_len, text.splitlines())) <= width
