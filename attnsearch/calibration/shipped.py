"""The catalogs that we ship, with their judgments → what an encoder makes of them.

Axis letters: m = requests, those of all catalogs, i = items of one catalog, d = width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import CatalogError
from attnsearch.sources.items import Item, read_items
from attnsearch.sources.judgments import Judged, read_judgments
from attnsearch.storage.home import BUILT_IN, built_in_file

JUDGMENTS = ".judgments.yaml"  # in place of .yaml

Progress = Callable[[int, int | None], None]
"""Called with how many texts are embedded, and of how many."""


class JudgedCatalog(NamedTuple):
    """A catalog's items, and requests whose right items are known."""

    name: str
    items: Sequence[Item]
    requests: Sequence[Judged]


class Cosines(NamedTuple):
    """The cosines (m, i) of all catalogs' requests with the items of one of them; of an item, its best passage's.

    `right` (m,) has the numbers of the items that are right for each request, and `is_own` (m,) says which requests
    were judged for this catalog. For all others nothing is right here.
    """

    name: str
    cosines: NDArray[np.float64]
    right: Sequence[NDArray[np.int64]]
    is_own: NDArray[np.bool_]

    @property
    def has_answer(self) -> NDArray[np.bool_]:
        """Which requests have a right item here (m,)."""
        return np.array([len(numbers) > 0 for numbers in self.right], bool)


def read_shipped() -> list[JudgedCatalog]:
    """The shipped catalogs. Raises CatalogError if a file is missing, InputError as reading does."""
    catalogs = []
    for name in BUILT_IN:
        file = built_in_file(name)
        judgments = file and file.with_name(f"{name}{JUDGMENTS}")
        if not (file and judgments and judgments.is_file()):
            raise CatalogError("a file of the installation is missing", where=f"{name}{JUDGMENTS}", hint="reinstall it")
        requests = [request for request in read_judgments(str(judgments)) if request.has_answer is not None]
        catalogs.append(JudgedCatalog(name, [*read_items([str(file)]).items], requests))
    return catalogs


def compare(catalogs: Sequence[JudgedCatalog], encoder: Encoder, progress: Progress | None = None) -> list[Cosines]:
    """What an encoder makes of judged catalogs: each is asked the requests of all. Raises ModelError."""
    texts = list(dict.fromkeys(request.query for catalog in catalogs for request in catalog.requests))
    split = [[split_passages(encoder, item.title, item.text) for item in catalog.items] for catalog in catalogs]
    passages = [passage.text for items in split for parts in items for passage in parts]
    done, total = 0, len(texts) + len(passages)

    def count(rows: Sequence[int], _: object) -> None:
        nonlocal done
        done += len(rows)
        if progress:
            progress(done, total)

    keys = encoder.encode(passages, "key", count)
    x = encoder.encode(texts, "query", count)
    ends = np.cumsum([sum(len(parts) for parts in items) for items in split])
    of_catalogs = np.split(keys, ends[:-1])
    return [
        _compare_catalog(catalog, texts, x, own_keys, [len(parts) for parts in items])
        for catalog, items, own_keys in zip(catalogs, split, of_catalogs, strict=True)
    ]


def _compare_catalog(
    catalog: JudgedCatalog,
    texts: Sequence[str],
    x: NDArray[np.float32],
    keys: NDArray[np.float32],
    passages: Sequence[int],
) -> Cosines:
    """The cosines of the requests x (m, d) with a catalog's items, each of which has so many `passages` of the keys."""
    starts = np.cumsum([0, *passages[:-1]])
    cosines = np.maximum.reduceat((x @ keys.T).astype(np.float64), starts, axis=1)
    number_of = {item.id: number for number, item in enumerate(catalog.items)}
    own = {request.query: request.relevant for request in catalog.requests}
    right = [np.array([number_of[ident] for ident in own.get(text, ())], np.int64) for text in texts]
    return Cosines(catalog.name, cosines, right, np.array([text in own for text in texts], bool))
