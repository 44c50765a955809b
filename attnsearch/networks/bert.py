"""Token ids → hidden states: the encoder's forward pass, on the same attention that searches the catalog.

Axis letters, in every shape below:
    b = texts    t = tokens    d = width    h = heads    f = width of the feed-forward layer

BERT, Devlin et al. 2018 (https://arxiv.org/abs/1810.04805), read straight from a memory-mapped safetensors file:
the architecture of MiniLM, bge, e5 and gte. No dropout, since nothing is trained here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import attend
from attnsearch.errors import ModelError
from attnsearch.networks.layers import gelu, layer_norm, linear
from attnsearch.networks.weights import Affine, Weights, read_weights

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_COUNTS = (
    "hidden_size",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
)


class Layer(NamedTuple):
    """The weights of one layer: for each linear map its matrix (in, out) and bias; for each norm scale and shift."""

    query: Affine
    key: Affine
    value: Affine
    attended: Affine
    attended_norm: Affine
    wider: Affine
    narrower: Affine
    norm: Affine


class Bert(NamedTuple):
    """A BERT: `words` (vocabulary, d), `positions` (positions, d) with the row of token type 0 added."""

    words: Floats
    positions: Floats
    norm: Affine
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in `folder`. Raises ModelError as the protocol says."""
        config = _checked_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
        tensors = read_weights(folder / "model.safetensors")
        prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""
        weights = Weights(tensors, prefix, str(folder))
        d, f = config["hidden_size"], config["intermediate_size"]
        return cls(
            words=weights.take("embeddings.word_embeddings.weight", (config["vocab_size"], d)),
            positions=weights.take("embeddings.position_embeddings.weight", (config["max_position_embeddings"], d))
            + weights.take("embeddings.token_type_embeddings.weight", (config["type_vocab_size"], d))[0],
            norm=weights.norm("embeddings.LayerNorm", d),
            layers=tuple(_layer(weights, f"encoder.layer.{n}.", d, f) for n in range(config["num_hidden_layers"])),
            heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
        )

    @staticmethod
    def gap(config: Mapping[str, Any]) -> str:
        """What a configuration asks for that this file does not compute; empty if there is nothing."""
        if config.get("hidden_act") != "gelu":
            return f"its activation is {config.get('hidden_act')}"
        if config.get("position_embedding_type", "absolute") != "absolute":
            return f"its positions are {config['position_embedding_type']}"
        return "it is a decoder" if config.get("is_decoder") else ""

    @staticmethod
    def reach(config: Mapping[str, Any]) -> int:
        """How many tokens a text may have."""
        return int(config["max_position_embeddings"])

    @property
    def width(self) -> int:
        """d."""
        return int(self.words.shape[1])

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return len(self.words)

    @property
    def longest(self) -> int:
        """How many tokens a text may have."""
        return len(self.positions)

    def forward(self, ids: Ints, mask: NDArray[np.bool_]) -> Floats:
        """Hidden states (b, t, d) of the token ids (b, t); `mask` (b, t) is True where a token is, False on padding."""
        b, t = ids.shape
        x = layer_norm(self.words[ids] + self.positions[:t], self.norm, self.epsilon)
        keep = None if mask.all() else mask[:, None, None, :]
        for layer in self.layers:
            q, k, v = (self._split(linear(x, w)) for w in (layer.query, layer.key, layer.value))
            heads = attend(q, k, v, mask=keep).output
            joined = np.swapaxes(heads, 1, 2).reshape(b, t, -1)
            x = layer_norm(x + linear(joined, layer.attended), layer.attended_norm, self.epsilon)
            x = layer_norm(x + linear(gelu(linear(x, layer.wider)), layer.narrower), layer.norm, self.epsilon)
        return x

    def _split(self, x: Floats) -> Floats:
        """(b, t, d) → (b, h, t, d/h)."""
        b, t, d = x.shape
        return np.swapaxes(x.reshape(b, t, self.heads, d // self.heads), 1, 2)


def _checked_config(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The configuration; ModelError unless its numbers are valid."""
    for name in _COUNTS:
        if type(config.get(name)) is not int or config[name] < 1:
            raise ModelError(f"in its config.json, {name} is {str(config.get(name))[:40]}", where=where)
    if config["hidden_size"] % config["num_attention_heads"]:
        raise ModelError("in its config.json, hidden_size is not a multiple of num_attention_heads", where=where)
    if type(config.get("layer_norm_eps")) is not float or not 0 < config["layer_norm_eps"] < 1:
        raise ModelError("in its config.json, layer_norm_eps is not a number between 0 and 1", where=where)
    return config


def _layer(weights: Weights, name: str, d: int, f: int) -> Layer:
    return Layer(
        query=weights.linear(f"{name}attention.self.query", d, d),
        key=weights.linear(f"{name}attention.self.key", d, d),
        value=weights.linear(f"{name}attention.self.value", d, d),
        attended=weights.linear(f"{name}attention.output.dense", d, d),
        attended_norm=weights.norm(f"{name}attention.output.LayerNorm", d),
        wider=weights.linear(f"{name}intermediate.dense", d, f),
        narrower=weights.linear(f"{name}output.dense", f, d),
        norm=weights.norm(f"{name}output.LayerNorm", d),
    )
