"""A catalog's file + the encoder + the store → an index that is up to date: only what changed is embedded."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from attnsearch import catalog, encoder, shelf, store
from attnsearch.catalog import Fields
from attnsearch.encoder import Encoder, Precision
from attnsearch.errors import CatalogError, InputError
from attnsearch.model import Model
from attnsearch.projections import TEMPERATURE
from attnsearch.store import Info, Source, Store

if TYPE_CHECKING:
    from attnsearch.draft import Draft
    from attnsearch.writer import Writer

CHUNK = 1_024  # texts embedded at once; what a run that is killed can lose
_TRIED = 8  # texts on which the fast path is compared with sentence-transformers
_LENGTH = 4 << 20  # characters that they may have together

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
            reader = encoder.load(opened.info.model, offline=offline, quick=opened.info.quick)
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
    precision: Precision | None = None,
    on_the_fly: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the catalog `name` hold what `sources` hold, `-` being standard input.

    Items that are new, or whose text changed, are embedded; those that are gone are removed, unless `keep`.
    Without `name` it is the one in the file, else the file's own. A catalog indexed before keeps its `model` and
    its `fields` unless others are given; another model embeds everything anew, so that `keep` is refused with it.
    `precision` is that of the encoder: by default bfloat16 where there is much to embed on a machine that is faster
    in it, else float32. `on_the_fly` keeps the catalog under the file's path instead of a name. All or nothing: on any
    error the catalog is as it was, but what was embedded until then is not embedded again.

    Raises InputError, CatalogError, ModelError.
    """
    from attnsearch.draft import Draft
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
    known = before if before and model in (None, before.model) else None
    reader = encoder.load(known.model if known else model, offline=offline, quick=known.quick if known else True)
    with Writer(folder) as writer:
        old = writer.info
        how = None
        if old and (old.model, old.sha256) != (reader.model.name, reader.model.sha256):
            how = reader.model.name
        elif old and precision == "float32" != old.precision:
            how = precision
        kept = None if how else old
        if how:
            if keep:
                hint = "leave out --keep, or index under another name with --name"
                raise InputError("what another model or precision embedded can't be kept", where=name, hint=hint)
            log.warning("%s: embedding everything anew with %s", name, how)
            writer.clear()
        changes = writer.take(listing.items, keep=keep)
        worker = reader.suited(changes.length, precision)
        with Draft(folder, f"{reader.model.sha256[:16]}-{worker.precision}") as draft:
            total = writer.recall(draft)
            if draft.rows:
                log.warning("going on where an interrupted run stopped: %d texts were embedded already", draft.rows)
            quick = reader.quick and (worker.quick or _agree(reader, worker, writer))
            if kept and reader.quick and not quick:
                what = f"was embedded without sentence-transformers, which {reader.model.name} can't do without"
                raise CatalogError(what, where=name, hint=f"'attnsearch remove {name}', then index it again")
            _embed(worker, writer, draft, progress, total)
            precisions = {worker.precision if total else "float32", kept.precision if kept else "float32"}
            info = Info(
                name=name,
                description=listing.description,
                sources=tuple(given),
                fields=fields,
                model=reader.model.name,
                sha256=reader.model.sha256,
                stamp=reader.model.stamp,
                d=0,
                temperature=TEMPERATURE,
                precision="bfloat16" if "bfloat16" in precisions else "float32",
                quick=quick,
            )
            info = writer.commit(info, draft)
    return Report(info, changes.added, changes.changed, changes.removed, total, time.perf_counter() - began)


def _agree(reader: Encoder, worker: Encoder, writer: Writer) -> bool:
    """Whether the fast path is right about the model, tried on some of the texts while both are there."""
    texts = [text for _, text in itertools.islice(writer.missing(), _TRIED)]
    if not texts or encoder.agree(reader, worker, texts):
        return True
    log.warning("the fast path is wrong about %s, so that its queries will need sentence-transformers",
                reader.model.name)  # fmt: skip
    return False


def _embed(reader: Encoder, writer: Writer, draft: Draft, progress: Progress | None, total: int) -> None:
    """Embed every text that is missing, `total` of them, and keep it at once."""
    done = cut = 0

    def more(texts: int) -> None:
        nonlocal done
        done += texts
        if progress:
            progress(done, total)

    for some in _chunks(writer.missing()):
        texts = [text for _, text in some]
        writer.put(draft, [sha256 for sha256, _ in some], reader.encode(texts, progress=more))
        cut += sum(is_cut(reader, text) for text in texts)
    if cut:
        log.warning(
            "%d of the texts are longer than the %d tokens that the model reads; the rest of them is not searched",
            cut,
            reader.window,
        )


def _chunks(texts: Iterator[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    """The texts in lists of `CHUNK`, or fewer where they are long."""
    chunk, length = [], 0
    for sha256, text in texts:
        chunk.append((sha256, text))
        length += len(text)
        if len(chunk) == CHUNK or length > _LENGTH:
            yield chunk
            chunk, length = [], 0
    if chunk:
        yield chunk


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
