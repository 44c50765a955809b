"""The numbers of a model's configuration, and its tensors, each checked against the shape that these ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.networks import safetensors

Floats = NDArray[np.float32]
Affine = tuple[Floats, Floats | None]
"""A linear map's matrix (in, out) and bias (out,), or a norm's scale and shift (d,); None where nothing is added."""

COUNTS = (
    "hidden_size",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "num_hidden_layers",
    "num_attention_heads",
)
"""What every network's configuration has, by BERT's names."""


def check_numbers(config: Mapping[str, Any], counts: Iterable[str], epsilon: str, where: str) -> None:
    """Raise ModelError unless the members `counts` are whole numbers from 1 on, and `epsilon` is between 0 and 1."""
    for name in counts:
        if type(config.get(name)) is not int or config[name] < 1:
            raise ModelError(f"in its config.json, {name} is {str(config.get(name))[:40]}", where=where)
    if type(config.get(epsilon)) is not float or not 0 < config[epsilon] < 1:
        raise ModelError(f"in its config.json, {epsilon} is not a number between 0 and 1", where=where)


def read_weights(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a model's weights file by name, as views of the mapped file; ModelError if it is broken."""
    try:
        return safetensors.unpack(np.memmap(file, np.uint8, mode="r")).arrays
    except ValueError as error:
        raise ModelError(f"is not a complete safetensors file: {error}", where=str(file)) from None
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None


def widen(stored: NDArray[Any]) -> Floats:
    """Numbers as they are stored, in float32: of any type but uint16, in which are upper halves of float32 numbers.

    >>> widen(np.array([0x3F80, 0xC040], np.uint16)).tolist()
    [1.0, -3.0]
    """
    if stored.dtype == np.uint16:
        bits: NDArray[np.uint32] = np.left_shift(stored, 16, dtype=np.uint32)
        return bits.view(np.float32)
    return stored.astype(np.float32, copy=False)


def find_prefix(tensors: Mapping[str, NDArray[Any]], prefix: str, name: str, where: str) -> str:
    """The prefix of tensors, if the one of this name has it, else "". ModelError if there are two of it."""
    if prefix + name not in tensors:
        return ""
    if name in tensors:
        raise ModelError(f"has both {name} and {prefix}{name}", where=where)
    return prefix


class Weights:
    """Tensors by name, each checked against the shape that the configuration asks for."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], prefix: str, where: str) -> None:
        self.tensors, self.prefix, self.where = tensors, prefix, where

    def take(self, name: str, shape: tuple[int, ...]) -> Floats:
        """The tensor of this name in float32. ModelError if it is missing, or has another shape."""
        return widen(self.table(name, shape))

    def table(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """The tensor of this name as it is stored, of which one may `widen` a few rows. ModelError as `take`."""
        tensor = self.tensors.get(self.prefix + name)
        if tensor is None:
            raise ModelError(f"the tensor {name} is missing", where=self.where)
        if tensor.shape != shape:
            raise ModelError(f"the tensor {name} has the shape {tensor.shape}, not {shape}", where=self.where)
        if tensor.dtype.kind == "i":
            raise ModelError(f"the tensor {name} has integers", where=self.where)
        return tensor

    def linear(self, name: str, d_in: int, d_out: int, *, bias: bool = True) -> Affine:
        """Weights (d_in, d_out), which the file stores as (d_out, d_in), and bias (d_out,)."""
        weight = self.take(f"{name}.weight", (d_out, d_in)).T
        return weight, self.take(f"{name}.bias", (d_out,)) if bias else None

    def norm(self, name: str, d: int, *, bias: bool = True) -> Affine:
        """Scale and shift (d,); those of a LayerNorm are called gamma and beta in older files."""
        is_older = name.endswith("LayerNorm") and f"{self.prefix}{name}.gamma" in self.tensors
        scale, shift = ("gamma", "beta") if is_older else ("weight", "bias")
        return self.take(f"{name}.{scale}", (d,)), self.take(f"{name}.{shift}", (d,)) if bias else None
