"""The catalogs on disk → what `list` and `info` say of them, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsearch.errors import CatalogError
from attnsearch.models.use import use_as_json
from attnsearch.storage import home
from attnsearch.storage.files import folder_size
from attnsearch.upkeep.default import stored_default
from attnsearch.upkeep.freshness import gone_sources
from attnsearch.upkeep.removal import kept_folders

if TYPE_CHECKING:
    from attnsearch.calibration.fit_file import Fit
    from attnsearch.sources.summary import Field
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned
    from attnsearch.storage.store import Store

_VALUES = 20  # the commonest of a field, at most


def list_catalogs() -> list[dict[str, Any]]:
    """The indexed catalogs, the built-in ones, and those of which only what they were taught is there."""
    rows = [_row(folder, record) for folder, record in home.catalog_infos()]
    indexed = {row["name"] for row in rows}
    rows += [{"name": name, "built_in": True} for name in home.BUILT_IN if name not in indexed]
    rows += [{"name": folder.name, "removed": True} for folder in kept_folders()]
    default = stored_default()
    return [{**row, "default": row["name"] == default} for row in rows]


def _row(folder: Path, record: Info | CatalogError) -> dict[str, Any]:
    if isinstance(record, CatalogError):
        return {"name": folder.name, "problem": record.message}
    return {
        "name": home.displayed_name(folder, record),
        "items": record.items,
        "model": record.model,
        "heads": [head.model for head in record.heads],
        "updated": record.updated,
        "sources": [source.path for source in record.sources],
        "gone": gone_sources(record),
    }


def describe_catalog(folder: Path, fit: Fit | None) -> dict[str, Any]:
    """All that is known of a catalog; `fit` is what was fitted to its encoder. Raises CatalogError."""
    from attnsearch.storage.learned import load_learned
    from attnsearch.storage.store import Store

    with home.open_migrated(folder, Store) as store:
        name, publication = home.displayed_name(folder, store.info), _describe_publication(store)
        return describe_store(store, load_learned(folder), fit, name, str(folder), folder_size(folder), publication)


def describe_store(
    store: Store,
    learned: Learned | None,
    fit: Fit | None,
    name: str,
    folder: str,
    size: int,
    publication: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that is known of an open catalog: its name, its folder or address, its size in bytes, its publication."""
    from attnsearch.output.training import constants_as_json  # these are more than a list needs
    from attnsearch.search.setting import default_lexical
    from attnsearch.storage.segment import plain_weights

    record, segments, tombstones = store.info, len(store.segments), store.dead
    used = learned if learned and learned.suits(record) else None
    constants = constants_as_json(plain_weights(record), record.temperature, fit, used)
    return {
        "name": name,
        "default": name == stored_default(),
        "description": record.description,
        "items": record.items,
        "keys": record.keys,
        "model": record.model,
        "weights_sha256": record.sha256,
        "model_sha256": record.identity or None,
        "heads": [*_describe_heads(record, constants["temperature"])],
        "use": use_as_json(record.use),
        "d": record.d,
        **constants,
        "lexical": default_lexical(record.lexical, used),
        "language": record.language,
        "sources": [source.path for source in record.sources],
        "gone": gone_sources(record),
        "id_field": record.fields.id[0] if len(record.fields.id) == 1 else list(record.fields.id) or None,
        "title_field": record.fields.title or None,
        "text_fields": list(record.fields.text),
        "segments": segments,
        "tombstones": tombstones,
        "bytes": size,
        "created": record.created,
        "updated": record.updated,
        "folder": folder,
        "published": publication,
        "learned": learned and _describe_learned(learned, in_use=used is not None),
        "fields": [describe_field(field) for field in store.fields()],
    }


def _describe_publication(store: Store) -> dict[str, Any] | None:
    """Where an open catalog is published, and whether its present state is; None if it is not published."""
    from attnsearch.cluster.publication import read_publication

    publication = read_publication(store.folder)
    return publication and {"url": publication.url, "is_current": publication.commit == store.info.commit}


def describe_field(field: Field) -> dict[str, Any]:
    """What the catalog knows of a field."""
    return {
        "name": field.name,
        "kind": field.kind_name,
        "items": field.items,
        "unread": field.kind.unread,
        "low": field.low or None,
        "high": field.high or None,
        "different": None if field.counts is None else len(field.counts),
        "values": [{"value": value, "count": (field.counts or {})[value]} for value in field.commonest(_VALUES)],
    }


def _describe_heads(record: Info, temperature: float) -> Iterator[dict[str, Any]]:
    """The heads of a catalog that has several, in the order of their columns; `temperature` is that of all together."""
    from attnsearch.storage.segment import all_heads

    for head in all_heads(record) if record.heads else ():
        yield {
            "model": head.model,
            "weights_sha256": head.sha256,
            "model_sha256": head.identity,
            "use": use_as_json(head.use),
            "d": head.d,
            "weight": head.weight,
            "temperature": temperature / head.weight,
        }


def _describe_learned(learned: Learned, *, in_use: bool) -> dict[str, Any]:
    """What a catalog has learned; of the matrix only its shape."""
    return {
        "in_use": in_use,
        "model": learned.model,
        "weights_sha256": learned.sha256,
        "model_sha256": learned.identity or None,
        "w": None if learned.w is None else learned.w.shape,
        "temperature": learned.temperature,
        "lexical": learned.lexical,
        "none_of_these": learned.null and learned.null._asdict(),
        "requests": len(learned.requests),
        "story": learned.story,
        "memory": learned.memory and {"requests": len(learned.memory.queries), **learned.memory.recall.as_dict()},
    }
