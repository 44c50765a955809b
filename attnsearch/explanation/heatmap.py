"""Requests × items: the attention of several requests as one matrix, whose rows add up to 100%.

Axis letters: m = requests, the rows; n = items that have a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.explanation.phrases import OTHERS

NONE = "none of these"
MOST_LETTERS = 1 << 26  # of an array of texts: 256 MB

_STEPS = (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75)  # of a scale

By = Literal["weight", "logit", "score"]
BY: tuple[By, ...] = get_args(By)

Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Column(NamedTuple):
    """An item that has a column, and the name of its catalog."""

    id: str
    title: str
    catalog: str

    @property
    def name(self) -> str:
        """The title, or the id of an item that has none."""
        return self.title or self.id


class Heatmap(NamedTuple):
    """The attention of m requests, in the order in which they are drawn, on n items, likewise.

    weights        (m, n), each from 0 to 1: the softmax over all items; 0 for a hidden one
    logits         (m, n), as the softmax saw them; -inf for a hidden item
    scores         (m, n), the cosine of the request and the item's best key; NaN for a hidden item
    others         (m,), the weight of all items without a column: with it, a row adds up to 1
    none_of_these  (m,), the chance that nothing fits, which is not a share of the attention; None without a null key
    right          (m, n), whether the item is known to be right for the request; None if nothing is known
    asked          requests with misspelled words: each as it was typed, and as it was read
    recalled       requests that are like judged ones: each with the share of its attention that each of these has

    The rest is as in `search.result.Result`, and the same for all requests: `items` counts all items of the catalogs,
    `masked` those that are hidden. If they all are, a row is 0 everywhere, and `emptied_by` says what hid the last.
    """

    queries: list[str]
    columns: list[Column]
    weights: Doubles
    logits: Doubles
    scores: Doubles
    others: Doubles
    none_of_these: Doubles | None
    right: NDArray[np.bool_] | None
    catalog: str
    catalogs: list[str]
    model: str
    temperature: float
    items: int
    masked: int
    lexical: float
    trained: bool
    emptied_by: str | None = None
    heads: Sequence[str] = ()
    asked: Mapping[str, str] = {}
    recalled: Mapping[str, Mapping[str, float]] = {}

    def values(self, by: By) -> Doubles:
        """The weights, logits or scores (m, n)."""
        return {"weight": self.weights, "logit": self.logits, "score": self.scores}[by]

    def margins(self, by: By) -> dict[str, Doubles]:
        """The columns (m,) that are not items, by name. Of all others a logit or a score would mean nothing."""
        margins = {OTHERS: self.others} if by == "weight" else {}
        return margins if self.none_of_these is None else {**margins, NONE: self.none_of_these}

    def strengths(self, by: By) -> Doubles:
        """How strong each cell (m, n) is drawn, from -1 to 1; 0 for a hidden item.

        Of a weight, that is its square root: most weights are small. Of a logit or a score, its share of the strongest.
        """
        values = np.where(np.isfinite(self.logits), self.values(by), 0.0)
        return np.sqrt(values) if by == "weight" else values / self._strongest(by)

    def value_of(self, strength: float, by: By) -> float:
        """The value of a cell that is drawn with this strength."""
        return strength**2 if by == "weight" else strength * self._strongest(by)

    def scale(self, by: By) -> dict[float, float]:
        """Some strengths, ascending, and the value of each: the legend of a picture.

        The scale of weights ends at 1, that of others at the lowest and the highest value.
        """
        strengths = self.strengths(by)
        low, high = float(strengths.min(initial=0.0)), float(strengths.max(initial=0.0))
        if by == "weight":
            low, high = 0.0, 1.0
        steps = {step for step in _STEPS if low <= step <= high} | {end for end in (low, high) if end}
        return {step: self.value_of(step, by) for step in sorted(steps)}

    def _strongest(self, by: By) -> float:
        """The largest logit or score, whatever its sign; 1 if there is none but 0."""
        finite = np.where(np.isfinite(self.logits), self.values(by), 0.0)
        return float(np.abs(finite).max(initial=0.0)) or 1.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers and texts by name, for a file of NumPy; without what is None.

        Raises InputError for texts that are too long: an array has room for the longest in each place.
        """
        lists: dict[str, list[str]] = {
            "queries": self.queries,
            "ids": [column.id for column in self.columns],
            "titles": [column.title for column in self.columns],
            "catalogs": [column.catalog for column in self.columns],
        }
        for name, texts in lists.items():
            if len(texts) * max(map(len, texts), default=0) > MOST_LETTERS:
                raise InputError(f"the {name} are too long for an array", hint="write JSON: -f json")
        numbers = {
            "weights": self.weights,
            "logits": self.logits,
            "scores": self.scores,
            "others": self.others,
            "none_of_these": self.none_of_these,
            "right": self.right,
        }
        arrays: dict[str, NDArray[Any]] = {name: np.array(texts, str) for name, texts in lists.items()}
        return arrays | {name: array for name, array in numbers.items() if array is not None}

    def narrow(self, count: int) -> Self:
        """The heatmap with at most so many columns; the weights of those that go are added to `others`.

        Each request keeps its best item before any keeps a second one, and so on. Of equal ranks, the items with the
        highest weight stay.
        """
        if count >= len(self.columns):
            return self
        ranks = np.argsort(np.argsort(-self.logits, axis=1, kind="stable"), axis=1)
        order = np.lexsort((-self.weights.max(axis=0, initial=0.0), ranks.min(axis=0, initial=len(self.columns))))
        columns = np.sort(order[:count])
        others = self.others + np.delete(self.weights, columns, axis=1).sum(axis=1)
        return self.arrange(np.arange(len(self.queries)), columns)._replace(others=others)

    def arrange(self, rows: Numbers, columns: Numbers) -> Self:
        """The heatmap with these rows and columns, in this order."""
        cells = np.ix_(rows, columns)
        return self._replace(
            queries=[self.queries[row] for row in rows],
            columns=[self.columns[column] for column in columns],
            weights=self.weights[cells],
            logits=self.logits[cells],
            scores=self.scores[cells],
            others=self.others[rows],
            none_of_these=None if self.none_of_these is None else self.none_of_these[rows],
            right=None if self.right is None else self.right[cells],
        )
