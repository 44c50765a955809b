"""Files of items → a catalog that is up to date: only what changed is embedded."""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.encoding import loading, trial
from attnsearch.encoding.encoder import Encoder, Precision, vectors_agree
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.changes import Changes
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import MissingText, Writer
from attnsearch.postings import cache
from attnsearch.sources import items
from attnsearch.sources.items import Fields, Item, Listing
from attnsearch.storage import files, home
from attnsearch.storage.database import Info, Source

CHUNK = 1_024  # texts embedded at once: what a killed run can lose

_CHARACTERS = 4 << 20  # of a chunk, about
_SAMPLE = 8  # texts on which the fast path is compared with sentence-transformers

Progress = Callable[[int, int | None], None]
"""Called with how many texts are embedded, and of how many; or with how many items are read, and None."""

log = logging.getLogger("attnsearch")


class Report(NamedTuple):
    """What `update` did, in items; `embedded` counts texts that went through the encoder."""

    info: Info
    added: int
    changed: int
    removed: int
    embedded: int
    seconds: float


class _SourceFile(NamedTuple):
    """A file to read: its name, its path, which is None for a pipe, and the SHA-256 of what was read of it so far."""

    name: str
    path: str | None
    digest: hashlib._Hash

    @property
    def shown(self) -> str:
        """What the catalog calls it."""
        return self.path or self.name

    def as_read(self) -> Source:
        """What the catalog records of the file, once it is read to its end."""
        return Source(self.shown, self.digest.hexdigest() if self.path else None)


class _Target(NamedTuple):
    """The catalog to bring up to date: where it is, what goes in, and what it was before, if it exists."""

    folder: Path
    name: str
    sources: tuple[_SourceFile, ...]
    fields: Fields
    listing: Listing
    existing: Info | None


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
    """Make the catalog `name` hold exactly the items of `sources`; `-` is standard input.

    New items and new texts are embedded; items that the sources no longer have are removed, unless `keep`. Without
    `name`, the catalog takes the name in the file, else that of the file. `form` is the sources' format, see
    `items.read_items`. An existing catalog keeps its `model` and `fields` unless others are given. `precision` is the
    encoder's: by default bfloat16 for much text on a machine that is faster in it, else float32. Another model, or
    float32 after bfloat16, embeds everything again, and then `keep` is refused. `lexical` is the λ of queries that give
    none; by default it stays as it was. `on_the_fly` stores the catalog under the file's path instead of a name.

    All or nothing: on any error the catalog stays as it was, and what was embedded so far is not embedded again. (If
    the disk fails during the commit itself, nobody can tell whether it took place; the catalog is intact either way.)

    Raises InputError, CatalogError, ModelError.
    """
    began = time.perf_counter()
    target = _resolve_target(sources, name, fields, form, on_the_fly=on_the_fly)
    encoder = _load_encoder(target.existing, model, offline=offline)
    trial.try_out(encoder, unless=home.has_catalog_of)
    with Writer(target.folder) as writer:
        reason = _reason_to_embed_again(writer.info, encoder, precision)
        if reason:
            _clear_catalog(writer, target.name, reason, keep=keep)
        reused = None if reason else writer.info
        incoming = _count_items(target.listing.items, progress)
        changes = writer.take_items(incoming, functools.partial(split_passages, encoder), keep=keep)
        bulk_encoder = encoder.suited(changes.length, precision)
        if bulk_encoder is not encoder:
            trial.try_out(bulk_encoder, unless=home.has_catalog_of)
        with open_checkpoint(bulk_encoder, target.folder) as checkpoint:
            recalled = writer.recall(checkpoint)
            if recalled.embedded:
                log.warning("resuming an interrupted run: %d texts were already embedded", recalled.embedded)
            quick = _is_quick(encoder, bulk_encoder, writer)
            if reused and encoder.quick and not quick:
                raise _mixed_error(target.name, encoder)
            embed_missing(bulk_encoder, writer, checkpoint, progress, recalled.missing)
            least = _least_precision(changes, bulk_encoder, reused)
            info = _describe_catalog(target, encoder, quick=quick, precision=least, lexical=lexical)
            info = writer.commit(info, checkpoint)
    if info.lexical or (target.folder / files.POSTINGS).is_dir():
        cache.refresh_postings(target.folder, terms=bool(info.lexical))
    return Report(info, changes.added, changes.changed, changes.removed, recalled.missing, time.perf_counter() - began)


def _resolve_target(
    paths: Sequence[str], name: str | None, fields: Fields | None, form: str | None, *, on_the_fly: bool
) -> _Target:
    """Decide which catalog is meant, whether it exists, and how its sources are read."""
    sources = tuple(_SourceFile(path, home.source_path(path), hashlib.sha256()) for path in paths)
    shown = [source.shown for source in sources]
    existing = _find_existing(shown, name)
    fields = fields or (existing.fields if existing else Fields())
    # The hash is that of the very bytes that are read: the file may be another one before and after.
    listing = items.read_items(paths, fields, file_format=form, observers=[source.digest.update for source in sources])
    if on_the_fly:
        return _Target(home.file_catalog_folder(Path(paths[0])), shown[0], sources, fields, listing, existing)
    chosen = home.check_name(name or listing.name or _name_of_file(paths))
    folder = home.catalog_folder(chosen)
    if name is None:
        _refuse_other_sources(folder, shown)
    return _Target(folder, chosen, sources, fields, listing, existing)


def _find_existing(paths: Sequence[str], name: str | None) -> Info | None:
    """The info of the catalog called `name`, else of one made from the same files; None if there is none."""
    if name:
        folder = home.catalog_folder(name)
        return home.read_catalog_info(folder) if home.catalog_exists(folder) else None
    for _, info in home.catalog_infos():
        if isinstance(info, Info) and _have_paths(info.sources, paths):
            return info
    return None


def _have_paths(sources: Sequence[Source], paths: Sequence[str]) -> bool:
    return [source.path for source in sources] == list(paths)


def _name_of_file(paths: Sequence[str]) -> str:
    if len(paths) > 1 or paths[0] == "-":
        origin = "several files" if len(paths) > 1 else "standard input"
        raise InputError(f"a catalog from {origin} needs a name", hint="give it one with --name")
    return Path(paths[0]).stem


def _refuse_other_sources(folder: Path, paths: Sequence[str]) -> None:
    """InputError if the folder has a catalog of other files: it may be replaced only when its name was given."""
    if not home.catalog_exists(folder):
        return
    stored = home.read_catalog_info(folder).sources
    if not _have_paths(stored, paths):
        raise InputError(
            f"the catalog '{folder.name}' was made from {', '.join(source.path for source in stored)}",
            hint=f"use --name {folder.name} to replace it, or --name with another name to keep both",
        )


def _load_encoder(existing: Info | None, model: str | None, *, offline: bool) -> Encoder:
    """The encoder `model`, by default the existing catalog's, and no quicker than that one was found to be."""
    if existing and model in (None, existing.model):
        return loading.load(existing.model, offline=offline, quick=existing.quick, remembered=model is None)
    return loading.load(model, offline=offline, quick=True)


def _reason_to_embed_again(stored: Info | None, encoder: Encoder, precision: Precision | None) -> str | None:
    """The model, or the precision, that the stored embeddings were not made with; None if they can be reused."""
    if stored and not (stored.model == encoder.model.name and encoder.model.made(stored.sha256, stored.identity)):
        return encoder.model.name
    return precision if stored and precision == "float32" != stored.precision else None


def _clear_catalog(writer: Writer, name: str, reason: str, *, keep: bool) -> None:
    if keep:
        hint = "leave out --keep, or index under another name with --name"
        raise InputError("can't keep items that another model or precision embedded", where=name, hint=hint)
    log.warning("%s: embedding everything again with %s", name, reason)
    writer.clear()


def _count_items(incoming: Iterable[Item], progress: Progress | None) -> Iterator[Item]:
    """Pass the items on, and report every `CHUNK` of them to `progress`."""
    for number, item in enumerate(incoming, 1):
        yield item
        if progress and number % CHUNK == 0:
            progress(number, None)


def _is_quick(encoder: Encoder, bulk_encoder: Encoder, writer: Writer) -> bool:
    """Whether queries can take the fast path. It is tried on some of the texts if both paths are loaded anyway."""
    if not encoder.quick:
        return False
    if bulk_encoder.quick:
        return True
    sample = [missing.text for missing in itertools.islice(writer.missing_texts(), _SAMPLE)]
    if not sample or vectors_agree(encoder, bulk_encoder, sample):
        return True
    log.warning("the fast path does not reproduce %s, so its queries will need sentence-transformers",
                encoder.model.name)  # fmt: skip
    return False


def _mixed_error(name: str, encoder: Encoder) -> CatalogError:
    message = f"was embedded without sentence-transformers, which {encoder.model.name} turns out to need"
    return CatalogError(message, where=name, hint=f"'attnsearch remove {name}', then index it again")


def _least_precision(changes: Changes, bulk_encoder: Encoder, reused: Info | None) -> Precision:
    """bfloat16 if any of the catalog's embeddings, new or reused, was made in it; else float32."""
    new = bulk_encoder.precision if changes.length else "float32"
    old = reused.precision if reused else "float32"
    return "bfloat16" if "bfloat16" in (new, old) else "float32"


def _describe_catalog(
    target: _Target, encoder: Encoder, *, quick: bool, precision: Precision, lexical: float | None
) -> Info:
    """The catalog's info, to which the commit adds width, counts and times."""
    stored_lexical = target.existing.lexical if target.existing else 0.0
    return Info(
        name=target.name,
        description=target.listing.description,
        sources=tuple(source.as_read() for source in target.sources),
        fields=target.fields,
        model=encoder.model.name,
        sha256=encoder.model.sha256,
        identity=encoder.model.identity,
        stamp=encoder.model.stamp,
        d=0,
        temperature=TEMPERATURE,
        precision=precision,
        quick=quick,
        lexical=stored_lexical if lexical is None else lexical,
    )


def open_checkpoint(encoder: Encoder, folder: Path) -> Checkpoint:
    """The checkpoint in `folder` of what this encoder embeds in its precision."""
    return Checkpoint(folder, f"{encoder.model.identity[:16]}-{encoder.precision}")


def embed_missing(
    encoder: Encoder, writer: Writer, checkpoint: Checkpoint, progress: Progress | None, total: int
) -> None:
    """Embed the missing texts, `total` of them, and write each chunk to the checkpoint at once."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    for chunk in _split_chunks(writer.missing_texts()):
        x = encoder.encode([missing.text for missing in chunk], progress=advance)
        writer.put_embeddings(checkpoint, [missing.sha256 for missing in chunk], x)


def _split_chunks(texts: Iterable[MissingText]) -> Iterator[list[MissingText]]:
    """The texts in lists of `CHUNK`, or of fewer if they are long."""
    chunk: list[MissingText] = []
    characters = 0
    for missing in texts:
        chunk.append(missing)
        characters += len(missing.text)
        if len(chunk) == CHUNK or characters > _CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
