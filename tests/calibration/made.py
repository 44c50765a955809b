"""Judged catalogs of an encoder that does not exist: cosines of which one knows what they mean."""

from __future__ import annotations

import numpy as np

from attnsearch.calibration.shipped import Cosines


def catalogs(
    beta: float = 20.0, *, m: int = 60, n: int = 40, gap: float = 0.15, seed: int = 0, shift: float = 0.0
) -> list[Cosines]:
    """Three catalogs of n items, each asked m requests of its own and those of the others.

    An own request's right item is drawn with the weights softmax(β · cosine). Its cosines are higher by `gap` than
    those of a request that nothing answers. The last tenth of a catalog's own requests have no answer.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(3):
        is_own = np.repeat(np.arange(3), m) == number
        answered = is_own & (np.arange(3 * m) % m < 0.9 * m)
        cosines = rng.normal(0.1, 0.08, (3 * m, n)) + gap * answered[:, None]
        z = beta * cosines
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        right = [
            np.array([rng.choice(n, p=row)] if has else [], np.int64) for row, has in zip(p, answered, strict=True)
        ]
        made.append(Cosines(f"catalog {number}", cosines + shift, right, is_own))
    return made


def squeeze(some: list[Cosines], more: float) -> list[Cosines]:
    """The same catalogs as an encoder sees them that adds a constant number √more to each vector before its length."""
    return [catalog._replace(cosines=(catalog.cosines + more) / (1 + more)) for catalog in some]
