"""Token ids → hidden states by ModernBERT: turned positions, gated layers, and attention that is mostly local.

Axis letters, in every shape below:
    b = texts    t = tokens    d = width    h = heads    e = width of a head    f = width of the feed-forward layer

Warner et al. 2024 (https://arxiv.org/abs/2412.13663): the architecture of granite-embedding r2, gte-modernbert, ettin
and modernbert-embed. Memory grows with t, not with t²: queries attend in blocks. No dropout, since nothing is trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import attend
from attnsearch.errors import ModelError
from attnsearch.networks.layers import ACTIVATIONS, layer_norm, linear
from attnsearch.networks.weights import COUNTS, Affine, Weights, check_numbers, find_prefix, read_weights, widen

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Turn = tuple[Floats, Floats]  # cosines and sines (t, e/2)

LOGITS = 1 << 20  # that are held at once, about: 4 MB
ROWS = 128  # queries whose logits are held at once: fewer make products slow, more leave the processor's caches

_COUNTS = (*COUNTS, "local_attention", "global_attn_every_n_layers")
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_USUAL = {"max_position_embeddings": 8_192, "norm_eps": 1e-5, "local_attention": 128, "global_attn_every_n_layers": 3,
          "hidden_activation": "gelu", "norm_bias": False, "attention_bias": False, "mlp_bias": False}  # fmt: skip
_OTHERS = ("is_decoder", "is_causal", "rope_scaling", "partial_rotary_factor", "head_dim")  # other networks have these
_USUAL_THETA = {_GLOBAL: 160_000.0, _LOCAL: 10_000.0}
_LARGEST_THETA = 1e30
_OLDER_THETA = {_GLOBAL: "global_rope_theta", _LOCAL: "local_rope_theta"}


class Layer(NamedTuple):
    """The weights of one layer, how far each token looks to either side, and the base of its angles.

    The first layer has no norm before attention, since it follows that of the words. `radius` is None where each token
    looks at all.
    """

    attended_norm: Affine | None
    query_key_value: Affine
    attended: Affine
    norm: Affine
    wider: Affine
    gate: Affine
    narrower: Affine
    radius: int | None
    theta: float


class ModernBert(NamedTuple):
    """A ModernBERT: `words` (vocabulary, d) and layers; positions have no weights."""

    words: NDArray[Any]
    norm: Affine
    layers: tuple[Layer, ...]
    final_norm: Affine
    heads: int
    activation: Callable[[Floats], Floats]
    epsilon: float
    longest: int

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in `folder`. Raises ModelError as the protocol says."""
        config = _checked_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
        tensors = read_weights(folder / "model.safetensors")
        prefix = find_prefix(tensors, "model.", "embeddings.tok_embeddings.weight", str(folder))
        weights = Weights(tensors, prefix, str(folder))
        d, bias = config["hidden_size"], config["norm_bias"]
        return cls(
            words=weights.table("embeddings.tok_embeddings.weight", (config["vocab_size"], d)),
            norm=weights.norm("embeddings.norm", d, bias=bias),
            layers=tuple(_layer(weights, n, config) for n in range(config["num_hidden_layers"])),
            final_norm=weights.norm("final_norm", d, bias=bias),
            heads=config["num_attention_heads"],
            activation=ACTIVATIONS[config["hidden_activation"]],
            epsilon=config["norm_eps"],
            longest=config["max_position_embeddings"],
        )

    @staticmethod
    def gap(config: Mapping[str, Any]) -> str:
        """What a configuration asks for that this file does not compute; empty if nothing."""
        if config.get("hidden_activation", "gelu") not in ACTIVATIONS:
            return f"its activation is {config['hidden_activation']}"
        for name in _OTHERS:
            if config.get(name):
                return f"its configuration has {name}"
        half = config.get("local_attention", _USUAL["local_attention"]) // 2
        if config.get("sliding_window", half) != half:
            return "its local attention has two widths"
        kinds = set(config.get("layer_types") or ())
        if not kinds <= {_GLOBAL, _LOCAL}:
            return f"its layers are {', '.join(sorted(map(str, kinds)))}"
        turns = config.get("rope_parameters") or {}
        if not (turns.keys() <= {_GLOBAL, _LOCAL} and all(map(_is_plain, turns.values()))):
            return "its positions are not turned by rope_theta alone"
        return ""

    @staticmethod
    def reach(config: Mapping[str, Any]) -> int:
        """How many tokens a text may have, by a configuration."""
        reach: int = config.get("max_position_embeddings", _USUAL["max_position_embeddings"])
        return reach

    @property
    def width(self) -> int:
        """d."""
        return int(self.words.shape[1])

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return len(self.words)

    def forward(self, ids: Ints, mask: NDArray[np.bool_]) -> Floats:
        """Hidden states (b, t, d) of the token ids (b, t); `mask` (b, t) is True where a token is, False on padding."""
        b, t = ids.shape
        e = self.width // self.heads
        turns = {theta: angles(t, e, theta) for theta in {layer.theta for layer in self.layers}}
        keep = None if mask.all() else mask
        x = layer_norm(widen(self.words[ids]), self.norm, self.epsilon)
        for layer in self.layers:
            normed = x if layer.attended_norm is None else layer_norm(x, layer.attended_norm, self.epsilon)
            parts = linear(normed, layer.query_key_value).reshape(b, t, 3, self.heads, e)
            parts = np.moveaxis(parts, (2, 3), (0, 2))
            (q, k), v = turn(parts[:2], turns[layer.theta]), parts[2]
            joined = np.swapaxes(look_around(q, k, v, keep, layer.radius), 1, 2).reshape(b, t, -1)
            x = x + linear(joined, layer.attended)
            normed = layer_norm(x, layer.norm, self.epsilon)
            x = x + linear(self.activation(linear(normed, layer.wider)) * linear(normed, layer.gate), layer.narrower)
        return layer_norm(x, self.final_norm, self.epsilon)


def angles(t: int, e: int, theta: float) -> Turn:
    """The cosine and sine (t, e/2) of each angle: position · θ^(-2i/e), Su et al. 2021, https://arxiv.org/abs/2104.09864.

    Everything is rounded to float32, as where models are trained: at position 8,000, to a 4,000th of a radian.
    """
    exponents = np.arange(0, e, 2, dtype=np.float32) / np.float32(e)
    powers = (theta ** exponents.astype(np.float64)).astype(np.float32)
    angle = np.arange(t, dtype=np.float32)[:, None] * (np.float32(1) / powers)
    return np.cos(angle), np.sin(angle)


def turn(x: Floats, angle: Turn) -> Floats:
    """x (…, t, e), of which each number in the first half and its peer in the second are turned by the angle (t, e/2).

    >>> turn(np.array([[1.0, 0.0]]), (np.array([[0.0]]), np.array([[1.0]]))).tolist()
    [[0.0, 1.0]]
    """
    cosine, sine = angle
    left, right = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return np.concatenate([left * cosine - right * sine, right * cosine + left * sine], axis=-1)


def look_around(
    q: Floats, k: Floats, v: Floats, mask: NDArray[np.bool_] | None, radius: int | None, *, rows: int = ROWS
) -> Floats:
    """softmax(q kᵀ/√e) v (b, h, t, …), over the tokens at most `radius` to either side, or over all if that is None.

    q, k (b, h, t, e), v (b, h, t, …). `mask` (b, t) is False on padding, or None if there is none. So many `rows` of
    logits of some heads are held at once.
    """
    b, h, t, _ = q.shape
    radius = t if radius is None else radius
    rows = min(rows, max(2 * radius, 1))
    heads = max(LOGITS // (b * rows * min(rows + 2 * radius, t)), 1)
    output = np.empty_like(v)
    for start in range(0, t, rows):
        stop = min(start + rows, t)
        first, last = max(start - radius, 0), min(stop + radius, t)
        keep = _keep(np.arange(start, stop), np.arange(first, last), mask, radius)
        for head in range(0, h, heads):
            block, keys = np.s_[:, head : head + heads, start:stop], np.s_[:, head : head + heads, first:last]
            output[block] = attend(q[block], k[keys], v[keys], mask=keep).output
    return output


def _keep(queries: Ints, keys: Ints, mask: NDArray[np.bool_] | None, radius: int) -> NDArray[np.bool_] | None:
    """Which keys each query looks at (b or 1, 1, queries, keys): no padding, and none too far; None if all.

    Padding looks at itself, so that it looks at something.
    """
    distance = np.abs(queries[:, None] - keys)
    keep = (distance <= radius)[None, None]
    if mask is not None:
        keep = keep & (mask[:, None, None, keys] | (distance == 0))
    return None if keep.all() else keep


def _is_plain(turns: Mapping[str, Any]) -> bool:
    """Whether the angles of a kind of layer have a base, and nothing else."""
    return turns.keys() <= {"rope_type", "rope_theta"} and turns.get("rope_type", "default") == "default"


def _checked_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The configuration with what it leaves to the library; ModelError unless its numbers are valid."""
    config = {**_USUAL, **config}
    check_numbers(config, _COUNTS, "norm_eps", where)
    if config["hidden_size"] % (2 * config["num_attention_heads"]):
        raise ModelError("in its config.json, hidden_size is not a multiple of 2 num_attention_heads", where=where)
    if len(config.get("layer_types") or ()) not in (0, config["num_hidden_layers"]):
        raise ModelError("in its config.json, layer_types does not have one type for each layer", where=where)
    for kind in (_GLOBAL, _LOCAL):
        if type(_theta(config, kind)) not in (int, float) or not 1 < _theta(config, kind) < _LARGEST_THETA:
            raise ModelError(f"in its config.json, the rope_theta of {kind} is not a number over 1", where=where)
    return config


def _layer(weights: Weights, n: int, config: Mapping[str, Any]) -> Layer:
    d, f, name = config["hidden_size"], config["intermediate_size"], f"layers.{n}."
    kind = _kind(config, n)
    wider, bias = weights.linear(f"{name}mlp.Wi", d, 2 * f, bias=config["mlp_bias"])
    return Layer(
        attended_norm=weights.norm(f"{name}attn_norm", d, bias=config["norm_bias"]) if n else None,
        query_key_value=weights.linear(f"{name}attn.Wqkv", d, 3 * d, bias=config["attention_bias"]),
        attended=weights.linear(f"{name}attn.Wo", d, d, bias=config["attention_bias"]),
        norm=weights.norm(f"{name}mlp_norm", d, bias=config["norm_bias"]),
        wider=(wider[:, :f], None if bias is None else bias[:f]),
        gate=(wider[:, f:], None if bias is None else bias[f:]),
        narrower=weights.linear(f"{name}mlp.Wo", f, d, bias=config["mlp_bias"]),
        radius=config["local_attention"] // 2 if kind == _LOCAL else None,
        theta=float(_theta(config, kind)),
    )


def _kind(config: Mapping[str, Any], n: int) -> str:
    """Whether the attention of layer n is global or local; older configurations give the distance of global layers."""
    if types := config.get("layer_types"):
        return str(types[n])
    return _LOCAL if n % config["global_attn_every_n_layers"] else _GLOBAL


def _theta(config: Mapping[str, Any], kind: str) -> Any:
    """The base of the angles in layers of this kind, where a newer or an older configuration gives it."""
    turns = (config.get("rope_parameters") or {}).get(kind, {})
    return turns.get("rope_theta", config.get(_OLDER_THETA[kind], _USUAL_THETA[kind]))
