"""Heatmaps: their numbers and colors, from one cell to a thousand requests."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.explanation.heatmap import Column
from attnsearch.plots.heatmap import draw_heatmap
from tests.plots.drawing import fills, heatmap_of, hex_color, read_svg, texts


def test_every_cell_by_hand():
    """A cell is as dark as the root of its weight; what has no column is gray, and so is none of these."""
    svg = draw_heatmap(heatmap_of([[0.6, 0.3], [0.0, 0.045]], none_of_these=np.array([0.25, 0.0])))
    shown = texts(svg)
    assert [text for text in shown if text.replace(".", "").isdigit()] == ["60", "30", "10", "25", "4.5", "96"]
    assert {"request 0", "item 1", "all others", "none of these", "25%"} <= set(shown)
    assert "share of the attention, in percent:" in shown
    colors = fills(svg)
    assert colors[:2] == [hex_color(0.6**0.5), hex_color(0.3**0.5)]
    for gray in (colors[2], colors[3], colors[6], colors[7]):
        assert len({gray[1:3], gray[3:5], gray[5:7]}) == 1


def test_a_blank_cell_is_explained_where_cells_have_numbers():
    for count, is_explained in ((3, True), (100, False)):
        shown = texts(draw_heatmap(heatmap_of(np.full((count, count), 0.0004))))
        assert any("Blank: less than 0.05%" in text for text in shown) == is_explained
    assert not any("Blank" in text for text in texts(draw_heatmap(heatmap_of([[0.0]]), "score")))


def test_without_a_null_key_there_is_no_column_for_it():
    shown = texts(draw_heatmap(heatmap_of([[0.5]])))
    assert "none of these" not in shown
    assert not any("nothing fits" in text for text in shown)


def test_logits_and_scores_may_be_below_zero():
    heatmap = heatmap_of([[0.5, -0.25]], others=[0.5])
    shown = texts(draw_heatmap(heatmap, "score"))
    assert {"0.50", "-0.25", "cosine:"} <= set(shown)
    assert fills(draw_heatmap(heatmap, "score"))[1] == hex_color(-0.5)
    assert {"5.0", "-2.5", "logit:"} <= set(texts(draw_heatmap(heatmap, "logit")))


def test_hidden_items_and_right_ones_are_marked():
    heatmap = heatmap_of([[0.5, 0.0]], masked=4, right=np.array([[True, False]]))
    heatmap = heatmap._replace(logits=np.array([[5.0, -np.inf]]), scores=np.array([[0.5, np.nan]]))
    svg = draw_heatmap(heatmap, "score")
    assert "–" in texts(svg)
    notes = " ".join(texts(svg))
    assert "A filter hides 4 of 9 items (–)" in notes
    assert "In a frame: judged right" in notes
    frames = [path for path in read_svg(svg).iter("{*}path") if "stroke-width: 1.6" in path.get("style", "")]
    assert len(frames) == 1


def test_items_of_several_catalogs_say_whose_they_are():
    heatmap = heatmap_of([[0.5]], catalogs=["shop", "/home/ann/more.csv"])
    columns = [Column("a", "moon", "/home/ann/more.csv")]
    assert {"moon (more.csv)", "shop, more.csv · temperature 0.05"} <= set(
        texts(draw_heatmap(heatmap._replace(columns=columns)))
    )


@pytest.mark.parametrize(
    ("m", "n", "has_figures", "has_labels"),
    [
        (1, 1, True, True),
        (3, 20, True, True),
        (50, 50, True, True),
        (90, 90, False, True),
        (2, 300, False, False),
        (300, 2, False, False),
    ],
)
def test_figures_and_labels_that_have_no_room_are_left_out(m, n, has_figures, has_labels):
    shown = texts(draw_heatmap(heatmap_of(np.full((m, n), 0.5 / n))))
    assert (f"{50 / n:.0f}" in shown or f"{50 / n:.1f}" in shown) == has_figures
    assert (f"item {n - 1}" in shown and f"request {m - 1}" in shown) == has_labels
    assert ("no room for" in " ".join(shown).lower()) == (not has_figures or not has_labels)


def test_a_thousand_requests_are_an_image_that_has_bounds():
    rng = np.random.default_rng(0)
    svg = draw_heatmap(heatmap_of(rng.random((1000, 400)) / 400))
    assert list(read_svg(svg).iter("{*}image"))
    assert len(svg) < 4_000_000
    assert all(float(read_svg(svg).get(side).removesuffix("pt")) < 26 * 72 for side in ("width", "height"))


def test_nothing_at_all():
    """No item, or none that counts."""
    heatmap = heatmap_of(np.zeros((2, 0)), others=[1.0, 1.0])
    assert texts(draw_heatmap(heatmap)).count("100") == 2
    assert draw_heatmap(heatmap_of([[0.0]], others=[0.0]))
