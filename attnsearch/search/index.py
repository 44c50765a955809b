"""A name or a file → a catalog open for questions: one snapshot of its keys, and the encoder that made them."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.model import Model
from attnsearch.engines.engine import Engine
from attnsearch.engines.local import LocalEngine
from attnsearch.errors import CatalogError, InputError
from attnsearch.sources.values import check_text
from attnsearch.storage import home
from attnsearch.storage.database import Info
from attnsearch.storage.failures import MissingError
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.indexing.update import Progress
    from attnsearch.postings.cache import Postings
    from attnsearch.storage.learned import Learned

_NEAR = 5_000  # items among which the one that was meant by a mistyped name is looked for

log = logging.getLogger("attnsearch")


class Index:
    """A catalog open for questions: one snapshot of its keys, and the encoder that made them.

    >>> with Index.open("library") as index:  # doctest: +SKIP
    ...     print(index.info.items)
    """

    def __init__(self, store: Store, encoder: Encoder) -> None:
        self.store = store
        self.encoder = encoder

    @classmethod
    def open(cls, ref: str | None = None, *, offline: bool = False, progress: Progress | None = None) -> Self:
        """The catalog `ref`: a name, or a file, which is indexed first if it is new or changed.

        Without `ref`: $ATTNSEARCH_CATALOG, else the only catalog that somebody indexed, else the built-in
        library. Raises InputError (no such file), CatalogError (no such catalog, or made with other weights
        than the model now has, or damaged), ModelError.
        """
        folder, file = home.find_catalog(ref or home.default_catalog())

        def refresh() -> None:
            from attnsearch.indexing.update import update  # and with it what only writing needs

            name = folder.name if file == home.built_in_file(folder.name) else None
            update([str(file)], name=name, on_the_fly=name is None, offline=offline, progress=progress)

        if file and not _holds(folder, file):
            refresh()
        opened = home.open_migrated(folder, Store)
        try:
            reader = loading.load(opened.info.model, offline=offline, quick=opened.info.quick)
            if reader.model.stamp != opened.info.stamp and reader.model.sha256 != opened.info.sha256:
                if not file:
                    raise _stale(opened.info, reader.model)
                opened.close()
                refresh()
                opened = Store(folder)
        except BaseException:
            opened.close()
            raise
        if not reader.quick:
            log.warning("the model %s needs sentence-transformers, which takes seconds to load", reader.model.name)
        return cls(opened, reader)

    @property
    def info(self) -> Info:
        """What the catalog says about itself."""
        return self.store.info

    @cached_property
    def engine(self) -> Engine:
        """What attends over its keys."""
        return LocalEngine(self.store)

    @cached_property
    def postings(self) -> Postings:
        """Which of its items have a value of a field, or a term."""
        from attnsearch.postings.cache import Postings  # which most queries have no need of

        return Postings(self.store)

    @cached_property
    def learned(self) -> Learned | None:
        """What its librarian has learned, where that is for its encoder; CatalogError where it is damaged."""
        from attnsearch.storage import learned

        found = learned.load_learned(self.store.folder)
        if found is None or found.suits(self.info.sha256, self.info.d):
            return found
        log.warning("%s: what was learned is for other weights of the encoder and is not used;"
                    " train again, or 'attnsearch reset %s'", self.info.name, self.store.folder.name)  # fmt: skip
        return None

    def close(self) -> None:
        """End the snapshot."""
        if "postings" in vars(self):
            self.postings.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _holds(folder: Path, file: Path) -> bool:
    """Whether the folder's catalog was made from the file as it is now."""
    try:
        return home.read_catalog_info(folder).sources == (home.fingerprint_source(str(file)),)
    except MissingError:
        return False


def _stale(info: Info, model: Model) -> CatalogError:
    return CatalogError(
        f"was indexed with other weights of {info.model} ({info.sha256[:12]}… then, {model.sha256[:12]}… now)",
        where=info.name,
        hint=f"embed it anew: attnsearch index {' '.join(source.path for source in info.sources)}",
    )


def item_id(index: Index, name: str) -> str:
    """The id of the item with this id, else of the only one with this title.

    Raises InputError for a name that no item, or more than one, has; it names the nearest.
    """
    check_text(name, "the item's name")
    if index.store.keys_of([name]):
        return name
    exact, loose, near = [], [], dict[str, str]()
    for _, item in index.store.items():  # noqa: PERF102 (it is not a dict)
        if item.title == name:
            exact.append(item.id)
        for word in (item.title, item.id):
            if word.casefold() == name.casefold():
                loose.append(item.id)
            if word and len(near) < _NEAR:
                near.setdefault(word.casefold(), word)
    idents = list(dict.fromkeys(exact or loose))
    if len(idents) == 1:
        return idents[0]
    if idents:
        hint = f"name one by its id: {', '.join(idents[:5])}{', …' if len(idents) > 5 else ''}"
        raise InputError(f"{len(idents)} items are called '{name}'", where=index.info.name, hint=hint)
    import difflib  # which a query does without

    likely = [f"'{near[word]}'" for word in difflib.get_close_matches(name.casefold(), near)]
    hint = f"did you mean {' or '.join(likely)}?" if likely else "name an item by its id or its title"
    raise InputError(f"no item '{name}'", where=index.info.name, hint=hint)
