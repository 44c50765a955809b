"""What all figures share: the bytes are the same each time, and no text acts."""

from __future__ import annotations

import builtins
import struct
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from attnsearch.errors import InputError
from attnsearch.plots import figure as drawing
from attnsearch.plots import texts as lettering
from attnsearch.plots.heatmap import draw_heatmap
from attnsearch.plots.map import draw_map
from attnsearch.plots.matrix import draw_matrix
from attnsearch.terminal.options import FIGURES as FIGURE_FORMATS
from tests.plots.drawing import HOSTILE, heatmap_of, map_of, matrix_of, read_svg, texts

FIGURES = {
    "heatmap": lambda form: draw_heatmap(heatmap_of([[0.5, 0.25]]), form=form),
    "matrix": lambda form: draw_matrix(matrix_of([[1, -1], [2, 0]]), form),
    "map": lambda form: draw_map(map_of([(0, 0), (1, 1), (2, 0)]), form),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
class TestEveryFigure:
    @pytest.mark.parametrize("form", FIGURE_FORMATS)
    def test_the_same_numbers_make_the_same_bytes(self, draw, form, monkeypatch):
        first = draw(form)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
        assert draw(form) == first

    def test_a_png_has_the_pixels_of_its_size(self, draw):
        png, root = draw("png"), read_svg(draw("svg"))
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert png.endswith(b"IEND\xaeB`\x82")
        assert b"Software" not in png
        points = [float(root.get(side).removesuffix("pt")) for side in ("width", "height")]
        assert struct.unpack(">II", png[16:24]) == tuple(pytest.approx(side / 72 * 192, abs=1) for side in points)

    def test_an_svg_is_one_element_with_a_name_in_fonts_that_others_have(self, draw):
        svg = draw("svg")
        assert svg.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')
        root = read_svg(svg)
        assert root.get("aria-label") == root[0].text
        assert root.get("font-family") == "'DejaVu Sans', Verdana, sans-serif"
        assert b"matplotlib" not in svg.lower()
        assert b"font-family" not in svg.partition(b">")[2]
        assert b"<style" not in svg

    def test_settings_of_the_user_change_nothing_and_stay(self, draw):
        expected = draw("svg")
        with mpl.rc_context({"text.parse_math": True, "font.size": 30, "font.weight": "bold", "svg.fonttype": "path"}):
            assert draw("svg") == expected
            assert mpl.rcParams["font.size"] == 30


@pytest.mark.parametrize("form", FIGURE_FORMATS)
def test_without_matplotlib_a_clear_word(monkeypatch, form):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="SVG and PNG need matplotlib") as caught:
        FIGURES["heatmap"](form)
    assert caught.value.hint == "pip install matplotlib"


@pytest.mark.parametrize("problem", [ImportError("a\x1b[31m"), OSError("b"), ValueError("c")])
def test_a_broken_matplotlib_is_not_our_fault(monkeypatch, problem):
    def refuse(name, *args):
        if name.startswith("matplotlib"):
            raise problem
        return load(name, *args)

    load = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match="SVG and PNG need matplotlib") as caught:
        drawing.require_matplotlib()
    assert caught.value.hint == f"it can't be loaded: {problem}"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", FIGURE_FORMATS)
def test_hostile_texts_are_inert(text, form):
    """In titles, requests and words, in a grid and on a map; the reading of the SVG refuses what acts."""
    results = [
        draw_heatmap(heatmap_of([[0.5, 0.25]], queries=[text], titles={0: text, 1: text}), form=form),
        draw_matrix(matrix_of([[1, 2]], query=text, title=text, words=[[text], [text, text]], lexical={text: 1}), form),
        draw_map(map_of([(0, 0), (1, 1), (0, 1)], query=text, title=text.replace("{", "{{").replace("}", "}}")), form),
    ]
    if form == "svg":
        for svg in results:
            shown = "".join(texts(svg))
            assert "\u202e" not in shown
            assert "\x1b" not in shown
            assert "\u0489" * 7 not in shown
            assert len(max(texts(svg), key=len)) <= 300


def test_dollars_are_dollars_and_letters_are_letters():
    svg = draw_heatmap(heatmap_of([[0.5]], queries=["$a_1$ 月"], titles={0: "<b>"}))
    assert {"$a_1$ 月", "<b>"} <= set(texts(svg))


@pytest.mark.parametrize("title", ["שלום", "العربية", "moon שלום"])
def test_a_figure_stays_behind_a_title_from_right_to_left(title):
    """A mark from left to right parts them, so that no reader writes 0.1> for <0.1."""
    shown = texts(draw_map(map_of([(0, 0), (1, 1)], title=title, query=title, weights=[0.9997, 0.0003])))
    assert f"\u200e{title}\u200e <0.1%" in shown
    assert f"\u200e{title}\u200e" in shown
    assert not any("\u200e" in text for text in texts(draw_map(map_of([(0, 0)], title="a\u200eb"))))


def test_a_text_is_cut_to_its_width_and_one_that_fits_is_whole():
    with drawing.style():
        assert lettering.fit("moon", 5) == "moon"
        cut = lettering.fit("x" * 50, 1)
        assert cut.endswith("x…")
        assert lettering.text_width(cut) <= 1 < lettering.text_width(f"x{cut}")
        assert lettering.text_width("月" * 8, 9) == pytest.approx(1)  # eight squares of 9 points
        assert lettering.wrap("a b " * 60, 1)[0].startswith("a b")
        assert all(lettering.text_width(line, lettering.SMALL) <= 1 for line in lettering.wrap("moon sea " * 60, 1))


def test_shades_are_those_of_the_palette():
    strengths = np.array([-1, -0.5, 0, 0.25, 1, 7])
    expected = [to_rgb(drawing.shade(float(strength))) for strength in strengths]
    assert np.allclose(drawing.shades(strengths), expected, atol=1 / 255)
