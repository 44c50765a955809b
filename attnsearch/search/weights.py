"""Queries → the weight of every item.

Axis letters: m = queries, n = items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.search.emptied import explain_empty
from attnsearch.search.readout import item_weights
from attnsearch.search.scoring import score_all
from attnsearch.search.search import BUDGET, check_request
from attnsearch.search.setting import DEFAULT, Setting


def weigh_items(index: Index, texts: Sequence[str], setting: Setting = DEFAULT) -> NDArray[np.float64]:
    """The weights (m, n): the softmax of each query over all items, in the order in which they were indexed.

    Raises InputError if a filter hides every item, and as `search` does.
    """
    for text in texts:
        check_request(text)
    store = index.store
    keys = store.living()
    firsts = keys if store.first_keys is None else keys[store.first_keys[keys] == keys]
    weights = np.empty((len(texts), len(firsts)))
    size = max(BUDGET // max(store.size, 1), 1)
    for start in range(0, len(texts), size):
        batch = texts[start : start + size]
        asked = setting.resolve(index, batch)
        scores, z = score_all(index.engine, asked, index.encoder.encode(asked.texts, "query"))
        if not scores.state.visible.all():
            raise InputError(explain_empty(index, setting.where), where=index.info.name)
        log_normalizers = scores.state.log_normalizer()
        for row, logits, log_normalizer in zip(weights[start:], z, log_normalizers, strict=False):
            row[:] = item_weights(logits, float(log_normalizer), store.first_keys)[firsts]
    weights /= weights.sum(axis=1, keepdims=True)  # the normalizer was summed in float32
    return weights
