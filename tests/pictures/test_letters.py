from __future__ import annotations

import pytest

from attnsearch.pictures.letters import split_letters


@pytest.mark.parametrize(
    ("text", "letters"),
    [("Q Kᵀ / √d_k", "Q Kᵀ"), ("q = x W_Q", "q W_Q"), ("K2 vV kq d_k", ""), ("q·k, the keys; V's", "q k V")],
)
def test_letters(text, letters):
    parts = split_letters(text)
    assert " ".join(part for part, letter in parts if letter) == letters
    assert "".join(part for part, _ in parts) == text
