"""Token ids → hidden states: the encoder's forward pass, on the same attention that searches the catalog.

Axis letters, in every shape below:
    b = texts    t = tokens    d = width    h = heads    f = width of the feed-forward layer

BERT, Devlin et al. 2018 (https://arxiv.org/abs/1810.04805), read straight from a memory-mapped safetensors file:
the architecture of MiniLM, bge, e5 and gte. No dropout, since nothing is trained here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import attend
from attnsearch.encoding import safetensors
from attnsearch.errors import ModelError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

STRIP = 32_768  # numbers that `gelu` takes at once, so that its working memory stays in the processor's cache
_TAIL = tuple(np.float32(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))
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

    query: tuple[Floats, Floats]
    key: tuple[Floats, Floats]
    value: tuple[Floats, Floats]
    attended: tuple[Floats, Floats]
    attended_norm: tuple[Floats, Floats]
    wider: tuple[Floats, Floats]
    narrower: tuple[Floats, Floats]
    norm: tuple[Floats, Floats]


class Transformer(NamedTuple):
    """A BERT encoder: `words` (vocabulary, d), `positions` (positions, d) with the row of token type 0 added."""

    words: Floats
    positions: Floats
    norm: tuple[Floats, Floats]
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in `folder`, whose configuration `covers` must have accepted.

        Raises ModelError for a weights file that contradicts itself or the model's configuration, and for an invalid
        configuration.
        """
        config = _checked_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
        tensors = read_weights(folder / "model.safetensors")
        prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""
        weights = _Weights(tensors, prefix, str(folder))
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

    def forward(self, ids: Ints, mask: NDArray[np.bool_]) -> Floats:
        """Hidden states (b, t, d) of the token ids (b, t); `mask` (b, t) is True where a token is, False on padding."""
        b, t = ids.shape
        x = layer_norm(self.words[ids] + self.positions[:t], self.norm, self.epsilon)
        keep = None if mask.all() else mask[:, None, None, :]
        for layer in self.layers:
            q, k, v = (self._split(_linear(x, w)) for w in (layer.query, layer.key, layer.value))
            heads = attend(q, k, v, mask=keep).output
            joined = np.swapaxes(heads, 1, 2).reshape(b, t, -1)
            x = layer_norm(x + _linear(joined, layer.attended), layer.attended_norm, self.epsilon)
            x = layer_norm(x + _linear(gelu(_linear(x, layer.wider)), layer.narrower), layer.norm, self.epsilon)
        return x

    def _split(self, x: Floats) -> Floats:
        """(b, t, d) → (b, h, t, d/h)."""
        b, t, d = x.shape
        return np.swapaxes(x.reshape(b, t, self.heads, d // self.heads), 1, 2)


def covers(config: Mapping[str, Any]) -> bool:
    """Whether a model's configuration describes what this file computes."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
    )


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


def layer_norm(x: Floats, scale_and_shift: tuple[Floats, Floats], epsilon: float) -> Floats:
    """(x - mean) / √(variance + ε) · scale + shift, over the last axis: Ba et al. 2016."""
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...d,...d->...", centered, centered)[..., None] / np.float32(x.shape[-1])
    scale, shift = scale_and_shift
    normed: Floats = centered / np.sqrt(variance + np.float32(epsilon)) * scale + shift
    return normed


def gelu(x: Floats, *, strip: int = STRIP) -> Floats:
    """x · Φ(x) with the exact normal distribution function Φ: Hendrycks & Gimpel 2016. `strip` numbers at once.

    Φ(-z) = erfc(z/√2)/2 by Abramowitz & Stegun 1964, 7.1.26: off by less than 5e-7 in float32.
    """
    flat = np.ravel(x)
    activated = np.empty_like(flat)
    for start in range(0, flat.size, strip):
        part, out = flat[start : start + strip], activated[start : start + strip]
        z = np.abs(part)
        s = np.reciprocal(np.float32(1) + z * np.float32(0.3275911 * math.sqrt(0.5)))
        tail = s * _TAIL[-1]
        for coefficient in _TAIL[-2::-1]:
            tail += coefficient
            tail *= s
        np.multiply(z, z, out=s)
        s *= np.float32(-0.5)
        tail *= np.exp(s, out=s)
        tail *= z
        np.subtract(np.maximum(part, 0, out=out), tail, out=out)  # x Φ(x) = max(x, 0) - |x| Φ(-|x|)
    return activated.reshape(x.shape)


def read_weights(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a model's weights file by name, as views of the mapped file; ModelError if it is broken."""
    try:
        return safetensors.unpack(np.memmap(file, np.uint8, mode="r")).arrays
    except ValueError as error:
        raise ModelError(f"is not a complete safetensors file: {error}", where=str(file)) from None
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None


class _Weights:
    """Tensors by name, each checked against the shape that the configuration asks for."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], prefix: str, where: str) -> None:
        self.tensors, self.prefix, self.where = tensors, prefix, where

    def take(self, name: str, shape: tuple[int, ...]) -> Floats:
        tensor = self.tensors.get(self.prefix + name)
        if tensor is None:
            raise ModelError(f"the tensor {name} is missing", where=self.where)
        if tensor.shape != shape:
            raise ModelError(f"the tensor {name} has the shape {tensor.shape}, not {shape}", where=self.where)
        return tensor.astype(np.float32, copy=False)

    def linear(self, name: str, d_in: int, d_out: int) -> tuple[Floats, Floats]:
        """Weights (d_in, d_out), which the file stores as (d_out, d_in), and bias (d_out,)."""
        return self.take(f"{name}.weight", (d_out, d_in)).T, self.take(f"{name}.bias", (d_out,))

    def norm(self, name: str, d: int) -> tuple[Floats, Floats]:
        return self.take(f"{name}.weight", (d,)), self.take(f"{name}.bias", (d,))


def _layer(weights: _Weights, name: str, d: int, f: int) -> Layer:
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


def _linear(x: Floats, weight_and_bias: tuple[Floats, Floats]) -> Floats:
    weight, bias = weight_and_bias
    y = x.reshape(-1, x.shape[-1]) @ weight  # one product; of a stack, numpy would make many small ones
    y += bias
    return y.reshape(*x.shape[:-1], -1)
