"""Each part by hand or against plain loops; the whole against sentence-transformers in test_fast.py."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import ModelError
from attnsearch.networks.bert import Bert
from attnsearch.networks.layers import gelu, layer_norm
from tests.encoding.tiny import CONFIG, WIDER, WIDTH, tensors
from tests.networks.test_safetensors import write_tensors


@given(st.floats(-20, 20))
def test_gelu(value):
    x = np.array([value], np.float32)
    # Off by 3.3e-7 at most between -20 and 20; the bound is ten times the 5e-7 that its docstring promises.
    assert gelu(x)[0] == pytest.approx(x[0] * 0.5 * (1 + math.erf(x[0] / math.sqrt(2))), abs=5e-6)


def test_gelu_takes_long_arrays_in_strips():
    x = np.linspace(-6, 6, 60, dtype=np.float32).reshape(3, 4, 5)
    assert gelu(x, strip=7).tolist() == gelu(x).tolist()


def test_layer_norm_by_hand():
    """Mean 2, variance 1: -1 and 1, times 3, plus 10."""
    x = np.array([[1.0, 3.0]], np.float32)
    found = layer_norm(x, (np.full(2, 3, np.float32), np.full(2, 10, np.float32)), 0.0)
    assert found.tolist() == [[7.0, 13.0]]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write_tensors(tmp_path / "model.safetensors", tensors())
    return tmp_path


@pytest.mark.slow
def test_transformers_says_the_same(folder):
    """A small random BERT with padding, against the library's own."""
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel

    peer = BertModel(BertConfig(**CONFIG, attn_implementation="eager"), add_pooling_layer=False).eval()
    peer.load_state_dict({name: torch.from_numpy(x) for name, x in tensors().items()})
    ids = np.array([[1, 2, 3, 4], [4, 3, 0, 0]])
    mask = np.array([[True] * 4, [True, True, False, False]])
    with torch.no_grad():
        theirs = peer(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))).last_hidden_state.numpy()
    ours = Bert.load(folder).forward(ids, mask)
    assert ours[mask] == pytest.approx(theirs[mask], abs=1e-5)


def test_padding_changes_nothing(folder):
    model = Bert.load(folder)
    alone = model.forward(np.array([[4, 3]]), np.ones((1, 2), bool))
    padded = model.forward(np.array([[4, 3, 1]]), np.array([[True, True, False]]))
    assert padded[:, :2] == pytest.approx(alone, abs=1e-5)


def test_a_prefix_and_half_precision(folder, tmp_path):
    plain = np.array(Bert.load(folder).words)
    write_tensors(tmp_path / "model.safetensors", {name: x.astype(np.float16) for name, x in tensors("bert.").items()})
    half = Bert.load(folder)
    assert half.words.dtype == np.float32
    assert np.array_equal(half.words, plain.astype(np.float16))


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
    ],
)
def test_what_is_not_covered(other):
    assert Bert.gap(CONFIG) == ""
    assert Bert.gap({**CONFIG, **other})


def test_a_tensor_of_another_shape(folder):
    broken = tensors()
    broken["encoder.layer.1.output.dense.weight"] = np.ones((WIDER, WIDTH), np.float32)
    write_tensors(folder / "model.safetensors", broken)
    with pytest.raises(ModelError, match=r"output\.dense\.weight has the shape \(8, 4\), not \(4, 8\)"):
        Bert.load(folder)


def test_a_missing_tensor(folder):
    broken = tensors()
    del broken["embeddings.LayerNorm.bias"]
    write_tensors(folder / "model.safetensors", broken)
    with pytest.raises(ModelError, match=r"embeddings\.LayerNorm\.bias is missing"):
        Bert.load(folder)
