"""Files of items → a catalog that is up to date: only what changed is embedded."""

from __future__ import annotations

import functools
import itertools
import logging
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration import calibrate
from attnsearch.encoding import loading, trial
from attnsearch.encoding.encoder import Encoder, Precision, join_precisions, record_use, vectors_agree
from attnsearch.encoding.heads import Choice, describe_others, parse_choices
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import InputError
from attnsearch.indexing import embedding
from attnsearch.indexing.changes import Changes
from attnsearch.indexing.embedding import (
    EncodeBatches,
    Progress,
    change_heads,
    embed_missing,
    keeping,
    mixed_error,
    open_checkpoint,
)
from attnsearch.indexing.supply import check_sample, refuse_other_models, take_export
from attnsearch.indexing.target import Place, Read, Target, describe_reading, resolve_target
from attnsearch.indexing.writer import Writer
from attnsearch.models.model import DEFAULT, recorded_name
from attnsearch.models.prompts import resolve_use
from attnsearch.models.record import Head
from attnsearch.models.use import AS_USUAL, Wanted
from attnsearch.postings import cache, vocabulary
from attnsearch.sources.fields import UNNAMED, Fields
from attnsearch.sources.items import Item
from attnsearch.storage import files, home, lock
from attnsearch.storage.database import Info
from attnsearch.storage.segment import all_heads, whole_identity
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.syntax.languages import ENGLISH, check_language
from attnsearch.syntax.values import Mapping

_SAMPLE = 8  # texts on which the fast path is compared with sentence-transformers

log = logging.getLogger("attnsearch")


class Report(NamedTuple):
    """What `update` did, in items; `embedded` counts texts that went through the encoder, `read` names the fields."""

    info: Info
    added: int
    changed: int
    removed: int
    embedded: int
    seconds: float
    read: Read


def update(
    sources: Sequence[str],
    *,
    name: str | None = None,
    model: str | None = None,
    heads: Sequence[str] | None = None,
    wanted: Wanted = AS_USUAL,
    fields: Fields = UNNAMED,
    reading: Reading = AS_FOUND,
    keep: bool = False,
    precision: Precision | None = None,
    lexical: float | None = None,
    language: str | None = None,
    folder: Path | None = None,
    wait: float = lock.WAIT,
    offline: bool = False,
    progress: Progress | None = None,
    records: Iterator[Mapping] | None = None,
    place: Place | None = None,
    encode_batches: EncodeBatches | None = None,
) -> Report:
    """Make the catalog `name` hold exactly the items of `sources`; `-` is standard input, or stands for `records`.

    New items and new texts are embedded; items that the sources no longer have are removed, unless `keep`. Without
    `name`, the catalog takes the name in the file, else that of the file. `fields` are those of the id, the title and
    the text, as far as they are not to be recognized. An existing catalog keeps its `model`, its `heads`, each of its
    `fields` and, for the same sources, how they are to be read (`reading`), unless others are given. The `heads` are
    the encoders beside the model, see `heads.parse_choices`; what is stored is embedded by new ones alone. `wanted` are
    the prompts and the width of the model, by default the catalog's, else those in its files or its card. `precision`
    is the encoder's: by default bfloat16 for much text on a machine that is faster in it, else float32. Another model,
    key prompt or width, or float32 after bfloat16, embeds everything again: then `keep` is refused. `lexical`, the λ of
    queries that give none, and `language`, that of the terms (one of `languages.LANGUAGES`), stay as they are by
    default. A query of a file gives the `folder` for its catalog, which has no name. A catalog that is not in the home
    is in a `place`. Another writer is waited for until it makes no progress for `wait` seconds. `encode_batches` embeds
    texts in the place of this process.

    All or nothing: on any error the catalog stays as it was, and what was embedded so far is not embedded again. (If
    the disk fails during the commit itself, nobody can tell whether it took place; the catalog is intact either way.)

    Raises InputError, CatalogError, ModelError.
    """
    began = time.perf_counter()
    language = language and check_language(language)
    choices = None if heads is None else parse_choices(heads)
    target = resolve_target(sources, name, fields, reading, keep=keep, folder=folder, records=records, place=place)
    if target.export and not target.existing:
        refuse_other_models(target.export.header, target.name, model=model, choices=choices)
    encoder, wanted = _open_encoder(target, model, choices, wanted, offline=offline)
    with place.open_writer(wait) if place else Writer(target.folder, wait) as writer:
        encoder = _follow_heads(encoder, target, writer.info, model, choices, wanted, offline=offline)
        loading.warn_of_uses(encoder, all_heads(writer.info) if writer.info else ())
        reason = _reason_to_embed_again(writer.info, encoder, precision)
        if reason:
            _clear_catalog(writer, target.name, reason, keep=keep)
        changed = change_heads(writer, None if reason else writer.info, encoder, precision, progress, encode_batches)
        reused, precision = changed.info, changed.precision
        fields = target.listing.fields
        split = functools.partial(split_passages, encoder)
        items, supplied_in = target.listing.items, None
        if target.export:
            items, supplied_in = take_export(target.export, writer, encoder, split, precision, target.name)
        changes = writer.take_items(_count_items(items, progress), split, keep=keep, fields=fields)
        if supplied_in:
            check_sample(writer, encoder, supplied_in)
            changes = changes._replace(length=writer.count_unsupplied())
        bulk_encoder = encoder.suited(changes.length, precision)
        if bulk_encoder is not encoder:
            trial.try_out(bulk_encoder, unless=home.has_catalog_of)
        with open_checkpoint(bulk_encoder, target.folder) as checkpoint:
            recalled = writer.recall(checkpoint)
            if recalled.embedded:
                log.warning("resuming an interrupted run: %s texts were already embedded", f"{recalled.embedded:,}")
            quick = _is_quick(encoder, bulk_encoder, writer)
            if reused and encoder.quick and not quick:
                raise mixed_error(target.name, encoder)
            with keeping(checkpoint, recalled):
                embed_missing(bulk_encoder, writer, checkpoint, progress, recalled.missing, encode_batches)
            least = _least_precision(changes, bulk_encoder, reused, supplied_in)
            info = _describe_catalog(target, encoder, lexical, language, quick=quick, precision=least)
            info = info._replace(heads=describe_others(encoder, reused.heads if reused else ()))
            info = writer.commit(info._replace(is_exact=not (keep and writer.has_kept())), checkpoint)
        read = describe_reading(fields, target.listing.survey, [] if target.export else writer.field_names())
    if read.longest:
        log.warning("%s: the longest text is not read; add it: --text-field %s", target.name, shlex.quote(read.longest))
    has_postings = info.lexical or info.items > vocabulary.COUNTED or (target.folder / files.POSTINGS).is_dir()
    if has_postings and not place:  # whose postings are part of the commit
        cache.refresh_postings(target.folder, terms=bool(info.lexical))
    calibrate.calibrate_if_new(bulk_encoder, progress)
    seconds = time.perf_counter() - began
    embedded = recalled.missing + changed.embedded
    return Report(info, changes.added, changes.changed, changes.removed, embedded, seconds, read)


def _open_encoder(
    target: Target, model: str | None, choices: Sequence[Choice] | None, wanted: Wanted, *, offline: bool
) -> tuple[Encoder, Wanted]:
    """The encoder, tried out, and what is wanted of its first model as a use has it. Raises as `update` does."""

    def load(wanted: Wanted) -> Encoder:
        return _load_heads(target, model, choices, wanted, offline=offline)

    return trial.open_wanted(load, wanted, unless=home.has_catalog_of, offline=offline)


def _load_heads(
    target: Target, model: str | None, choices: Sequence[Choice] | None, wanted: Wanted, *, offline: bool
) -> Encoder:
    """The encoder `model` with the chosen heads, by default those of the existing catalog, else of the export.

    It is no quicker than the existing catalog's was found to be.
    """
    existing, header = target.existing, target.export and target.export.header
    name = None if model is None else recorded_name(model)
    stored: Sequence[Head] = all_heads(existing) if existing else header.all_heads if header else ()
    own = stored[0] if stored else None
    if existing and name in (None, existing.model):
        quick, is_remembered = existing.quick, name is None
        model = existing.model
    else:
        quick, is_remembered = True, False
        own = own if own and own.model == (name or DEFAULT) else None
    first = loading.load_as_wanted(model, wanted, own, offline=offline, quick=quick, remembered=is_remembered)
    return loading.choose_heads(first, choices, stored, offline=offline, quick=quick)


def _follow_heads(
    encoder: Encoder,
    target: Target,
    stored: Info | None,
    model: str | None,
    choices: Sequence[Choice] | None,
    wanted: Wanted,
    *,
    offline: bool,
) -> Encoder:
    """The encoder, with the heads and prompts that another process has given the catalog since we looked.

    Heads that are chosen, and prompts that are wanted, stay.
    """
    existing = target.existing
    if choices is not None or not (existing and stored) or whole_identity(existing) == whole_identity(stored):
        return encoder
    return _load_heads(target._replace(existing=stored), model, None, wanted, offline=offline)


def _reason_to_embed_again(stored: Info | None, encoder: Encoder, precision: Precision | None) -> str | None:
    """The model, its use or the precision that the stored embeddings were not made with; None if they can be reused."""
    if stored is None:
        return None
    if not (stored.model == encoder.model.name and encoder.model.made(stored.sha256, stored.identity)):
        return encoder.model.name
    last, use = resolve_use(stored.use, encoder.model), encoder.use
    changes = ["another key prompt"] if use.key_prompt != last.key_prompt else []
    changes += [f"{use.dims or 'all'} dims"] if use.dims != last.dims else []
    if changes:
        return " and ".join(changes)
    return precision if precision == "float32" != stored.precision else None


def _clear_catalog(writer: Writer, name: str, reason: str, *, keep: bool) -> None:
    if keep:
        hint = "leave out --keep, or index under another name with --name"
        raise InputError("can't keep items that another model, prompt or precision embedded", where=name, hint=hint)
    log.warning("%s: embedding everything again with %s", name, reason)
    writer.clear()


def _count_items(incoming: Iterable[Item], progress: Progress | None) -> Iterator[Item]:
    """Pass the items on, and report every `embedding.CHUNK` of them to `progress`."""
    for number, item in enumerate(incoming, 1):
        yield item
        if progress and number % embedding.CHUNK == 0:
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
    name = encoder.model.name
    log.warning("the fast path does not reproduce %s, so its queries will need sentence-transformers", name)
    return False


def _least_precision(
    changes: Changes, bulk_encoder: Encoder, reused: Info | None, supplied_in: Precision | None
) -> Precision:
    """bfloat16 if any of the catalog's embeddings, new, reused or supplied, was made in it; else float32."""
    new = bulk_encoder.precision if changes.length else "float32"
    old = reused.precision if reused else "float32"
    return join_precisions((new, old, supplied_in))


def _describe_catalog(
    target: Target,
    encoder: Encoder,
    lexical: float | None,
    language: str | None,
    *,
    quick: bool,
    precision: Precision,
) -> Info:
    """The catalog's info, to which the commit adds width, counts and times."""
    stored = target.existing or (target.export and target.export.header)
    if lexical is None:
        lexical = stored.lexical if stored else 0.0
    if language is None:
        language = stored.language if stored else ENGLISH
    return Info(
        name=target.name,
        description=target.listing.description,
        sources=tuple(source.as_read() for source in target.sources),
        fields=target.listing.fields,
        given=target.given,
        reading=target.reading,
        model=encoder.model.name,
        sha256=encoder.model.sha256,
        identity=encoder.model.identity,
        stamp=encoder.model.stamp,
        use=record_use(encoder),
        d=0,
        temperature=TEMPERATURE,
        precision=precision,
        quick=quick,
        lexical=lexical,
        language=language,
    )
