"""Files and folders → the records of each file.

In a folder, a Markdown or text file is an item, and any other file a file of items. A file of one mapping without a
title or text is left out, since such files hold settings. Beside Markdown or text, whose titles are in the field
`title`, a `name` is not a title.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.readers import documents, raw_file, records, text_file
from attnsearch.syntax import formats
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.syntax.names import NAMES, Names, describes_item, fold_name
from attnsearch.syntax.values import Mapping, Records

FILES = 1_000_000  # in a folder
GLOB = 1_000  # characters of a pattern

_HEAD = 8 << 10  # bytes in which a file that is not text has a zero
_SUFFIXES = (*documents.MARKDOWN, *documents.TEXT, *formats.SUFFIXES)

log = logging.getLogger("attnsearch")


def read_sources(
    sources: Sequence[str],
    *,
    reading: Reading = AS_FOUND,
    given: Collection[str] = (),
    observers: Sequence[Callable[[bytes], object]] = (),
) -> Iterator[tuple[str, Records]]:
    """The files of `sources`, each with its name in messages and its records; `-` is standard input.

    Records are known by the fields that were `given` for titles and texts, and by the usual ones of `NAMES`. Each file
    is opened when the one before it ends. One of the `observers` for each source gets its bytes, see `read_records`;
    of a folder, it gets a name and a digest for each of its files, see `folder_digest`.

    Raises InputError as `read_records` does, and for a folder without files to read.
    """
    titles = frozenset(map(fold_name, given))
    names = NAMES._replace(title=NAMES.title | titles)
    for source, observe in zip(sources, observers or [len] * len(sources), strict=True):
        if source != "-" and Path(source).is_dir():
            yield from _read_folder(source, reading, names, titles | {"title"}, observe)
        elif reading.form is None and Path(source).suffix.lower() in documents.MARKDOWN:
            raw_file.check_file(source)
            yield source, _read_document(Path(source), Path(source).name, names, observe)
        else:
            file = records.read_records(source, reading=reading, names=names, as_text=names.all, observe=observe)
            yield raw_file.source_name(source), file


def list_files(folder: Path, glob: str | None = None) -> tuple[list[Path], Counter[str]]:
    """The files of a folder to read, in order, and how many others there are of each kind.

    Hidden ones and links are not read; without `glob`, nor are those with an ending that we do not know. A pattern
    without `/` is for names; one with `/` for paths in the folder, and `**` in it stands for any folders.

    Raises InputError if the folder, or one in it, can't be read, or if it has more than `FILES` files.
    """
    if glob is not None and (len(glob) > GLOB or not glob.strip("/")):
        raise InputError(f"invalid --glob '{glob[:80]}'", hint="for example '*.md' or 'posts/**/*.md'")
    matches = _compile(glob) if glob is not None else None
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    for parent, folders, names in os.walk(folder, onerror=_raise_unreadable):
        for name in [*folders, *names]:
            path = Path(parent, name)
            if name.startswith("."):
                skipped["hidden"] += 1
            elif path.is_symlink():
                skipped["linked"] += 1
            elif name in folders:
                continue
            elif not path.is_file():
                skipped["not regular"] += 1
            elif matches(path.relative_to(folder).as_posix()) if matches else path.suffix.lower() in _SUFFIXES:
                files.append(path)
            else:
                skipped["of other names" if matches else "of other kinds"] += 1
        folders[:] = [name for name in folders if not name.startswith(".")]
        if len(files) > FILES:
            raise InputError(f"more than {FILES:,} files", where=str(folder))
    return sorted(files, key=lambda path: path.parts), skipped


def folder_digest(folder: str, glob: str | None = None) -> str:
    """The SHA-256 of the names and contents of all files of a folder that are read. Raises InputError."""
    digest = hashlib.sha256()
    for path in list_files(Path(folder), glob)[0]:
        try:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror}", where=str(path)) from None
        digest.update(_entry(path, folder, content.digest()))
    return digest.hexdigest()


def _read_folder(
    source: str, reading: Reading, names: Names, titles: frozenset[str], observe: Callable[[bytes], object]
) -> Iterator[tuple[str, Records]]:
    files, skipped = list_files(Path(source), reading.glob)
    has_documents = any(_is_document(path, reading) for path in files)
    of_items = names._replace(title=titles) if has_documents else names
    read = 0
    for path in files:
        raw_file.check_file(str(path))
        content = hashlib.sha256()
        if _is_binary(path):
            skipped["not text"] += 1
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256")
        else:
            file = _read_file(path, source, reading, names, content.update)
            start = list(itertools.islice(file.items, 2))
            if len(start) == 1 and not describes_item(start[0], of_items):
                skipped["without a title or text"] += 1  # settings of a program, and the like
            else:
                read += 1
                yield str(path), Records(Mapping(), itertools.chain(start, file.items))
        observe(_entry(path, source, content.digest()))
    left = ", ".join(f"{count:,} {kind}" for kind, count in skipped.items())
    if not read:
        hint = "--glob '*' reads all files as text" if skipped["of other kinds"] else ""
        raise InputError(f"no files to read{f'; there are {left}' if left else ''}", where=source, hint=hint)
    if left:
        log.warning("%s: %s; not read: %s", source, "one file" if read == 1 else f"{read:,} files", left)


def _read_file(path: Path, folder: str, reading: Reading, names: Names, observe: Callable[[bytes], object]) -> Records:
    if _is_document(path, reading):
        return _read_document(path, path.relative_to(folder).as_posix(), names, observe)
    return records.read_records(str(path), reading=reading, names=names, as_text=names.all, observe=observe)


def _is_document(path: Path, reading: Reading) -> bool:
    return reading.form is None and path.suffix.lower() not in formats.SUFFIXES


def _read_document(path: Path, name: str, names: Names, observe: Callable[[bytes], object]) -> Records:
    file = text_file.open_text(str(path), observe=observe)
    with closing(file.raw):
        text = file.read_rest()
    return Records(Mapping(), iter([documents.read_document(text, name, str(path), names.all)]))


def _entry(path: Path, folder: str, digest: bytes) -> bytes:
    """What stands for a file in the digest of its folder; no name has a zero."""
    return os.fsencode(path.relative_to(folder).as_posix()) + b"\0" + digest


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return b"\0" in stream.read(_HEAD)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=str(path)) from None


def _compile(glob: str) -> Callable[[str], object]:
    """A function that tells whether a path in a folder matches a pattern."""
    if "/" not in glob:
        name_pattern = re.compile(fnmatch.translate(glob))
        return lambda path: name_pattern.match(path.rpartition("/")[2])
    parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in glob.strip("/").split("/")]

    def matches(path: str) -> bool:
        # The positions in the pattern that the names so far can lead to.
        positions = _skip_stars(parts, {0})
        for name in path.split("/"):
            following = {i for i in positions if i < len(parts) and parts[i] is None}
            following |= {
                i + 1 for i in positions if i < len(parts) and (part := parts[i]) is not None and part.match(name)
            }
            positions = _skip_stars(parts, following)
        return len(parts) in positions

    return matches


def _skip_stars(parts: list[re.Pattern[str] | None], positions: set[int]) -> set[int]:
    """The positions, and those behind each `**` there, which may stand for nothing."""
    reached = set(positions)
    for i in range(len(parts)):
        if i in reached and parts[i] is None:
            reached.add(i + 1)
    return reached


def _raise_unreadable(error: OSError) -> None:
    raise InputError(f"can't be read: {error.strerror}", where=str(error.filename)) from None
