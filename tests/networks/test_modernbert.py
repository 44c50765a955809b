"""Each part by hand or against plain loops; the whole against transformers, padding and distant tokens included."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import ModelError
from attnsearch.networks import modernbert
from attnsearch.networks.modernbert import ModernBert, angles, look_around, turn
from tests.encoding.conftest import CLOSE
from tests.networks.test_safetensors import write_tensors

WIDTH, WIDER, LAYERS, WORDS = 8, 12, 4, 40
CONFIG = {"model_type": "modernbert", "hidden_size": WIDTH, "intermediate_size": WIDER, "vocab_size": WORDS,
          "num_hidden_layers": LAYERS, "num_attention_heads": 2, "local_attention": 6,
          "max_position_embeddings": 64}  # fmt: skip
BIASES = {"norm_bias": True, "mlp_bias": True, "attention_bias": True}
NEWER = {
    "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 50.0},
                        "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}},
}  # fmt: skip


def tensors(config=CONFIG, prefix="", seed=6):
    """The weights that such a configuration asks for, at random, by their names after the prefix."""
    rng = np.random.default_rng(seed)
    d, f = config["hidden_size"], config["intermediate_size"]
    shapes = {"embeddings.tok_embeddings.weight": (config["vocab_size"], d), "embeddings.norm.weight": (d,),
              "final_norm.weight": (d,)}  # fmt: skip
    for n in range(config["num_hidden_layers"]):
        layer = {"attn.Wqkv": (3 * d, d), "attn.Wo": (d, d), "mlp_norm": (d,), "mlp.Wi": (2 * f, d), "mlp.Wo": (d, f)}
        if n:
            layer["attn_norm"] = (d,)
        shapes |= {f"layers.{n}.{name}.weight": shape for name, shape in layer.items()}
    for name, shape in dict(shapes).items():
        kind = "norm" if "norm" in name else "mlp" if "mlp" in name else "attention" if "attn" in name else ""
        if config.get(f"{kind}_bias"):
            shapes[name.replace(".weight", ".bias")] = shape[:1]
    return {prefix + name: rng.normal(size=shape, scale=0.4).astype(np.float32) for name, shape in shapes.items()}


def write(folder, config=CONFIG, prefix="", **kwargs):
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", tensors(config, prefix, **kwargs))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


IDS = np.array([[*range(1, 31)], [*range(30, 0, -1)], [7] * 30])
MASK = np.arange(30) < np.array([[30], [11], [1]])


@pytest.mark.slow
@pytest.mark.parametrize("other", [{}, BIASES, NEWER, {"global_attn_every_n_layers": 2, "local_attention": 5},
                                   {"hidden_activation": "silu"}],
                         ids=["plain", "biases", "newer", "older", "silu"])  # fmt: skip
def test_transformers_says_the_same(tmp_path, other):
    """Texts of 30, 11 and 1 tokens in one batch: some tokens see neither end of the text, some padding only itself."""
    torch = pytest.importorskip("torch")
    from transformers import ModernBertConfig, ModernBertModel

    config = CONFIG | other
    marks = dict.fromkeys(("pad_token_id", "eos_token_id", "bos_token_id", "cls_token_id", "sep_token_id"), 0)
    peer = ModernBertModel(ModernBertConfig(**config, **marks)).eval()
    peer.load_state_dict({name: torch.from_numpy(x) for name, x in tensors(config).items()})
    with torch.no_grad():
        theirs = peer(torch.from_numpy(IDS), torch.from_numpy(MASK.astype(np.int64))).last_hidden_state.numpy()
    ours = ModernBert.load(write(tmp_path, config)).forward(IDS, MASK)
    assert ours[MASK] == pytest.approx(theirs[MASK], abs=CLOSE)
    peer.save_pretrained(tmp_path)
    assert ModernBert.gap(json.loads((tmp_path / "config.json").read_text())) == ""
    assert np.array_equal(ModernBert.load(tmp_path).forward(IDS, MASK)[MASK], ours[MASK])


@pytest.mark.parametrize("config", [CONFIG, CONFIG | BIASES])
def test_padding_changes_nothing(tmp_path, config):
    model = ModernBert.load(write(tmp_path, config))
    together = model.forward(IDS, MASK)
    for row, length in enumerate(MASK.sum(axis=1)):
        alone = model.forward(IDS[row : row + 1, :length], np.ones((1, length), bool))
        assert together[row, :length] == pytest.approx(alone[0], abs=CLOSE)


def test_older_and_newer_configurations(folder, tmp_path):
    def states(**other):
        return ModernBert.load(write(tmp_path, CONFIG | other)).forward(IDS, MASK)

    plain = states()
    types = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    assert np.array_equal(states(layer_types=types), plain)
    assert np.array_equal(states(global_attn_every_n_layers=3, global_rope_theta=160_000, norm_eps=1e-5), plain)
    other = states(global_rope_theta=50.0, local_rope_theta=20.0)
    assert not np.allclose(other, plain)
    assert np.array_equal(states(rope_parameters=NEWER["rope_parameters"]), other)
    half = {"sliding_attention": {"rope_type": "default", "rope_theta": 20.0}}
    assert np.array_equal(states(rope_parameters=half, global_rope_theta=50.0), other)
    assert np.array_equal(states(local_attention=7), plain)
    assert not np.allclose(states(local_attention=4), plain)


def test_the_weights_of_a_masked_language_model(folder, tmp_path):
    plain = ModernBert.load(folder).forward(IDS, MASK)
    assert np.array_equal(ModernBert.load(write(tmp_path, prefix="model.")).forward(IDS, MASK), plain)


def test_angles_by_hand():
    """Four numbers are two pairs: the first turns by 1 a position, the second by 1/√100."""
    cosine, sine = angles(3, 4, 100.0)
    assert cosine == pytest.approx(np.cos([[0, 0], [1, 0.1], [2, 0.2]]), abs=1e-7)
    assert sine == pytest.approx(np.sin([[0, 0], [1, 0.1], [2, 0.2]]), abs=1e-7)


ANGLES = angles(1_501, 8, 10_000.0)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 1000))
def test_products_depend_on_the_distance_alone(i, j, shift):
    q, k = np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)
    cosine, sine = ANGLES

    def product(i, j):
        return turn(q, (cosine[i], sine[i])) @ turn(k, (cosine[j], sine[j]))

    assert product(i, j) == pytest.approx(product(i + shift, j + shift), abs=2e-3)


class TestLookAround:
    """Blocks of queries and keys against plain loops in float64."""

    @staticmethod
    def loops(q, k, v, mask, radius):
        output = np.zeros(q.shape)
        b, h, t, e = q.shape
        for text, head, i in np.ndindex(b, h, t):
            keys = [j for j in range(t) if mask[text, j] and (radius is None or abs(i - j) <= radius)]
            z = [math.exp(q[text, head, i].astype(float) @ k[text, head, j] / math.sqrt(e)) for j in keys]
            for weight, j in zip(z, keys, strict=True):
                output[text, head, i] += weight / sum(z) * v[text, head, j]
        return output

    @given(
        st.integers(1, 24),
        st.none() | st.integers(0, 12),
        st.integers(1, 24),
        st.sampled_from([1, 5, 128]),
        st.sampled_from([1, 300, modernbert.LOGITS]),
    )
    def test_as_loops_do(self, t, radius, length, rows, logits):
        q, k, v = np.random.default_rng(t).normal(size=(3, 2, 2, t, 4)).astype(np.float32)
        mask = np.arange(t) < np.array([[t], [min(length, t)]])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(modernbert, "LOGITS", logits)
            output = look_around(q, k, v, None if mask.all() else mask, radius, rows=rows)
        expected = self.loops(q, k, v, mask, radius)
        assert np.swapaxes(output, 1, 2)[mask] == pytest.approx(np.swapaxes(expected, 1, 2)[mask], abs=1e-5)

    @pytest.mark.parametrize("rows", [1, 4, 128])
    def test_the_border(self, rows):
        """Of equal keys each has an equal share: those at a distance of 3 count, those at 4 do not."""
        t, radius = 20, 3
        ones = np.ones((1, 1, t, 2), np.float32)
        output = look_around(ones, ones, np.eye(t, dtype=np.float32)[None, None], None, radius, rows=rows)
        for i, j in np.ndindex(t, t):
            seen = min(i, radius) + 1 + min(t - 1 - i, radius)
            assert output[0, 0, i, j] == pytest.approx(1 / seen if abs(i - j) <= radius else 0, abs=1e-6)

    @pytest.mark.parametrize("radius", [None, 16])
    def test_memory_does_not_grow_with_the_square(self, radius):
        q, k, v = np.ones((3, 1, 4, 3_000, 2), np.float32)
        tracemalloc.start()
        look_around(q, k, v, None, radius)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * 3_000**2  # bytes: the logits of one head alone


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_activation": "tanh"},
        {"is_causal": True},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"partial_rotary_factor": 0.5},
        {"head_dim": 8},
        {"sliding_window": 4},
        {"layer_types": ["full_attention", "chunked_attention"] * 2},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 10_000.0}}},
        {"rope_parameters": {"full_attention": {"rope_theta": 10_000.0, "factor": 2.0}}},
    ],
)
def test_what_is_not_covered(other):
    assert ModernBert.gap(CONFIG) == ModernBert.gap(CONFIG | NEWER | {"sliding_window": 3, "rope_scaling": None}) == ""
    assert ModernBert.gap(CONFIG | other)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": 6}, "hidden_size is not a multiple of 2 num_attention_heads"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"local_attention": -1}, "local_attention is -1"),
        ({"norm_eps": "0"}, "norm_eps is not a number between 0 and 1"),
        ({"norm_eps": float("nan")}, "norm_eps is not a number between 0 and 1"),
        ({"layer_types": ["full_attention"]}, "layer_types does not have one type for each layer"),
        ({"global_rope_theta": 0}, "the rope_theta of full_attention is not a number over 1"),
        ({"local_rope_theta": float("inf")}, "the rope_theta of sliding_attention is not a number over 1"),
        ({"num_hidden_layers": 10**12}, r"layers\.4\.mlp\.Wi\.weight is missing"),
        ({"intermediate_size": 13}, r"layers\.0\.mlp\.Wi\.weight has the shape \(24, 8\), not \(26, 8\)"),
        ({"norm_bias": True}, r"embeddings\.norm\.bias is missing"),
    ],
)
def test_a_configuration_that_lies(folder, other, problem):
    (folder / "config.json").write_text(json.dumps(CONFIG | other))
    with pytest.raises(ModelError, match=problem):
        ModernBert.load(folder)


def test_weights_that_are_integers(folder):
    weights = tensors() | {"layers.1.attn.Wo.weight": np.ones((WIDTH, WIDTH), np.int64)}
    write_tensors(folder / "model.safetensors", weights)
    with pytest.raises(ModelError, match=r"the tensor layers\.1\.attn\.Wo\.weight has integers"):
        ModernBert.load(folder)
