"""A home → which generation its catalog is, read as a new process would. What is not exactly one is a Violation."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import query
from attnsearch.storage import home
from tests.conftest import SmallEncoder
from tests.torture import generations

NAME = "torture"
CLOSE = 1e-5  # between a weight of float32 logits and of float64 ones: 3.8e-7 with the oldest kernel


class Violation(AssertionError):  # noqa: N818 (an error in what is tested, not in the test)
    """A promise that was broken."""


@contextlib.contextmanager
def at(home: Path) -> Iterator[None]:
    """Let this process use that home, and the small encoder."""
    before, load = os.environ.get("ATTNSEARCH_HOME"), loading.load
    os.environ["ATTNSEARCH_HOME"] = str(home)
    loading.load = lambda name=None, **how: SmallEncoder()
    try:
        yield
    finally:
        loading.load = load
        if before is None:
            del os.environ["ATTNSEARCH_HOME"]
        else:
            os.environ["ATTNSEARCH_HOME"] = before


def answer(index: Index, text: str) -> int:
    """Ask for all items; the generation whose answer it is."""
    hits = query(index, text, k=10_000).hits
    now = [hit.fields.get("generation") for hit in hits if hit.id == "now"]
    if len(now) != 1 or not isinstance(now[0], int):
        raise Violation(f"{len(now)} items say which generation it is")
    (g,) = now
    items, weights = generations.items(g), generations.weights(g, text)
    if sorted(hit.id for hit in hits) != sorted(items):
        lost, alien = set(items) - {hit.id for hit in hits}, {hit.id for hit in hits} - set(items)
        raise Violation(f"generation {g}: {len(hits)} hits; lost {sorted(lost)}, not of it {sorted(alien)}")
    for hit in hits:
        item = items[hit.id]
        rest = {name: value for name, value in item.items() if name not in ("id", "title", "description")}
        if (hit.title, hit.description, dict(hit.fields)) != (item["title"], item["description"], rest):
            raise Violation(f"generation {g}: the item {hit.id} is not what was given")
        if not abs(hit.weight - weights[hit.id]) <= CLOSE:
            raise Violation(f"generation {g}, {text!r}: {hit.id} weighs {hit.weight}, not {weights[hit.id]}")
    ranked = [weights[hit.id] for hit in hits]
    if any(later > earlier + CLOSE for earlier, later in itertools.pairwise(ranked)):
        raise Violation(f"generation {g}, {text!r}: not in order")
    return g


def read(name: str = NAME) -> int:
    """The generation that a fresh reader sees; -1 where there is no catalog."""
    try:
        with Index.open(name) as index:
            seen = {answer(index, text) for text in generations.QUERIES}
            if index.info.items != len(generations.items(max(seen))):
                raise Violation(f"the catalog says it has {index.info.items} items")
    except CatalogError as error:
        if error.message.startswith("there is no catalog"):
            return -1
        raise Violation(f"a reader is told: {error}") from error
    if len(seen) > 1:
        raise Violation(f"one snapshot gives answers of the generations {sorted(seen)}")
    return seen.pop()


def checked(name: str = NAME) -> None:
    """What `attnsearch check` does, without the command line, which takes longer than the check."""
    problems = check.find_problems(home.catalog_folder(name))
    if problems:
        raise Violation(f"check: {'; '.join(problems)}")


def verify(home: Path, source: Path, least: int, most: int, name: str = NAME) -> int:
    """The catalog is of a generation from `least` to `most` (-1: none), is whole, and can go on: the one it goes to."""
    with at(home):
        found = read(name)
        if not least <= found <= most:
            raise Violation(f"generation {found}, where {least} was acknowledged and {most} begun")
        if found >= 0:
            checked(name)
        generations.write(source, found + 1)
        try:
            update([str(source)], name=name)
        except AttnsearchError as error:
            raise Violation(f"after it, an update is refused: {error}") from error
        after = read(name)
        if after != found + 1:
            raise Violation(f"after it, an update to generation {found + 1} gives {after}")
        checked(name)
    return after
