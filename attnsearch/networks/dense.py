"""A model's vectors → other vectors: the maps that follow its pooling.

Axis letters: n = texts, d = width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.models import trust
from attnsearch.networks.layers import gelu, linear, relu, silu
from attnsearch.networks.weights import Affine, Weights, read_weights

Floats = NDArray[np.float32]

IDENTITY = "torch.nn.modules.linear.Identity"
ACTIVATIONS: Mapping[str, Callable[[Floats], Floats] | None] = {
    IDENTITY: None,
    "torch.nn.modules.activation.Tanh": np.tanh,
    "torch.nn.modules.activation.GELU": gelu,
    "torch.nn.modules.activation.ReLU": relu,
    "torch.nn.modules.activation.SiLU": silu,
}
"""The functions after the map, by the classes that configurations name."""

NORMALIZE = ""  # in place of the folder of a module Dense

_USUAL = "torch.nn.modules.activation.Tanh"
_FEATURES = ("module_input_name", "module_output_name")
_SENTENCE = "sentence_embedding"  # what sentence-transformers calls a text's vector
_SHORTEST = 1e-12


class Dense(NamedTuple):
    """A linear map and, after it, perhaps an activation: the module Dense."""

    affine: Affine
    activation: Callable[[Floats], Floats] | None

    @classmethod
    def load(cls, folder: Path, d: int) -> Self:
        """The map in a module's folder, which takes vectors of width d. Raises ModelError for invalid files."""
        config = trust.read_config(folder / "config.json")
        if (d_in := config["in_features"]) != d:
            message = f"in its config.json, in_features is {str(d_in)[:40]}, but vectors have {d} numbers"
            raise ModelError(message, where=str(folder))
        weights = Weights(read_weights(folder / "model.safetensors"), "", str(folder))
        has_bias = config.get("bias", True)
        if "linear.bias" in weights.tensors and not has_bias:
            raise ModelError("has the tensor linear.bias, but in its config.json, bias is not true", where=str(folder))
        affine = weights.linear("linear", d, config["out_features"], bias=has_bias)
        return cls(affine, ACTIVATIONS[config.get("activation_function", _USUAL)])

    @property
    def width(self) -> int:
        """How many numbers the vectors have that it makes."""
        return int(self.affine[0].shape[1])

    @property
    def is_linear(self) -> bool:
        """Whether it maps a mean of vectors to the mean of what it maps them to."""
        return self.activation is None

    def apply(self, x: Floats) -> Floats:
        """The vectors (n, width) of the vectors x (n, d)."""
        y = linear(x, self.affine)
        return y if self.activation is None else self.activation(y)


class Unit(NamedTuple):
    """The module Normalize: every vector at length 1."""

    width: int

    @property
    def is_linear(self) -> bool:
        """It is not."""
        return False

    def apply(self, x: Floats) -> Floats:
        """The vectors x (n, width) at length 1; a zero vector as it is."""
        unit: Floats = x / np.linalg.norm(x, axis=1, keepdims=True).clip(_SHORTEST)
        return unit


def find_gap(config: Mapping[str, Any]) -> str:
    """What the configuration of a module asks for that is not computed here; empty if there is nothing."""
    activation = config.get("activation_function", _USUAL)
    if activation not in ACTIVATIONS:
        return f"a Dense module has the activation {activation}"
    if config.get("use_residual"):
        return "a Dense module adds what it takes"
    if not {config.get(name) for name in _FEATURES} <= {_SENTENCE, None}:
        return "a module after its pooling takes something other than a text's vector"
    return ""


def load_maps(folder: Path, names: Sequence[str], d: int) -> list[Dense | Unit]:
    """The modules with these names, of which `NORMALIZE` is one, behind a pooling that makes vectors of width d."""
    maps: list[Dense | Unit] = []
    for name in names:
        maps.append(Unit(d) if name == NORMALIZE else Dense.load(folder / name, d))
        d = maps[-1].width
    return maps
