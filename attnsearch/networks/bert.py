"""Token ids → hidden states: the encoder's forward pass, on the same attention that searches the catalog.

Axis letters, in every shape below:
    b = texts    t = tokens    d = width    h = heads    f = width of the feed-forward layer

BERT, Devlin et al. 2018 (https://arxiv.org/abs/1810.04805), read straight from a memory-mapped safetensors file: the
architecture of MiniLM, bge, e5 and gte; and its kin. No dropout, since nothing is trained here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.networks.kin import (
    BUCKETS,
    KINDS,
    Names,
    by_usual_names,
    find_gap,
    first_position,
    list_numbers,
    padding_of,
)
from attnsearch.networks.layers import ACTIVATIONS, attend_by_heads, layer_norm, linear
from attnsearch.networks.weights import Affine, Weights, check_numbers, find_prefix, read_weights, widen

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

FARTHEST = 128  # of MPNet's distances: from here on, all have the same bias


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
    """A BERT, or one of its kin.

    `words` (vocabulary, d) are as they are stored, see `widen`; `positions` (positions, d) have the row of token type 0
    added. They are counted from the number after that of the `padding` token, which has a row of its own, or from 0 if
    it is None. `distances` (BUCKETS, h) are what each head adds to a logit by the distance of its tokens, or None.
    """

    words: NDArray[Any]
    positions: Floats
    norm: Affine
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float
    activation: Callable[[Floats], Floats]
    padding: int | None
    distances: Floats | None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in `folder`. Raises ModelError as the protocol says."""
        config = _checked_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
        kind = KINDS[config["model_type"]]
        tensors = read_weights(folder / "model.safetensors")
        prefix = find_prefix(tensors, kind.prefix, "embeddings.word_embeddings.weight", str(folder))
        weights = Weights(tensors, prefix, str(folder))
        d, heads = config["hidden_size"], config["num_attention_heads"]
        positions = weights.take("embeddings.position_embeddings.weight", (config["max_position_embeddings"], d))
        if kind.has_types:
            positions = (
                positions + weights.take("embeddings.token_type_embeddings.weight", (config["type_vocab_size"], d))[0]
            )
        return cls(
            words=weights.table("embeddings.word_embeddings.weight", (config["vocab_size"], d)),
            positions=positions,
            norm=weights.norm("embeddings.LayerNorm", d),
            layers=tuple(_layer(weights, n, kind.names, config) for n in range(config["num_hidden_layers"])),
            heads=heads,
            epsilon=config["layer_norm_eps"],
            activation=ACTIVATIONS[config["hidden_act"]],
            padding=padding_of(config),
            distances=weights.take("encoder.relative_attention_bias.weight", (BUCKETS, heads))
            if kind.has_distances
            else None,
        )

    @staticmethod
    def gap(config: Mapping[str, Any]) -> str:
        """What a configuration asks for that this file does not compute; empty if there is nothing."""
        return find_gap(config)

    @staticmethod
    def reach(config: Mapping[str, Any]) -> int:
        """How many tokens a text may have."""
        reach: int = config["max_position_embeddings"]
        return reach - first_position(padding_of(config))

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
        return len(self.positions) - first_position(self.padding)

    def forward(self, ids: Ints, mask: NDArray[np.bool_]) -> Floats:
        """Hidden states (b, t, d) of the token ids (b, t); `mask` (b, t) is True where a token is, False on padding."""
        t = ids.shape[1]
        x = layer_norm(widen(self.words[ids]) + self._place(ids, mask), self.norm, self.epsilon)
        keep = None if mask.all() else mask[:, None, None, :]
        bias = None if self.distances is None else np.moveaxis(self.distances[buckets(t)], -1, 0)
        for layer in self.layers:
            q, k, v = (self._split(linear(x, w)) for w in (layer.query, layer.key, layer.value))
            attended = attend_by_heads(q, k, v, bias=bias, mask=keep)
            x += linear(attended, layer.attended)
            x = layer_norm(x, layer.attended_norm, self.epsilon)
            x += linear(self.activation(linear(x, layer.wider)), layer.narrower)
            x = layer_norm(x, layer.norm, self.epsilon)
        return x

    def _place(self, ids: Ints, mask: NDArray[np.bool_]) -> Floats:
        """What is added to each token (1 or b, t, d) for its position."""
        first, t = first_position(self.padding), ids.shape[1]
        if self.padding is None:
            return self.positions[:t]
        is_counted = mask & (ids != self.padding)  # which a text may have too, if it is written out
        if is_counted.all():
            return self.positions[first : first + t]
        places: Ints = np.cumsum(is_counted, axis=1) * is_counted + self.padding
        return self.positions[places]

    def _split(self, x: Floats) -> Floats:
        """(b, t, d) → (b, h, t, d/h)."""
        b, t, d = x.shape
        return np.swapaxes(x.reshape(b, t, self.heads, d // self.heads), 1, 2)


def buckets(t: int) -> Ints:
    """The number of the bias of each token's distance to each other (t, t): Raffel et al. 2020, section 2.1.

    Half of the numbers are for tokens that come later. Of each half, half are for a distance of their own, and the rest
    for distances that grow by a factor. https://arxiv.org/abs/1910.10683

    >>> buckets(3).tolist()
    [[0, 17, 18], [1, 0, 17], [2, 1, 0]]
    """
    half, exact = BUCKETS // 2, BUCKETS // 4
    distances = np.arange(t)
    parts = np.log(np.maximum(distances, 1).astype(np.float32) / exact) / np.float32(math.log(FARTHEST / exact))
    far = exact + np.trunc(parts * (half - exact)).astype(np.int64)
    of_distance = np.where(distances < exact, distances, np.minimum(far, half - 1))
    steps = distances - distances[:, None]
    numbers: Ints = of_distance[np.abs(steps)] + half * (steps > 0)
    return numbers


def _checked_config(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The configuration by BERT's names; ModelError unless its numbers are valid."""
    config = by_usual_names(config)
    kind = KINDS[config["model_type"]]
    *counts, epsilon = list_numbers(config)
    check_numbers(config, counts, epsilon, where)
    if config["hidden_size"] % config["num_attention_heads"]:
        raise ModelError("in its config.json, hidden_size is not a multiple of num_attention_heads", where=where)
    padding = padding_of(config)
    has_row = type(padding) is int and 0 <= padding < config["max_position_embeddings"] - 1
    if kind.counts_from_padding and not has_row:
        raise ModelError(f"in its config.json, pad_token_id is {str(padding)[:40]}", where=where)
    return config


def _layer(weights: Weights, number: int, names: Names, config: Mapping[str, Any]) -> Layer:
    d, f = config["hidden_size"], config["intermediate_size"]

    def linear_map(name: str, d_in: int, d_out: int) -> Affine:
        return weights.linear(f"{names.layer}{number}.{name}", d_in, d_out)

    return Layer(
        query=linear_map(names.query, d, d),
        key=linear_map(names.key, d, d),
        value=linear_map(names.value, d, d),
        attended=linear_map(names.attended, d, d),
        attended_norm=weights.norm(f"{names.layer}{number}.{names.attended_norm}", d),
        wider=linear_map(names.wider, d, f),
        narrower=linear_map(names.narrower, f, d),
        norm=weights.norm(f"{names.layer}{number}.{names.norm}", d),
    )
