"""Files of items → a catalog that is up to date: only what changed is embedded."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.encoding import encoder, loading
from attnsearch.encoding.encoder import Encoder, Precision
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.postings import cache
from attnsearch.sources import items
from attnsearch.sources.items import Fields, Item
from attnsearch.storage import files, home
from attnsearch.storage.database import Info, Source

CHUNK = 1_024  # texts embedded at once; what a run that is killed can lose
_TRIED = 8  # texts on which the fast path is compared with sentence-transformers
_LENGTH = 4 << 20  # characters that they may have together

Progress = Callable[[int, int | None], None]
"""Told how many texts are embedded, and of how many; or, with None, how many items are read."""

log = logging.getLogger("attnsearch")


class Report(NamedTuple):
    """What `update` did, in items; `embedded` of them went through the encoder."""

    info: Info
    added: int
    changed: int
    removed: int
    embedded: int
    seconds: float


def update(
    sources: Sequence[str],
    *,
    name: str | None = None,
    model: str | None = None,
    fields: Fields | None = None,
    form: str | None = None,
    keep: bool = False,
    precision: Precision | None = None,
    lexical: float | None = None,
    on_the_fly: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the catalog `name` hold what `sources` hold, `-` being standard input.

    Items that are new, or whose text changed, are embedded; those that are gone are removed, unless `keep`.
    Without `name` it is the one in the file, else the file's own. A catalog indexed before keeps its `model` and
    its `fields` unless others are given; another model embeds everything anew, so that `keep` is refused with it.
    `precision` is that of the encoder: by default bfloat16 where there is much to embed on a machine that is faster
    in it, else float32. `lexical` is the λ of queries that name none; a catalog keeps its own. `on_the_fly` keeps the
    catalog under the file's path instead of a name. All or nothing: on any error the catalog is as it was, but what was
    embedded until then is not embedded again. (On a disk that fails while it is told to make the commit durable, nobody
    can say whether it is; then it is whole, one way or the other.)

    Raises InputError, CatalogError, ModelError.
    """
    began = time.perf_counter()
    given = [home.fingerprint_source(file) for file in sources]
    before = _before(given, name)
    fields = fields or (before.fields if before else None) or Fields()
    listing = items.read_items(sources, fields, form=form)
    if on_the_fly:
        folder, name = home.file_catalog_folder(Path(sources[0])), given[0].path
    else:
        name, explicit = name or listing.name or _stem(sources), name is not None
        folder = home.catalog_folder(name)
        if not explicit:
            _refuse_another(folder, given)
    known = before if before and model in (None, before.model) else None
    reader = loading.load(known.model if known else model, offline=offline, quick=known.quick if known else True)
    with Writer(folder) as writer:
        how = _unlike(writer.info, reader, precision)
        kept = None if how else writer.info
        if how:
            if keep:
                hint = "leave out --keep, or index under another name with --name"
                raise InputError("what another model or precision embedded can't be kept", where=name, hint=hint)
            log.warning("%s: embedding everything anew with %s", name, how)
            writer.clear()
        changes = writer.take(_counted(listing.items, progress), functools.partial(split_passages, reader), keep=keep)
        worker = reader.suited(changes.length, precision)
        with checkpoint_of(worker, folder) as draft:
            recalled, total = writer.recall(draft)
            if recalled:
                log.warning("going on where an interrupted run stopped: %d texts were embedded already", recalled)
            quick = reader.quick and (worker.quick or _agree(reader, worker, writer))
            if kept and reader.quick and not quick:
                what = f"was embedded without sentence-transformers, which {reader.model.name} can't do without"
                raise CatalogError(what, where=name, hint=f"'attnsearch remove {name}', then index it again")
            embed_missing(worker, writer, draft, progress, total)
            precisions = {worker.precision if changes.length else None, kept.precision if kept else None}
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
                lexical=(before.lexical if before else 0.0) if lexical is None else lexical,
            )
            info = writer.commit(info, draft)
    if info.lexical or (folder / files.POSTINGS).is_dir():
        cache.refresh_postings(folder, terms=bool(info.lexical))
    return Report(info, changes.added, changes.changed, changes.removed, total, time.perf_counter() - began)


def _unlike(old: Info | None, reader: Encoder, precision: Precision | None) -> str | None:
    """What to embed everything anew with: a model, or a precision, that the catalog was not made with."""
    made = reader.model.name, reader.model.sha256  # asked for also where it is new: a model without weights ends here
    if old and (old.model, old.sha256) != made:
        return reader.model.name
    return precision if old and precision == "float32" != old.precision else None


def _counted(items: Iterator[Item], progress: Progress | None) -> Iterator[Item]:
    """The same items; `progress` is told of every `CHUNK`."""
    for number, item in enumerate(items, 1):
        yield item
        if progress and number % CHUNK == 0:
            progress(number, None)


def _agree(reader: Encoder, worker: Encoder, writer: Writer) -> bool:
    """Whether the fast path is right about the model, tried on some of the texts while both are there."""
    texts = [text for _, text in itertools.islice(writer.missing(), _TRIED)]
    if not texts or encoder.vectors_agree(reader, worker, texts):
        return True
    log.warning("the fast path is wrong about %s, so that its queries will need sentence-transformers",
                reader.model.name)  # fmt: skip
    return False


def checkpoint_of(reader: Encoder, folder: Path) -> Checkpoint:
    """Where what that encoder makes is kept until the commit."""
    return Checkpoint(folder, f"{reader.model.sha256[:16]}-{reader.precision}")


def embed_missing(reader: Encoder, writer: Writer, draft: Checkpoint, progress: Progress | None, total: int) -> None:
    """Embed every text that is missing, `total` of them, and keep it at once."""
    done = 0

    def more(texts: int) -> None:
        nonlocal done
        done += texts
        if progress:
            progress(done, total)

    for some in _chunks(writer.missing()):
        texts = [text for _, text in some]
        writer.put(draft, [sha256 for sha256, _ in some], reader.encode(texts, progress=more))


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


def _before(given: list[Source], name: str | None) -> Info | None:
    """The info of the catalog called `name`, or else made of the same files, when there is one."""
    if name:
        folder = home.catalog_folder(name)
        return home.read_catalog_info(folder) if home.catalog_exists(folder) else None
    paths = [source.path for source in given]
    same = (
        info for _, info in home.catalog_infos() if isinstance(info, Info) and [s.path for s in info.sources] == paths
    )
    return next(same, None)


def _refuse_another(folder: Path, given: list[Source]) -> None:
    """A file must not replace, unasked, the catalog of another file that happens to have its name."""
    if not home.catalog_exists(folder):
        return
    sources = home.read_catalog_info(folder).sources
    if [source.path for source in sources] != [source.path for source in given]:
        raise InputError(
            f"the catalog '{folder.name}' was made from {', '.join(source.path for source in sources)}",
            hint=f"say --name {folder.name} to replace it, or --name with another name to keep both",
        )


def _stem(sources: Sequence[str]) -> str:
    if len(sources) > 1 or sources[0] == "-":
        what = "several files" if len(sources) > 1 else "standard input"
        raise InputError(f"a catalog from {what} needs a name", hint="give it one with --name")
    return Path(sources[0]).stem
