"""A name or a file → a catalog open for queries: one snapshot of its keys, and the encoder that made them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder, check_uses, describe_change
from attnsearch.encoding.sbert import is_installed
from attnsearch.engines.engine import Engine
from attnsearch.engines.local import LocalEngine
from attnsearch.errors import CatalogError, InputError
from attnsearch.opening.freshening import bring_up_to_date, index_file
from attnsearch.storage import home
from attnsearch.storage.database import Info
from attnsearch.storage.failures import missing
from attnsearch.storage.files import is_address
from attnsearch.storage.segment import Mapped, all_heads, find_fit_file
from attnsearch.storage.store import Store
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.upkeep.default import default_catalog
from attnsearch.upkeep.freshness import warn_if_changed

if TYPE_CHECKING:
    from attnsearch.calibration.fit_file import Fit
    from attnsearch.indexing.embedding import Progress
    from attnsearch.postgres.store import PostgresStore
    from attnsearch.postings.cache import Postings
    from attnsearch.postings.vocabulary import Vocabulary
    from attnsearch.storage.learned import Learned, Remembered
    from attnsearch.teaching.notebook import Notebook

Share = Callable[[Encoder], Encoder]

log = logging.getLogger("attnsearch")


class Index:
    """A catalog open for queries: one snapshot of its keys, the encoder that made them, the engine that attends.

    The engine is the local one by default. Threads may share an index; a closed one raises ClosedError.

    >>> with Index.open("library") as index:  # doctest: +SKIP
    ...     print(index.info.items)
    """

    def __init__(self, store: Store, encoder: Encoder, engine: Engine | None = None) -> None:
        check_uses(encoder, all_heads(store.info), store.info.name)
        self.store = store
        self.encoder = encoder
        self.engine: Engine = engine or LocalEngine(store)
        self._postings: Postings | None = None
        self._vocabulary: Vocabulary | None = None
        self._database: PostgresStore | None = None
        self._load_learned: Callable[[], Learned | None] | None = None  # from elsewhere than a folder
        self._opening = threading.Lock()

    @classmethod
    def open(
        cls,
        ref: str | None = None,
        *,
        reading: Reading = AS_FOUND,
        offline: bool = False,
        vectors: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """The catalog `ref`: a name, or a file, which is indexed first if it is new or changed, or is to be read anew.

        Without `ref`: the default, see `default_catalog`.
        `-` is standard input: its catalog is deleted as soon as it is open. `reading` is for a file, or `-`. `vectors`
        says whether all vectors are verified now; see `Store`.

        Raises InputError (no such file), CatalogError (no such catalog, damaged, or made when the model had
        other files than now), ModelError.
        """
        if ref == "-":
            folder = home.pipe_folder()
            try:
                index_file(folder, Path(ref), reading, offline=offline, progress=progress)
                return cls._open(folder, None, offline=offline, progress=progress)
            finally:
                home.forget_pipe(folder)
        ref = ref or default_catalog()
        if is_address(ref):
            return cls._open_database(ref, reading, offline=offline)
        folder, file = home.find_catalog(ref)
        if reading != AS_FOUND and file in (None, home.built_in_file(folder.name)):
            raise InputError("is a catalog, which was read already", where=folder.name, hint="--from is for a file")
        if file:
            bring_up_to_date(folder, file, reading, offline=offline, progress=progress)
        index = cls._open(folder, file, offline=offline, vectors=vectors, progress=progress)
        if not file:
            warn_if_changed(folder, index.info, ref)
        return index

    @classmethod
    def open_named(
        cls,
        name: str,
        *,
        offline: bool = False,
        vectors: bool = True,
        mapped: Mapped | None = None,
        share: Share | None = None,
    ) -> Self:
        """The catalog of this name, never that of a file; a built-in one is indexed first if need be.

        `mapped` are segments of an earlier state of it. `share` returns the encoder to be used: the one that it gets,
        or one like it that is loaded. `vectors` is as for `open`, and it raises as that does.
        """
        location = home.find_named(name)
        if location is None:
            raise missing(home.catalog_folder(name))
        folder, file = location
        if file:
            bring_up_to_date(folder, file, AS_FOUND, offline=offline, progress=None)
        return cls._open(folder, file, offline=offline, vectors=vectors, progress=None, mapped=mapped, share=share)

    @classmethod
    def _open(
        cls, folder: Path, file: Path | None, *, offline: bool, vectors: bool = True, progress: Progress | None,
        mapped: Mapped | None = None, share: Share | None = None,
    ) -> Self:  # fmt: skip
        store = home.open_migrated(folder, partial(Store, vectors=vectors, mapped=mapped))
        try:
            heads = all_heads(store.info)
            encoder = loading.load_heads(heads, offline=offline, quick=store.info.quick)
            if share:
                encoder = share(encoder)
            if change := describe_change(encoder, heads):
                if not file:
                    raise _stale(folder, store.info, change)
                store.close()
                index_file(folder, file, AS_FOUND, offline=offline, progress=progress)
                # The prompts may be others.
                return cls._open(
                    folder, None, offline=offline, vectors=vectors, progress=progress, mapped=mapped, share=share
                )
        except BaseException:
            store.close()
            raise
        if not encoder.quick and is_installed():
            log.warning("the model %s needs sentence-transformers, which takes seconds to load", encoder.model.name)
        return cls(store, encoder)

    @classmethod
    def _open_database(cls, address: str, reading: Reading, *, offline: bool) -> Self:
        """The catalog in a database, whose server compares the keys."""
        from attnsearch.postgres.engine import PostgresEngine
        from attnsearch.postgres.store import open_store

        store = open_store(address, reading)
        try:
            heads = all_heads(store.info)
            encoder = loading.load_heads(heads, offline=offline, quick=store.info.quick)
            if change := describe_change(encoder, heads):
                raise CatalogError(change, where=store.address.shown, hint="index it again")
            index = cls(store, encoder, PostgresEngine(store))
            index._database, index._load_learned = store, store.load_learned
        except BaseException:
            store.close()
            raise
        return index

    @property
    def info(self) -> Info:
        """The catalog's own record: its name, model, width and counts."""
        return self.store.info

    @property
    def stores(self) -> Sequence[Store]:
        """The stores of the catalogs that it has open: one."""
        return [self.store]

    def info_of(self, key: int) -> Info:  # noqa: ARG002 (of several catalogs, the key decides)
        """The record of the catalog with the key of this number."""
        return self.info

    @property
    def lexical(self) -> float:
        """The λ of a query that names none, unless one was learned."""
        return self.info.lexical

    @property
    def language(self) -> str:
        """The language of the terms."""
        return self.info.language

    @cached_property
    def fit(self) -> Fit | None:
        """What was fitted to its encoder, or to its first head, on the catalogs that we ship; None if nothing was."""
        file = find_fit_file(self.info)
        if file is None:
            return None
        from attnsearch.calibration.fit_file import load_fit  # which the default model does without

        return load_fit(file, self.info.model, self.info.use)

    @property
    def postings(self) -> Postings:
        """Which of its items have a value of a field, or a term."""
        with self._opening:
            if self._postings is None:
                self._postings = self._open_postings()
            return self._postings

    def _open_postings(self) -> Postings:
        if self._database:
            from attnsearch.postgres.postings import PostgresPostings

            return PostgresPostings(self._database)
        from attnsearch.postings.cache import Postings  # which most queries do not need

        return Postings(self.store)

    def find_vocabulary(self) -> Vocabulary | None:
        """The words of its items; None if they are not counted yet, and a query should not wait until they are."""
        with self._opening:
            self.store.check_open()
            if self._vocabulary is None:
                self._vocabulary = self._find_vocabulary()
            return self._vocabulary

    def _find_vocabulary(self) -> Vocabulary | None:
        from attnsearch.postings.vocabulary import find_vocabulary  # which most queries do not need

        return None if self._database else find_vocabulary(self.store)

    @cached_property
    def learned(self) -> Learned | None:
        """What was learned for this catalog; None if nothing was, or for another encoder.

        Raises CatalogError if its file is damaged.
        """
        from attnsearch.storage.files import quoted
        from attnsearch.storage.learned import load_learned

        learned = self._load_learned() if self._load_learned else load_learned(self.store.folder)
        if learned is None or learned.suits(self.info):
            return learned
        ref = self._database.address.shown if self._database else self.store.folder.name
        again = "train again" if learned.trained or learned.requests else "the next feedback remembers it anew"
        log.warning("%s: what was learned is for other weights, another tokenizer, prompt or head and is not used;"
                    " %s, or 'attnsearch reset %s'",
                    self.info.name, again, quoted(ref))  # fmt: skip
        return None

    def read_learned_again(self, notebook: Notebook) -> None:
        """Use from now on what the catalog has learned by now, whose notebook this is."""
        self._load_learned = notebook.load_learned
        self.__dict__.pop("learned", None)

    def memories(self, learned: Learned | None = None) -> Sequence[Remembered | None]:
        """The judged requests that each of its catalogs remembers, or else those that were `learned`; None without any.

        Raises as `learned` does.
        """
        learned = learned or self.learned
        return [learned.memory if learned else None]

    def open_same(self, other: Index) -> None:
        """Open what an index of another state of the catalog has open, so that no query has to."""
        if other._vocabulary:
            self.find_vocabulary()
        if other._postings:
            self.postings.open_same(other._postings)

    def limit_answers(self, seconds: float) -> None:
        """Let a server that has the catalog take no longer for an answer, see `PostgresStore.limit`."""
        if self._database:
            self._database.limit(seconds)

    def close(self) -> None:
        """End the snapshot."""
        self.store.close()  # first: then no thread opens postings again
        for opened in (self._postings, self._vocabulary):
            if opened:
                opened.close()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stale(folder: Path, info: Info, change: str) -> CatalogError:
    hint = f"index it again: {home.command_to_index(folder, info)}"
    return CatalogError(change, where=home.displayed_name(folder, info), hint=hint)
