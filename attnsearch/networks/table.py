"""A static model's folder → its table: a row for each word piece, of which a text's vector is the mean.

Axis letters: p = word pieces of the vocabulary    r = rows    t = word pieces of a text    d = width

Three forms, all of safetensors: that of sentence-transformers' StaticEmbedding, with one tensor; that of model2vec
(https://github.com/MinishLab/model2vec), in which several pieces may share a row, and each has a weight; and the table
in the package wordllama, with one tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.models import trust
from attnsearch.models.model import ENDLESS, TABLE, TABLE_TOKENIZER, TABLE_WEIGHTS, Model
from attnsearch.networks.weights import read_weights, widen

Floats = NDArray[np.float32]

_USUAL_LIMIT = 512  # word pieces, where model2vec's configuration does not say


class Layout(NamedTuple):
    """Where a static model keeps its table, its tokenizer and its configuration, in its folder."""

    weights: str
    tokenizer: str
    config: str = ""


WORDLLAMA = Layout(TABLE_WEIGHTS, TABLE_TOKENIZER)


def find_layout(model: Model) -> Layout | None:
    """Where a static model keeps its files; None if the model is not static, or does more than look up and scale."""
    if model.name == TABLE:
        return WORDLLAMA
    try:
        return _read_layout(model.folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # sentence-transformers may cope, or says what is wrong


def _read_layout(folder: Path) -> Layout | None:
    place = ""
    used = folder / "config_sentence_transformers.json"
    if used.exists() and trust.read_config(used).get("truncate_dim"):
        return None
    if (folder / "modules.json").exists():
        modules = trust.read_config(folder / "modules.json")
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        if kinds not in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]) or any(trust.module_problems(modules)):
            return None
        place = modules[0]["path"].strip("./")
    elif trust.read_config(folder / "config.json").get("model_type") != "model2vec":
        return None
    layout = Layout(*(f"{place}/{name}".lstrip("/") for name in ("model.safetensors", "tokenizer.json", "config.json")))
    return layout if all((folder / name).is_file() for name in layout[:2]) else None


class Table(NamedTuple):
    """The table of a static model.

    `rows` (r, d) are as they lie in the mapped file: only what a text needs of them is read. A piece's row is that of
    its own number, or `places` (p,) has the row's. It is multiplied by the piece's weight (p,), if it has any. The
    model reads `limit` pieces of a text; None if its tokenizer says how many. It leaves out unknown ones if
    `drops_unknown`.
    """

    rows: NDArray[Any]
    places: NDArray[np.integer[Any]] | None = None
    weights: Floats | None = None
    limit: int | None = None
    drops_unknown: bool = False

    @classmethod
    def load(cls, folder: Path, layout: Layout) -> Self:
        """The table in a model's folder. Raises ModelError for a file that is broken, or contradicts itself."""
        file = folder / layout.weights
        tensors = read_weights(file)
        if "embeddings" not in tensors:  # of model2vec
            rows = tensors.get("embedding.weight")
            if rows is None:
                raise ModelError("has no tensor embedding.weight, nor embeddings", where=str(file))
            return cls(_checked_rows(rows, str(file)))
        rows, places, weights = (tensors.get(name) for name in ("embeddings", "mapping", "weights"))
        rows = _checked_rows(rows, str(file))
        if places is not None:
            _check_places(places, len(rows), str(file))
        if weights is not None:
            if weights.dtype.kind != "f" or weights.shape != (len(rows) if places is None else len(places),):
                raise ModelError("the tensor weights does not have a weight for each word piece", where=str(file))
            weights = widen(weights)
        return cls(rows, places, weights, _read_limit(folder / layout.config), drops_unknown=True)

    @property
    def width(self) -> int:
        """d."""
        return int(self.rows.shape[1])

    @property
    def vocabulary(self) -> int:
        """p."""
        return len(self.rows if self.places is None else self.places)

    def take(self, numbers: NDArray[np.int64] | list[int]) -> Floats:
        """The rows (t, d) of the pieces with these numbers (t,), which must be below `vocabulary`."""
        rows = widen(self.rows[numbers if self.places is None else self.places[numbers]])
        return rows if self.weights is None else rows * self.weights[numbers, None]


def _checked_rows(rows: NDArray[Any] | None, where: str) -> NDArray[Any]:
    """The rows, if they are a table of numbers that has some."""
    if rows is None or rows.ndim != 2 or not rows.size or rows.dtype in (np.int32, np.int64):
        raise ModelError("is not a table with a row for each word piece", where=where)
    return rows


def _check_places(places: NDArray[Any], r: int, where: str) -> None:
    """ModelError unless each word piece is mapped to one of the r rows."""
    if places.ndim != 1 or places.dtype not in (np.int32, np.int64) or not places.size:
        raise ModelError("the tensor mapping does not have a number for each word piece", where=where)
    if places.min() < 0 or places.max() >= r:
        raise ModelError(f"the tensor mapping points past the {r:,} rows", where=where)


def _read_limit(file: Path) -> int:
    """How many word pieces of a text a model reads, by model2vec's configuration."""
    try:
        limit = trust.read_config(file).get("max_length", _USUAL_LIMIT) if file.is_file() else _USUAL_LIMIT
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"can't be read: {error}", where=str(file)) from None
    if limit is None:
        return ENDLESS
    if type(limit) is not int or limit < 1:
        raise ModelError(f"max_length is {str(limit)[:40]}", where=str(file))
    return limit
