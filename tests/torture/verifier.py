"""A home → the generation of its catalog, as a new process reads it. Anything but exactly one is a Violation."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.result import Hit
from attnsearch.storage import home
from tests.asking import query
from tests.torture import generations

NAME = "torture"
CLOSE = 1e-5  # between a weight of float32 logits and of float64 ones: 3.8e-7 with the oldest kernel


class Violation(AssertionError):  # noqa: N818 (an error in what is tested, not in the test)
    """A promise that was broken."""


@contextlib.contextmanager
def using_home(home: Path) -> Iterator[None]:
    """Let this process use a home, and the small encoder."""
    outer, load = os.environ.get("ATTNSEARCH_HOME"), loading.load
    os.environ["ATTNSEARCH_HOME"] = str(home)
    loading.load = generations.load_encoder
    try:
        yield
    finally:
        loading.load = load
        if outer is None:
            del os.environ["ATTNSEARCH_HOME"]
        else:
            os.environ["ATTNSEARCH_HOME"] = outer


def ask_generation(index: Index, text: str) -> int:
    """Query an index for all items; the generation whose answer this is."""
    return find_generation(query(index, text, k=10_000, untrained=True, temperature=generations.TEMPERATURE).hits, text)


def find_generation(hits: Sequence[Hit], text: str) -> int:
    """The generation whose answer to a query for all items these hits are, item by item and weight by weight."""
    generation = [hit.fields.get("generation") for hit in hits if hit.id == "now"]
    if len(generation) != 1 or not isinstance(generation[0], int):
        raise Violation(f"{len(generation)} items name a generation")
    (g,) = generation
    items, weights = generations.items(g), generations.weights(g, text)
    if sorted(hit.id for hit in hits) != sorted(items):
        ids = {hit.id for hit in hits}
        lost, alien = sorted(set(items) - ids), sorted(ids - set(items))
        raise Violation(f"generation {g}: {len(hits)} hits; lost {lost}, of another generation {alien}")
    for hit in hits:
        item = items[hit.id]
        fields = {name: value for name, value in item.items() if name not in ("id", "title", "description")}
        if (hit.title, hit.description, dict(hit.fields)) != (item["title"], item["description"], fields):
            raise Violation(f"generation {g}: the item {hit.id} differs from its source")
        if not abs(hit.weight - weights[hit.id]) <= CLOSE:
            raise Violation(f"generation {g}, {text!r}: {hit.id} weighs {hit.weight}, not {weights[hit.id]}")
    ranked = [weights[hit.id] for hit in hits]
    if any(later > earlier + CLOSE for earlier, later in itertools.pairwise(ranked)):
        raise Violation(f"generation {g}, {text!r}: not in order")
    return g


def read_generation(name: str = NAME) -> int:
    """The generation that a new reader sees; -1 if there is no catalog."""
    try:
        with Index.open(name) as index:
            seen = {ask_generation(index, text) for text in generations.QUERIES}
            if index.info.items != len(generations.items(max(seen))):
                raise Violation(f"the catalog claims {index.info.items} items")
    except CatalogError as error:
        if error.message.startswith("there is no catalog"):
            return -1
        raise Violation(f"a reader is refused: {error}") from error
    if len(seen) > 1:
        raise Violation(f"one snapshot gives answers of the generations {sorted(seen)}")
    return seen.pop()


def check_catalog(name: str = NAME) -> None:
    """Run `attnsearch check` without the command line, which takes longer than the check."""
    problems = check.find_problems(home.catalog_folder(name))
    if problems:
        raise Violation(f"check: {'; '.join(problems)}")


def verify(home: Path, source: Path, least: int, most: int, name: str = NAME) -> int:
    """Check that the catalog is whole, at a generation from `least` to `most` (-1: no catalog), and can be updated.

    Returns the generation that it was found at; the update leaves it at the next.
    """
    with using_home(home):
        generation = read_generation(name)
        if not least <= generation <= most:
            raise Violation(f"generation {generation}, but {least} was acknowledged and {most} begun")
        if generation >= 0:
            check_catalog(name)
        generations.write(source, generation + 1)
        try:
            update([str(source)], name=name)
        except AttnsearchError as error:
            raise Violation(f"after generation {generation}, an update is refused: {error}") from error
        updated = read_generation(name)
        if updated != generation + 1:
            raise Violation(f"after generation {generation}, an update gives {updated}")
        check_catalog(name)
    return generation
