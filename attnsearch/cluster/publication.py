"""A catalog → its segments at a URL, from where workers fetch them, with a manifest that names them.

Segments never change, so only new ones are written. The manifest is written last, and replaced atomically: whoever
reads it gets the old state or the new one, whole. The catalog's folder notes the URL and the state, so that a
query of another state is refused and not answered from old segments.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from attnsearch.cluster.packing import pack_marks
from attnsearch.cluster.urls import Destination, UnreachableError, check_url, is_url, open_destination
from attnsearch.errors import CatalogError, InputError
from attnsearch.models.use import WIDEST
from attnsearch.storage import checksum, home
from attnsearch.storage.database import FORM
from attnsearch.storage.failures import writing
from attnsearch.storage.files import DATABASE, PUBLISHED, SEGMENTS, home_folder, open_to_read, quoted, replace_file
from attnsearch.storage.segment import MOST_KEYS, NAME, ROWS, SegmentRow, load_listed, open_segment, whole_identity
from attnsearch.storage.store import Store

MANIFEST = "manifest.json"
VERSION = 1  # of the manifest
Progress = Callable[[int, int], None]
"""Called with how many segments are written, and of how many."""
_LARGEST = 1 << 30  # bytes of a manifest
_LARGEST_RECORD = 1 << 14
_BYTES = ("sums", "dead", "joined")  # what a manifest has in base64 of a segment
_TEMPORARY = re.compile(r"\.([0-9a-f]{32}|manifest\.json)-[0-9a-f]{32}")  # of `files.replacing`
_ATTEMPTS = 3  # to read a catalog that others change meanwhile


class Publication(NamedTuple):
    """What a catalog's folder notes: where the catalog is published, and in which state."""

    url: str
    commit: str


class Report(NamedTuple):
    """What `publish` did: the files and bytes that it wrote, segments that were there, files that it removed."""

    url: str
    commit: str
    segments: int
    written: int
    bytes: int
    removed: int


class Manifest(NamedTuple):
    """What a manifest says: the state of which catalog, and the sums of each segment by its file.

    `before` are the files of the state before, which are kept for those who still read them.
    """

    name: str
    commit: str
    sums: Mapping[str, bytes]
    before: frozenset[str]
    raw: bytes


def publish(folder: Path, url: str, *, again: bool = False, progress: Progress | None = None) -> Report:
    """Write the catalog in `folder` to a URL that `check_url` returned; with `again`, also what is there already.

    Raises InputError for a folder of catalogs, or one with other files; CatalogError if it can't be written.
    """
    if not is_url(url):
        _refuse_own_folder(Path(url))
    destination = open_destination(url)
    try:
        for _ in range(_ATTEMPTS):
            with home.open_migrated(folder, partial(Store, vectors=False)) as store:
                try:
                    return _publish(store, destination, again=again, progress=progress or (lambda *_: None))
                except FileNotFoundError:  # a writer has removed a segment that the snapshot had
                    pass
    except UnreachableError as error:
        hint = "" if is_url(url) else f"see that {Path(url).parent} is there, and may be written"
        raise CatalogError(f"can't publish there: {error}", where=url, hint=hint) from None
    raise CatalogError("the catalog changed while it was published", where=folder.name, hint="publish it again")


def read_publication(folder: Path) -> Publication | None:
    """Where the catalog is published; None if it is not. Raises CatalogError for what `publish` does not write."""
    try:
        with open_to_read(folder / PUBLISHED) as stream:
            record = json.loads(stream.read(_LARGEST_RECORD))
        url, commit = record["url"], record["commit"]
        if not isinstance(commit, str) or check_url(url) != url:
            raise ValueError
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, InputError, RecursionError):
        raise CatalogError(f"its {PUBLISHED} is damaged", where=folder.name, hint="publish it again") from None
    return Publication(url, commit)


def forget_publication(folder: Path) -> None:
    """Let workers read the catalog's own folder again; what is published stays there."""
    try:
        (folder / PUBLISHED).unlink(missing_ok=True)
    except OSError as error:
        raise CatalogError(f"can't be changed: {error.strerror}", where=str(folder)) from None


def find_files(store: Store) -> list[str]:
    """The names under which workers open the segments of a catalog: at its URL if it is published, else in its folder.

    Raises CatalogError if another state is published.
    """
    publication = read_publication(store.folder)
    if publication is None:
        return [str(file.absolute()) for file in store.files]
    if publication.commit != store.info.commit:
        name = home.displayed_name(store.folder, store.info)
        hint = f"publish it again: attnsearch publish {quoted(name)}"
        raise CatalogError(f"the catalog changed since it was published at {publication.url}", where=name, hint=hint)
    return [f"{publication.url}/{row.file}" for row in store.segments]


def _refuse_own_folder(folder: Path) -> None:
    folder, base = folder.resolve(), home_folder().resolve()
    owner = next((path for path in (folder, *folder.parents) if path == base or (path / DATABASE).exists()), None)
    if owner:
        raise InputError("catalogs lie there", where=str(owner), hint="publish to another folder")


def _publish(store: Store, destination: Destination, *, again: bool, progress: Progress) -> Report:
    name, commit = home.displayed_name(store.folder, store.info), store.info.commit
    sizes = {row.file: file.stat().st_size for row, file in zip(store.segments, store.files, strict=True)}
    there = destination.list_files()
    old = _read_manifest(destination, name, there)
    destination.create()
    missing = [row for row in store.segments if again or not _is_there(row, sizes, there, old)]
    _write_segments(store, missing, destination, progress)
    there = destination.list_files()
    if absent := _find_absent(sizes, there):
        raise UnreachableError(f"{absent[0]} did not arrive whole")
    latest = _read_manifest(destination, name, there)
    before = _find_files_before(set(sizes), latest, commit)
    removed = []
    if latest == old:  # else somebody else publishes, too, and may need them
        removed = _find_unused({MANIFEST, *sizes, *before}, there, old, again=again)
    for file in removed:
        destination.remove(file)
    raw = _pack_manifest(name, store, before)
    if latest is None or latest.raw != raw:
        destination.write(MANIFEST, io.BytesIO(raw))
        absent = _find_absent(sizes, destination.list_files())  # somebody else may have removed what we had seen there
        _write_segments(store, [row for row in store.segments if row.file in absent], destination, progress)
    with writing(store.folder, "changed"):
        replace_file(store.folder / PUBLISHED, json.dumps({"url": destination.url, "commit": commit}).encode())
    written = sum(sizes[row.file] for row in missing)
    return Report(destination.url, commit, len(sizes), len(missing), written, len(removed))


def _write_segments(store: Store, rows: Sequence[SegmentRow], destination: Destination, progress: Progress) -> None:
    for number, row in enumerate(rows):
        progress(number, len(rows))
        load_listed(store.folder, row, d=store.info.d)  # which verifies it
        with open_segment(store.folder / SEGMENTS, row.file) as source:
            destination.write(row.file, source)


def _find_absent(sizes: Mapping[str, int], there: Mapping[str, int]) -> list[str]:
    return [file for file, size in sizes.items() if there.get(file) != size]


def _is_there(row: SegmentRow, sizes: Mapping[str, int], there: Mapping[str, int], old: Manifest | None) -> bool:
    """Whether a segment lies there, as far as its size and the sums in the manifest show."""
    is_other = old is not None and old.sums.get(row.file, row.sums) != row.sums
    return there.get(row.file) == sizes[row.file] and not is_other


def _find_files_before(files: set[str], old: Manifest | None, commit: str) -> set[str]:
    """The files that only readers of the state before need, if `files` are those of the new state, `commit`."""
    if old is None:
        return set()
    return (set(old.before) if old.commit == commit else set(old.sums)) - files


def _find_unused(used: set[str], there: Mapping[str, int], old: Manifest | None, *, again: bool) -> list[str]:
    """The files that can be removed: those of states before the last one; `again`, those that killed runs left, too."""
    gone = set(there) if again else set(old.before if old else ())
    return sorted(file for file in gone - used if file in there and _is_ours(file))


def _is_ours(file: str) -> bool:
    return file == MANIFEST or NAME.fullmatch(file) is not None or _TEMPORARY.fullmatch(file) is not None


def _pack_manifest(name: str, store: Store, before: set[str]) -> bytes:
    """The manifest of a catalog, as docs/storage.md describes it."""
    info = store.info
    segments = [
        {
            "file": row.file,
            "first": row.first,
            "rows": row.rows,
            "sums": _as_text(row.sums),
            "dead": _as_text(pack_marks(row.dead)),
            "joined": _as_text(pack_marks(row.joined)),
        }
        for row in store.segments
    ]
    manifest = {
        "attnsearch": "a published catalog",
        "version": VERSION,
        "name": name,
        "form": FORM,
        "commit": info.commit,
        "model": info.model,
        "sha256": info.sha256,
        "identity": whole_identity(info),
        "d": info.d,
        "temperature": info.temperature,
        "segments": segments,
        "before": sorted(before),
    }
    return json.dumps(manifest, indent=1).encode()


def _as_text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _read_manifest(destination: Destination, name: str, there: Mapping[str, int]) -> Manifest | None:
    """The manifest of the catalog `name` at a destination; None if there is none yet.

    Raises InputError if it has other files or another catalog, CatalogError if its manifest is invalid.
    """
    elsewhere = "publish to another folder"
    if MANIFEST not in there:
        if others := sorted(file for file in there if not _is_ours(file)):
            raise InputError(f"has other files, such as {others[0]}", where=destination.url, hint=elsewhere)
        return None
    where = f"{destination.url}/{MANIFEST}"
    try:
        manifest = parse_manifest(destination.read(MANIFEST, _LARGEST))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CatalogError(f"is not a manifest of attnsearch: {error}", where=where, hint=elsewhere) from None
    if manifest.name != name:
        raise InputError(f"the catalog '{manifest.name}' is published there", where=destination.url, hint=elsewhere)
    return manifest


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in these bytes, which may be anyone's. Raises ValueError, LookupError, TypeError, RecursionError."""
    if len(raw) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    record = json.loads(raw)
    if not isinstance(record, dict) or type(record.get("version")) is not int:
        raise ValueError("it has no version")
    if record["version"] > VERSION:
        raise ValueError(f"a newer attnsearch wrote it (version {record['version']}, not {VERSION})")
    texts = [record[field] for field in ("name", "commit", "model", "sha256", "identity")]
    d, temperature = record["d"], record["temperature"]
    is_valid = all(isinstance(text, str) for text in texts) and type(record["form"]) is int
    is_valid &= type(d) is int and 1 <= d <= WIDEST and type(temperature) is float and 0 < temperature < math.inf
    if not is_valid:
        raise ValueError("it holds values that no publication writes")
    sums: dict[str, bytes] = {}
    end = 0
    for segment in record["segments"]:
        first, rows = segment["first"], segment["rows"]
        if type(first) is not int or type(rows) is not int or not end <= first < first + rows <= MOST_KEYS:
            raise ValueError("its segments overlap, or have no rows")
        end = first + rows
        sums[_parse_file(segment["file"])] = _parse_sums(segment, rows)
    if len(sums) < len(record["segments"]):
        raise ValueError("it names a segment twice")
    return Manifest(record["name"], record["commit"], sums, frozenset(map(_parse_file, record["before"])), raw)


def _parse_file(file: object) -> str:
    """The name of a segment's file, which leads nowhere else. Raises ValueError for another one."""
    if not isinstance(file, str) or not NAME.fullmatch(file):
        raise ValueError("a segment has another name than segments have")
    return file


def _parse_sums(segment: Mapping[str, Any], rows: int) -> bytes:
    """The checksums of a segment. Raises ValueError if these, or its marks, are not those of so many rows."""
    sums, *marks = (segment[name] and base64.b64decode(segment[name], validate=True) for name in _BYTES)
    lengths = [len(sums), *(len(bits) for bits in marks if bits is not None)]
    if lengths != [checksum.SIZE * (1 + -(-rows // ROWS)), *[-(-rows // 8)] * (len(lengths) - 1)]:
        raise ValueError("its checksums or marks have another length than its rows ask for")
    return bytes(sums)
