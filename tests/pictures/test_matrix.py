from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attnsearch.explanation.matrix import Line, Matrix
from attnsearch.output.safe_text import PIPE, Screen
from attnsearch.pictures.matrix import draw_matrix
from attnsearch.search.result import Hit
from tests.pictures.test_reasons import NASTY, RAW, SGR

FIGURE = re.compile(r"(?<![\w.])[+-]?\d+\.\d+(?![\w.])")
SAYS = "What a word of the query (row) and a word of the item (column) add to the logit together:"


def made(rows, columns, cells, *, lexical=None, prior=None, rounding=0.0, by="words"):
    """The matrix of these names and cells; a name with a space is of marks."""
    cells = np.array(cells, float)
    kinds = [["mark" if " " in name else by.removesuffix("s") for name in names] for names in (rows, columns)]
    lines = [
        [Line(kind, name, 0, 1, float(total)) for kind, name, total in zip(kinds[axis], names, totals, strict=True)]
        for axis, (names, totals) in enumerate([(rows, cells.sum(axis=1)), (columns, cells.sum(axis=0))])
    ]
    lexical, prior, semantic = lexical or {}, prior or {}, float(cells.sum()) + rounding
    logit = semantic + sum(lexical.values()) + sum(prior.values())
    hit = Hit(1, "a", "A", 0.5, 0.5, logit, "", {})
    return Matrix(
        hit, "", "", by, *lines, cells, float(np.abs(cells).max()), semantic, rounding, lexical, prior
    )  # fmt: skip


SMALL = made(
    ["moon", "sea", "the marks"],
    ["a", "lighthouse", "the marks"],
    [[0.5, -1.25, 0.001], [0.25, 4, 0], [0.125, 0.1, 0.3]],
    lexical={"moon": 0.5},
    prior={"year": -0.25},
)


def test_by_hand():
    assert draw_matrix(SMALL).splitlines() == [
        SAYS,
        "",
        "                             the",
        "               a lighthou… marks   sum",
        "moon       +0.50     -1.25  0.00 -0.75",
        "sea        +0.25     +4.00  0.00 +4.25",
        "the marks  +0.12     +0.10 +0.30 +0.53",
        "sum        +0.88     +2.85 +0.30 +4.03",
        "lexical moon                     +0.50",
        "prior year                       -0.25",
        "logit                             4.28",
    ]


def test_rounding_that_can_be_seen():
    lines = draw_matrix(made(["moon"], ["sea"], [[10.0]], rounding=-0.01)).splitlines()
    assert lines[-3:] == ["sum   +10.00 +10.00", "rounding      -0.01", "logit          9.99"]
    assert "rounding" not in draw_matrix(made(["moon"], ["sea"], [[10.0]], rounding=-0.004))


def test_small_cells_have_more_digits():
    lines = draw_matrix(made(["moon"], ["sea"], [[0.0123]], prior={"year": 1.0})).splitlines()
    assert lines[-4:] == ["moon  +0.012 +0.012", "sum   +0.012 +0.012", "prior year   +1.000", "logit         1.012"]


def test_by_pieces():
    matrix = made(["mo", "##on"], ["[CLS]", "##a"], [[1, 2], [3, 4]], by="pieces")
    lines = draw_matrix(matrix).splitlines()
    assert lines[0].startswith("What a word piece of the query (row) and a word piece of the item (column) add")
    assert lines[2:5] == ["      [CLS]   ##a    sum", "mo    +1.00 +2.00  +3.00", "##on  +3.00 +4.00  +7.00"]


def test_a_narrow_window_has_what_matters_most():
    """The marks, and the other two columns in one."""
    lines = draw_matrix(SMALL, Screen(width=30)).splitlines()
    assert lines[-9:] == [
        "                2   the",
        "           others marks   sum",
        "moon        -0.75  0.00 -0.75",
        "sea         +4.25  0.00 +4.25",
        "the marks   +0.23 +0.30 +0.53",
        "sum         +3.73 +0.30 +4.03",
        "lexical moon            +0.50",
        "prior year              -0.25",
        "logit                    4.28",
    ]


def table(out: str) -> list[list[str]]:
    """The figures of each line."""
    below = out.partition("together:" if "together:" in out else "\n\n")[2]
    return [FIGURE.findall(line) for line in below.splitlines() if FIGURE.search(line)]


names = st.sampled_from(["moon", "a", "sea", "lighthouse", "月面基地", "C++", "of", "internationalization"])
numbers = st.floats(-3, 3) | st.floats(-0.01, 0.01) | st.sampled_from([0.0, 100.0])


@st.composite
def matrices(draw):
    rows = [*draw(st.lists(names, min_size=1, max_size=draw(st.sampled_from([3, 30])))), "the marks"]
    columns = [*draw(st.lists(names, min_size=1, max_size=draw(st.sampled_from([3, 60])))), "the marks"]
    scale = draw(st.sampled_from([1.0, 0.01, 1e-4]))
    cells = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(len(rows), len(columns))) * scale
    cells[draw(st.integers(0, len(rows) - 1))] += draw(numbers)
    return made(
        rows,
        columns,
        cells,
        lexical=draw(st.dictionaries(names, numbers, max_size=2)),
        prior=draw(st.dictionaries(names, numbers, max_size=2)),
        rounding=draw(st.sampled_from([0.0, 0.02, -1e-6])),
    )


@given(matrices(), st.integers(30, 200) | st.none(), st.sampled_from([0, 16, 256, 1 << 24]), st.booleans())
def test_what_is_shown_adds_up(matrix, width, colors, unicode):
    """Each row and column to its sum, and the sums and what is under them to the logit, within the digits shown."""
    out = SGR.sub("", draw_matrix(matrix, Screen(width=width, colors=colors, unicode=unicode)))
    assert width is None or all(cell_len(line) <= width for line in out.splitlines())
    figures = table(out)
    unit = 10.0 ** -len(figures[0][0].partition(".")[2])
    number_of_rows = next(n for n, line in enumerate(out.splitlines()) if line.startswith("sum")) - next(
        n for n, line in enumerate(out.splitlines()) if FIGURE.search(line)
    )
    shown = np.array([[float(figure) for figure in row] for row in figures[: number_of_rows + 1]])
    rest = [float(figure) for (figure,) in figures[number_of_rows + 1 :]]
    if shown.shape[1] > 1:
        off = abs(shown[:, :-1].sum(axis=1) - shown[:, -1])
        assert (off <= shown.shape[1] * unit / 2 + 1e-9).all()
    off = abs(shown[:-1].sum(axis=0) - shown[-1])
    assert (off <= len(shown) * unit / 2 + 1e-9).all()
    assert shown[-1, -1] + sum(rest[:-1]) == pytest.approx(rest[-1], abs=(len(rest) + 2) * unit / 2)
    assert rest[-1] == pytest.approx(matrix.logit, abs=unit)
    assert len(shown) == min(len(matrix.rows), 21 if width else 99) + 1
    if width is None:
        assert shown.shape[1] == len(matrix.columns) + 1


@pytest.mark.parametrize("width", range(1, 30))
def test_no_figure_is_ever_cut(width):
    out = draw_matrix(SMALL, Screen(width=width, colors=256))
    figures = {figure for row in table(SGR.sub("", out)) for figure in row}
    assert {"-0.75", "+4.25", "+0.53", "+4.03", "+0.50", "-0.25", "4.28"} <= figures


def test_a_wider_window_has_more_columns():
    matrix = made(["moon", "the marks"], [*[f"word{n}" for n in "abcdefghijklmnop"], "the marks"], np.ones((2, 17)))
    counts = [len(table(draw_matrix(matrix, Screen(width=width)))[0]) for width in range(30, 201)]
    assert counts == sorted(counts)
    assert (counts[0], counts[10], counts[-1]) == (3, 4, 18)


def test_a_window_has_twenty_rows():
    matrix = made([*(f"word{n}" for n in "abcdefghijklmnopqrstuvwxyz"), "the marks"], ["moon"], np.ones((27, 1)))
    lines = draw_matrix(matrix, Screen(width=60)).splitlines()
    assert lines[-5:-2] == ["words       +1.00  +1.00", "7 others    +7.00  +7.00", "the marks   +1.00  +1.00"]
    assert len(table(draw_matrix(matrix, Screen(width=60)))) == 23
    assert len(table(draw_matrix(matrix))) == 29


def test_names_have_all_of_the_window():
    """Where there is no room for columns, there is some for names."""
    lines = draw_matrix(SMALL, Screen(width=20)).splitlines()
    assert lines[-3:] == ["lexical moon  +0.50", "prior year    -0.25", "logit          4.28"]


def test_colors():
    """The strongest in the palette's strongest, and against it; the others and the sums have none."""
    out = draw_matrix(SMALL, Screen(width=80, colors=1 << 24))
    assert re.search(r"48;2;102;204;255m +\+4\.00\x1b", out)
    assert re.search(r"48;2;\d+;\d+;\d+m +-1\.25\x1b", out)
    assert SGR.sub("", out) == draw_matrix(SMALL, Screen(width=80))
    (sums,) = (line for line in out.splitlines() if "+4.03" in line)
    assert "48;2" not in sums
    narrow = draw_matrix(SMALL, Screen(width=30, colors=1 << 24))
    assert re.search(r"\x1b\[2m +\+4\.25\x1b", narrow)


@pytest.mark.parametrize("screen", [PIPE, Screen(width=40), Screen(width=120, colors=256), Screen(colors=16)])
def test_nothing_acts_on_a_terminal(screen):
    matrix = made([NASTY], [NASTY], [[1.0]], lexical={NASTY: 1.0}, prior={NASTY: 1.0})
    out = SGR.sub("", draw_matrix(matrix, screen))
    assert not RAW.search(out)
    assert "x1b]52" in out


def test_zeros():
    assert table(draw_matrix(made(["moon"], ["sea"], [[0.0]]))) == [["0.00", "0.00"], ["0.00", "0.00"], ["0.00"]]
