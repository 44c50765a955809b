"""The parts that networks are built from.

Axis letters, in every shape below:
    b = texts    h = heads    t = tokens    e = width of a head    d = width
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import attend
from attnsearch.networks.weights import Affine

Floats = NDArray[np.float32]

LOGITS = 1 << 17  # that `attend_by_heads` holds at once, so that they stay in the processor's cache: half a MB
STRIP = 32_768  # numbers that `gelu` takes at once, so that its working memory stays in the processor's cache
_TAIL = tuple(np.float32(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))


def layer_norm(x: Floats, scale_and_shift: Affine, epsilon: float) -> Floats:
    """(x - mean) / √(variance + ε) · scale + shift, over the last axis: Ba et al. 2016."""
    normed: Floats = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...d,...d->...", normed, normed)[..., None] / np.float32(x.shape[-1])
    scale, shift = scale_and_shift
    normed /= np.sqrt(variance + np.float32(epsilon))  # in place: new memory costs more than numbers
    normed *= scale
    if shift is not None:
        normed += shift
    return normed


def gelu(x: Floats, *, strip: int = STRIP) -> Floats:
    """x · Φ(x) with the exact normal distribution function Φ: Hendrycks & Gimpel 2016. `strip` numbers at once.

    Φ(-z) = erfc(z/√2)/2 by Abramowitz & Stegun 1964, 7.1.26: off by less than 5e-7 in float32. The result takes the
    place of x, since new memory costs as much as the arithmetic.
    """
    flat = np.ravel(x)
    for start in range(0, flat.size, strip):
        part = flat[start : start + strip]
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
        np.maximum(part, 0, out=part)
        part -= tail  # x Φ(x) = max(x, 0) - |x| Φ(-|x|)
    return flat.reshape(x.shape)


def gelu_by_tanh(x: Floats) -> Floats:
    """`gelu` as it is often approximated: ½ x (1 + tanh(√(2/π) (x + .044715 x³)))."""
    slope = np.float32(math.sqrt(2 / math.pi))
    activated: Floats = np.float32(0.5) * x * (1 + np.tanh(slope * (x + np.float32(0.044715) * x * x * x)))
    return activated


def silu(x: Floats) -> Floats:
    """x / (1 + e⁻ˣ): Elfwing et al. 2017."""
    activated: Floats = np.float32(0.5) * x * (1 + np.tanh(np.float32(0.5) * x))  # no power that overflows
    return activated


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, 0)


def attend_by_heads(
    q: Floats, k: Floats, v: Floats, *, bias: Floats | None, mask: NDArray[np.bool_] | None, most: int = LOGITS
) -> Floats:
    """The output (b, t, h·e) of `attend` for q, k, v (b, h, t, e), as many heads at once as have `most` logits.

    `bias` is of (h, t, t), `mask` of (b, 1, 1, t). With 256 tokens, that takes a bit more than half of the time.
    """
    b, h, t, e = q.shape
    count = max(most // (t * t), 1)
    texts, heads = (count // h, h) if count >= h else (1, count)
    joined = np.empty((b, t, h, e), np.float32)
    output = np.swapaxes(joined, 1, 2)
    for i in range(0, b, texts):
        for j in range(0, h, heads):
            part = slice(i, i + texts), slice(j, j + heads)
            some_bias = None if bias is None else bias[part[1]]
            some_mask = None if mask is None else mask[part[0]]
            output[part] = attend(q[part], k[part], v[part], bias=some_bias, mask=some_mask).output
    return joined.reshape(b, t, h * e)


def linear(x: Floats, weight_and_bias: Affine) -> Floats:
    """x W + b over the last axis, for W (in, out) and b (out,), if there is a bias."""
    weight, bias = weight_and_bias
    y = x.reshape(-1, x.shape[-1]) @ weight  # one product; of a stack, numpy would make many small ones
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], -1)


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "gelu": gelu,
    "gelu_new": gelu_by_tanh,
    "gelu_pytorch_tanh": gelu_by_tanh,
    "silu": silu,
    "swish": silu,
    "relu": relu,
}
"""The functions between two linear maps, by their names in configurations."""
