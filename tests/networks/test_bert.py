"""BERT and its kin against transformers, and files that lie; whole models of every kind are in test_agreement.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnsearch.errors import ModelError
from attnsearch.networks.bert import Bert, buckets
from attnsearch.networks.kin import by_usual_names
from tests.encoding.tiny import CONFIG, LAYERS, POSITIONS, WIDER, WIDTH, tensors
from tests.networks.test_safetensors import write_tensors


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


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
def test_a_prefix_and_half_precision(folder, stored):
    """As stored, which `widen` reads exactly: BF16 is the upper half of a float32."""
    upper = {name: (x.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, x in tensors("bert.").items()}
    if stored == "float16":
        halves = {name: x.astype(np.float16) for name, x in upper.items()}
        upper = {name: x.astype(np.float32) for name, x in halves.items()}
    else:
        halves = {name: (x.view(np.uint32) >> 16).astype(np.uint16) for name, x in upper.items()}
    ids, mask = np.array([[1, 2, 3]]), np.ones((1, 3), bool)
    write_tensors(folder / "model.safetensors", upper)
    exact = Bert.load(folder).forward(ids, mask)
    write_tensors(folder / "model.safetensors", halves)
    half = Bert.load(folder)
    assert half.words.nbytes == 2 * half.words.size  # of which only a text's rows become float32
    assert np.array_equal(half.forward(ids, mask), exact)


def test_two_sets_of_weights(folder):
    write_tensors(folder / "model.safetensors", tensors("bert.") | tensors())
    with pytest.raises(ModelError, match=r"has both embeddings\.word_embeddings\.weight and bert\."):
        Bert.load(folder)


@pytest.mark.slow
def test_distances_as_transformers_numbers_them():
    torch = pytest.importorskip("torch")
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    steps = torch.arange(600)[None, :] - torch.arange(600)[:, None]
    assert np.array_equal(buckets(600), MPNetEncoder.relative_position_bucket(steps).numpy())


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_act": "selu"},
        {"hidden_act": None},
        {"model_type": "mpnet", "pad_token_id": 0},
        {"model_type": "mpnet", "relative_attention_num_buckets": 64},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
    ],
)
def test_what_is_not_covered(other):
    assert Bert.gap(CONFIG) == ""
    assert Bert.gap({**CONFIG, **other})


DISTILLED = {"model_type": "distilbert", "activation": "gelu", "dim": WIDTH, "hidden_dim": WIDER, "n_layers": LAYERS,
             "n_heads": 2, "vocab_size": 7, "max_position_embeddings": POSITIONS}  # fmt: skip


@pytest.mark.parametrize("config", [CONFIG, DISTILLED, {**CONFIG, "model_type": "mpnet"}])
def test_a_number_that_a_configuration_leaves_out(config):
    """transformers has one for it, by the kind of network."""
    assert Bert.gap(config) == ""
    for name, value in config.items():
        if isinstance(value, (int, float)) and (config["model_type"], name) != ("mpnet", "type_vocab_size"):
            assert "its config.json has no " in Bert.gap({key: config[key] for key in config if key != name})


def test_two_names_of_a_number():
    """transformers takes the later one, or knows one of them only."""
    assert Bert.gap({**DISTILLED, "num_hidden_layers": 1}) == "its config.json has num_hidden_layers"


def test_the_epsilon_of_distilbert_is_fixed():
    assert by_usual_names({**DISTILLED, "layer_norm_eps": 0.5})["layer_norm_eps"] == 1e-12


def test_older_names_of_a_norm(folder):
    ids, mask = np.array([[1, 2, 3]]), np.ones((1, 3), bool)
    newer = {name: x + (0.5 if "LayerNorm" in name else 0) for name, x in tensors().items()}
    write_tensors(folder / "model.safetensors", newer)
    expected = Bert.load(folder).forward(ids, mask)
    older = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): x
             for name, x in newer.items()}  # fmt: skip
    assert older.keys() != newer.keys()
    write_tensors(folder / "model.safetensors", older)
    assert np.array_equal(Bert.load(folder).forward(ids, mask), expected)


@pytest.mark.parametrize("padding", [-1, POSITIONS - 1, 10**9, 1.0, True, "1", None])
def test_an_invalid_padding_token(folder, padding):
    """RoBERTa counts positions from it."""
    (folder / "config.json").write_text(json.dumps({**CONFIG, "model_type": "roberta", "pad_token_id": padding}))
    with pytest.raises(ModelError, match="pad_token_id is"):
        Bert.load(folder)


def test_positions_after_the_padding_token(folder):
    """RoBERTa's first position is that after the padding token's number; the token itself, if it stands in a text, has
    the position of its number."""
    plain = Bert.load(folder)
    shifted = plain._replace(padding=1)
    ids, mask = np.array([[3, 1, 4, 0]]), np.array([[True, True, True, False]])
    assert shifted.longest == plain.longest - 2
    assert np.array_equal(shifted._place(ids, mask)[0], plain.positions[[2, 1, 3, 1]])
    assert np.array_equal(shifted._place(ids[:, :1], mask[:, :1]), plain.positions[2:3])


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


DISTILBERT = {"model_type": "distilbert", "dim": WIDTH, "hidden_dim": WIDER, "n_layers": 2, "n_heads": 2,
              "vocab_size": 7, "max_position_embeddings": POSITIONS, "activation": "gelu"}  # fmt: skip


@pytest.mark.parametrize("name", ["dim", "hidden_dim", "n_layers", "n_heads", "vocab_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "4", None, True])
def test_counts_that_lie_by_other_names(folder, name, value):
    (folder / "config.json").write_text(json.dumps({**DISTILBERT, name: value}))
    with pytest.raises(ModelError, match=r"in its config\.json"):
        Bert.load(folder)


@pytest.mark.parametrize("shape", [(31, 2), (32, 3), (64,)])
def test_distances_of_another_shape(folder, shape):
    names = {"self.query": "attn.q", "self.key": "attn.k", "self.value": "attn.v", "output.dense": "attn.o"}
    arrays = {"encoder.relative_attention_bias.weight": np.ones(shape, np.float32)}
    for name, x in tensors().items():
        for theirs, own in (*names.items(), ("output.LayerNorm", "LayerNorm")):
            name = name.replace(f"attention.{theirs}", f"attention.{own}")
        arrays[name] = x
    write_tensors(folder / "model.safetensors", arrays)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "model_type": "mpnet"}))
    with pytest.raises(ModelError, match="relative_attention_bias"):
        Bert.load(folder)
