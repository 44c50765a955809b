"""What encoders share, by hand; and when two of them are taken to agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.encoder import batch_by_length, normalize_rows, vectors_agree
from attnsearch.errors import ModelError
from tests.encoding.conftest import MIXED


def test_batches():
    texts = ["x" * n for n in (5, 1, 3, 3, 9, 20)]
    assert list(batch_by_length([len(text) for text in texts], 9)) == [[1, 2, 3], [0], [4], [5]]
    assert list(batch_by_length([], 9)) == []


@given(st.lists(st.integers(0, 30)), st.integers(1, 60))
def test_batches_hold_each_text_once_with_little_padding(lengths, most):
    batches = list(batch_by_length(lengths, most))
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    for batch in batches:
        longest, shortest = lengths[batch[-1]], lengths[batch[0]]
        assert len(batch) == 1 or len(batch) * longest <= most
        assert longest == shortest or sum(lengths[i] < longest for i in batch) * longest <= most // 2


def test_a_batch_that_is_half_full_takes_no_longer_text():
    assert list(batch_by_length([4, 4, 5, 5, 5], 16)) == [[0, 1], [2, 3, 4]]
    assert list(batch_by_length([4, 5, 5, 5], 16)) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_vector_without_direction(wrong):
    x = np.ones((2, 3), np.float32)
    x[1] = wrong
    with pytest.raises(ModelError, match="a vector without a direction"):
        normalize_rows(x, "m")


@pytest.mark.slow
def test_two_that_do_not_agree(real, copy):
    other = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    assert vectors_agree(real, real, MIXED[:20])
    assert not vectors_agree(real, other, MIXED[:20])
    other.precision = "bfloat16"
    assert not vectors_agree(real, other, MIXED[:20])
