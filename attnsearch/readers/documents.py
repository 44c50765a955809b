"""A Markdown or text file → its record: title, text, path, and the fields of its front matter.

Front matter is YAML between lines of `---`, or TOML between lines of `+++`, at the very beginning.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.syntax.names import NAMES, fold_name
from attnsearch.syntax.values import DEPTH, Mapping, Value, require_finite, unwrap

MARKDOWN = (".md", ".markdown", ".mdx", ".rst")
TEXT = (".txt", ".text")

TOML = 64 << 10  # characters of front matter in TOML, whose reader is not linear

_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]+(\S.*)")
_CLOSING = re.compile(r"(^|[ \t])#+[ \t]*$")
_UNDERLINE = re.compile(r"[ ]{0,3}=+[ \t]*")
_FIELD = re.compile(r"""(?:[\w"'][^:\n]{0,200}:(?:\s|$)|\{|#|$)""")


class Heading(NamedTuple):
    """The first heading of a text: its words, and the lines before and after it."""

    title: str
    before: list[str]
    after: list[str]


def read_document(text: str, path: str, where: str, as_text: frozenset[str] = frozenset()) -> Mapping:
    """The record of a Markdown or text file whose text is given; `path` is relative to the folder that is read.

    The id is the path, and the title the first heading, else the name of the file, unless the front matter has them.
    The text is the description, or `body` if the front matter has a description. Values of keys in `as_text` stay text.

    Raises InputError, with `where` and the line, for invalid front matter.
    """
    name = PurePosixPath(path)
    text = text.replace("\r\n", "\n")
    front: dict[str, Value] = {}
    body = text
    if name.suffix.lower() in MARKDOWN:
        front, body = _split_front_matter(text, where, as_text)
    titled = any(fold_name(key) in NAMES.title and unwrap(value) not in (None, "") for key, value in front.items())
    heading = find_heading(body) if not titled and name.suffix.lower() in MARKDOWN else None
    if heading and not "".join(heading.before).strip():
        body = "\n".join(heading.after)
    own = {fold_name(key) for key in front}
    record = Mapping() if "id" in own else Mapping(id=path)
    if not titled:
        record["title"] = heading.title if heading else name.stem
    if body.strip():
        record["body" if "description" in own else "description"] = body.strip()
    record.update(front)
    record.setdefault("path", path)
    record.line = 1
    return record


def find_heading(text: str) -> Heading | None:
    """The first heading outside of code: `# Title`, or a line above one of `=`. None if there is none."""
    lines = text.split("\n")
    fence = ""
    for number, line in enumerate(lines):
        if match := _FENCE.match(line):
            marks = match[1]
            if not fence:
                fence = marks
            elif marks.startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif fence:
            continue
        elif match := _HEADING.fullmatch(line.rstrip()):
            if title := _CLOSING.sub("", match[1]).strip():
                return Heading(title, lines[:number], lines[number + 1 :])
        elif number and _UNDERLINE.fullmatch(line) and (title := lines[number - 1].strip()) and title.strip("="):
            return Heading(title, _without_overline(lines[: number - 1]), lines[number + 1 :])
    return None


def _without_overline(lines: list[str]) -> list[str]:
    """The lines before a title, without the line above it that reStructuredText allows."""
    return lines[:-1] if lines and lines[-1] and _UNDERLINE.fullmatch(lines[-1]) else lines


def _split_front_matter(text: str, where: str, as_text: frozenset[str]) -> tuple[dict[str, Value], str]:
    """The fields of the front matter, and the text after it; a rule at the beginning of a text is not front matter."""
    first, _, rest = text.partition("\n")
    match first.rstrip():
        case "---":
            end = re.search(r"^(?:---|\.\.\.)[ \t]*$", rest, re.MULTILINE)
            if end and (end.start() == 0 or _FIELD.match(rest)):
                front = _parse_yaml(rest[: end.start()], where, as_text)
                if front is not None:
                    return front, rest[end.end() :].removeprefix("\n")
        case "+++":
            end = re.search(r"^\+\+\+[ \t]*$", rest, re.MULTILINE)
            if end:
                return _parse_toml(rest[: end.start()], where), rest[end.end() :].removeprefix("\n")
    return {}, text


def _parse_yaml(text: str, where: str, as_text: frozenset[str]) -> dict[str, Value] | None:
    """The mapping in the text, which begins on the second line; None if it is not one."""
    from attnsearch.syntax import yaml12

    documents = yaml12.parse_documents(f"\n{text}", where=where, as_text=as_text)
    if not documents:
        return {}
    return documents[0] if len(documents) == 1 and isinstance(documents[0], Mapping) else None


def _parse_toml(text: str, where: str) -> dict[str, Value]:
    """The mapping in the text, which begins on the second line. Raises InputError."""
    import tomllib

    if len(text) > TOML:
        raise InputError(f"front matter of more than {TOML >> 10} KiB", where=f"{where}:2")
    try:
        return {key: _convert(value) for key, value in tomllib.loads(text).items()}
    except RecursionError:
        raise InputError(f"nested more than {DEPTH} deep", where=f"{where}:2") from None
    except ValueError as error:
        match = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(match[1]) + 1 if match else 2
        message = str(error)[: match.start()] if match else str(error)
        raise InputError(f"not TOML: {message}", where=f"{where}:{line}") from None


def _convert(value: object, depth: int = 1) -> Value:
    """A value of TOML as JSON has it; dates as ISO 8601. Raises RecursionError for deep nesting."""
    from datetime import date, time

    if depth > DEPTH:
        raise RecursionError
    match value:
        case dict():
            return {key: _convert(inner, depth + 1) for key, inner in value.items()}
        case list():
            return [_convert(inner, depth + 1) for inner in value]
        case date() | time():
            return value.isoformat()
        case float():
            return require_finite(value, str(value))
    return value
