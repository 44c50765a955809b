"""Matrices: their numbers, colors and sums, from one cell to all that an encoder reads."""

from __future__ import annotations

import numpy as np

from attnsearch.plots.matrix import draw_matrix
from tests.plots.drawing import fills, hex_color, matrix_of, texts


def test_cells_sums_and_corner_by_hand():
    svg = draw_matrix(matrix_of([[1.0, -0.5], [0.25, 0.0]]))
    shown = texts(svg)
    figures = [text for text in shown if text.lstrip("+-").replace(".", "").isdigit()]
    assert figures[:9] == ["+1.00", "-0.50", "+0.50", "+0.25", "0.00", "+0.25", "+1.25", "-0.50", "+0.75"]
    assert {"moon sea × The item", "logits:", "+1.00", "row 1", "column 0"} <= set(shown)
    assert "words +0.75, lexical moon +0.25, prior year -0.50, rounding 0.00: logit 0.50" in shown
    assert fills(svg)[:2] == [hex_color(1), hex_color(-0.5)]


def test_a_long_text_runs_on_in_bands():
    cells = np.arange(150).reshape(2, 75) / 100
    shown = texts(draw_matrix(matrix_of(cells)))
    assert [shown.count(f"column {column}") for column in range(75)] == [1] * 75
    assert shown.count("row 0") == 4
    assert shown.count("sum") == 5  # of the columns in each band, and once of the rows
    assert {f"{value:+.2f}" for value in cells.ravel()[1:]} <= set(shown)


def test_a_matrix_of_all_that_an_encoder_reads():
    svg = draw_matrix(matrix_of(np.random.default_rng(0).normal(size=(256, 256))))
    assert len(svg) < 2_000_000
    assert "row 0" not in texts(svg)


def test_a_matrix_of_nothing():
    assert "0.00" in texts(draw_matrix(matrix_of([[0.0]])))
