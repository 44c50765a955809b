"""A catalog's file + the encoder + the store → an index that is up to date: only what changed is embedded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from attnsearch import catalog, encoder, shelf, store
from attnsearch.catalog import Fields, Item
from attnsearch.encoder import Encoder
from attnsearch.errors import CatalogError, InputError
from attnsearch.model import Model
from attnsearch.projections import TEMPERATURE
from attnsearch.store import Info, Source, Store

if TYPE_CHECKING:
    from attnsearch.writer import Writer

CHUNK = 4_096  # texts embedded at once, between two looks at the source

Progress = Callable[[int, int | None], None]
"""Told how many texts are embedded, and of how many, if that is known."""

log = logging.getLogger("attnsearch")


class Report(NamedTuple):
    """What `update` did, in items; `embedded` of them went through the encoder."""

    info: Info
    added: int
    changed: int
    removed: int
    embedded: int
    seconds: float


class Index(NamedTuple):
    """A catalog open for questions: one snapshot of its keys, and the encoder that made them.

    >>> with Index.open("library") as index:  # doctest: +SKIP
    ...     print(index.info.items)
    """

    store: Store
    encoder: Encoder

    @classmethod
    def open(cls, ref: str | None = None, *, offline: bool = False, progress: Progress | None = None) -> Self:
        """The catalog `ref`: a name, or a file, which is indexed first if it is new or changed.

        Without `ref`: $ATTNSEARCH_CATALOG, else the only catalog that somebody indexed, else the built-in
        library. Raises InputError (no such file), CatalogError (no such catalog, or made with other weights
        than the model now has, or damaged), ModelError.
        """
        folder, file = shelf.find(ref or shelf.default())

        def refresh() -> None:
            name = folder.name if file == catalog.built_in(folder.name) else None
            update([str(file)], name=name, on_the_fly=name is None, offline=offline, progress=progress)

        if file and not _holds(folder, file):
            refresh()
        opened = Store(folder)
        try:
            reader = encoder.load(opened.info.model, offline=offline)
            if reader.model.stamp != opened.info.stamp and reader.model.sha256 != opened.info.sha256:
                if not file:
                    raise _stale(opened.info, reader.model)
                opened.close()
                refresh()
                opened = Store(folder)
        except BaseException:
            opened.close()
            raise
        return cls(opened, reader)

    @property
    def info(self) -> Info:
        """What the catalog says about itself."""
        return self.store.info

    def close(self) -> None:
        """End the snapshot."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def update(
    sources: Sequence[str],
    *,
    name: str | None = None,
    model: str | None = None,
    fields: Fields | None = None,
    form: str | None = None,
    keep: bool = False,
    on_the_fly: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the catalog `name` hold what `sources` hold, `-` being standard input.

    Items that are new, or whose text changed, are embedded; those that are gone are removed, unless `keep`.
    Without `name` it is the one in the file, else the file's own. A catalog indexed before keeps its `model` and
    its `fields` unless others are given; another model embeds everything anew, so that `keep` is refused with it.
    `on_the_fly` keeps the catalog under the file's path instead of a name. All or nothing: on any error the catalog
    is as it was.

    Raises InputError, CatalogError, ModelError.
    """
    from attnsearch.writer import Writer  # and with it OpenSSL, which a query has no need of

    began = time.perf_counter()
    given = [_source(source) for source in sources]
    before = _before(given, name)
    fields = fields or (before.fields if before else None) or Fields()
    listing = catalog.read(sources, fields, form=form)
    if on_the_fly:
        folder, name = store.folder_of_file(Path(sources[0])), given[0].path
    else:
        name, explicit = name or listing.name or _stem(sources), name is not None
        folder = store.folder_of(name)
        if not explicit:
            _refuse_another(folder, given)
    reader = encoder.load(model or (before.model if before else None), offline=offline)
    with Writer(folder) as writer:
        old = writer.info
        if old and (old.model, old.sha256) != (reader.model.name, reader.model.sha256):
            if keep:
                hint = "leave out --keep, or index under another name with --name"
                raise InputError("what another model embedded can't be kept", where=name, hint=hint)
            log.warning("%s: embedding everything anew with %s", name, reader.model.name)
            writer.clear()
        intake = _Intake(reader, writer, progress)
        for item in listing.items:
            intake.take(item)
        d = intake.finish() or (old.d if old else 0)
        removed = 0 if keep else writer.drop_unseen()
        info = writer.commit(
            Info(
                name=name,
                description=listing.description,
                sources=tuple(given),
                fields=fields,
                model=reader.model.name,
                sha256=reader.model.sha256,
                stamp=reader.model.stamp,
                d=d,
                temperature=TEMPERATURE,
            )
        )
    return Report(info, intake.added, intake.changed, removed, intake.embedded, time.perf_counter() - began)


class _Intake:
    """Passes items on to the writer, the new and changed ones by way of the encoder, and counts them."""

    def __init__(self, reader: Encoder, writer: Writer, progress: Progress | None) -> None:
        self.reader, self.writer, self.progress = reader, writer, progress
        self.added = self.changed = self.embedded = self.cut = self.d = 0
        self.waiting: list[Item] = []

    def take(self, item: Item) -> None:
        change = self.writer.compare(item)
        self.added += change == "new"
        self.changed += change in ("changed", "described")
        if change in ("new", "changed"):
            self.waiting.append(item)
            if len(self.waiting) == CHUNK:
                self._embed(last=False)

    def finish(self) -> int:
        """Embed what is left, and return the width of what was embedded; 0 if nothing was."""
        self._embed(last=True)
        if self.cut:
            log.warning(
                "%d of the texts are longer than the %d tokens that the model reads; the rest of them is not searched",
                self.cut,
                self.reader.window,
            )
        return self.d

    def _embed(self, *, last: bool) -> None:
        if not self.waiting:
            return
        total = self.embedded + len(self.waiting) if last else None
        done = self.embedded

        def more(texts: int) -> None:
            nonlocal done
            done += texts
            if self.progress:
                self.progress(done, total)

        x = self.reader.encode([item.text for item in self.waiting], progress=more)
        self.cut += sum(is_cut(self.reader, item.text) for item in self.waiting)
        self.writer.put(self.waiting, x)
        self.embedded += len(self.waiting)
        self.d = x.shape[1]
        self.waiting = []


def is_cut(reader: Encoder, text: str) -> bool:
    """Whether the encoder stops before the end of the text; a token has at least one character."""
    return len(text) > reader.window - 2 and len(reader.tokens(text)) > reader.window


def _holds(folder: Path, file: Path) -> bool:
    """Whether the folder's catalog was made from the file as it is now."""
    if not store.exists(folder):
        return False
    with Store(folder) as opened:
        return opened.info.sources == (_source(str(file)),)


def _stale(info: Info, model: Model) -> CatalogError:
    return CatalogError(
        f"was indexed with other weights of {info.model} ({info.sha256[:12]}… then, {model.sha256[:12]}… now)",
        where=info.name,
        hint=f"embed it anew: attnsearch index {' '.join(source.path for source in info.sources)}",
    )


def _before(given: list[Source], name: str | None) -> Info | None:
    """The info of the catalog called `name`, or else made of the same files, when there is one."""
    if name:
        folder = store.folder_of(name)
        if not store.exists(folder):
            return None
        with Store(folder) as opened:
            return opened.info
    paths = [source.path for source in given]
    same = (info for _, info in shelf.infos() if isinstance(info, Info) and [s.path for s in info.sources] == paths)
    return next(same, None)


def _refuse_another(folder: Path, given: list[Source]) -> None:
    """A file must not replace, unasked, the catalog of another file that happens to have its name."""
    if not store.exists(folder):
        return
    with Store(folder) as opened:
        sources = opened.info.sources
    if [source.path for source in sources] != [source.path for source in given]:
        raise InputError(
            f"the catalog '{folder.name}' was made from {', '.join(source.path for source in sources)}",
            hint=f"say --name {folder.name} to replace it, or --name with another name to keep both",
        )


def _source(source: str) -> Source:
    """Where a file lies and what it holds now."""
    path = Path(source)
    if source == "-" or not path.is_file():
        return Source(source, None)
    from hashlib import file_digest

    try:
        with path.open("rb") as stream:
            return Source(str(path.resolve()), file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=source) from None


def _stem(sources: Sequence[str]) -> str:
    if len(sources) > 1 or sources[0] == "-":
        what = "several files" if len(sources) > 1 else "standard input"
        raise InputError(f"a catalog from {what} needs a name", hint="give it one with --name")
    return Path(sources[0]).stem
