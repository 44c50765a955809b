"""The documents' fenced blocks, run as a reader would run them.

Blocks of `sh` are scripts. In blocks of `text`, lines that begin with `$ ` are commands, followed by their output on a
terminal of 100 columns without colors. A line of only `…` stands for omitted lines. In docs/python.md, the block of
`text` after one of `python` is what that prints.

    python -m tests.documents       # writes the present output under every command
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference.md"
PYTHON = ROOT / "docs" / "python.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]

COLUMNS = 100
OMITTED = "…"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SCRIPT = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_TIMES = re.compile(r"\b\d+(\.\d+)? m?s\b")
_DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[-+]\d+)?(?![\w.])")


class Shown(NamedTuple):
    """A script without output, or a command with the output that the document shows."""

    script: str
    output: str | None


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for name, body in _BLOCK.findall(document.read_text()) if name == language]


def shown(text: str) -> Iterator[Shown]:
    """Everything that a reader of the document can run, in order."""
    for language, body in _BLOCK.findall(text):
        if language == "sh":
            yield Shown(body, None)
        elif language == "text":
            yield from (Shown(command, output) for command, output in _ANSWER.findall(body))


def scripts_of(text: str) -> list[tuple[str, str]]:
    """Every block of Python, and what it prints: the block of text after it."""
    return _SCRIPT.findall(text)


class Terminal:
    """A shell with `attnsearch`, its own home, and a folder that has the project's `catalogs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "ATTNSEARCH_HOME": str(folder / "home"),
            "COLUMNS": str(COLUMNS),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
            "TERM": "xterm",  # which pagers ask for
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": str(ROOT),
        }
        (folder / "catalogs").symlink_to(ROOT / "catalogs")

    def run(self, script: str) -> tuple[int, str, str]:
        """Run a script: its exit code, its stdout, which is a terminal, and its stderr, which is not."""
        ours, theirs = pty.openpty()
        argv = ["bash", "-c", f'set -eo pipefail; attnsearch() {{ {sys.executable} -m attnsearch "$@"; }}\n{script}']
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdout=theirs, stderr=errors)
            os.close(theirs)
            output = b"".join(iter(lambda: _read(ours), b""))
            os.close(ours)
            code = process.wait(timeout=600)
            errors.seek(0)
            return code, output.decode().replace("\r\n", "\n"), errors.read().decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the last process on the other side has ended
        return b""


def is_shown(expected: str, output: str) -> bool:
    """Whether `output` is what the document shows, except for times, and for the last digit of decimals.

    Sums of float32 depend on the processor, and on how many threads share them.
    """
    pattern, decimals = "", []
    for line in _TIMES.sub("TIME", expected).splitlines(keepends=True):
        if line.strip() == OMITTED:
            pattern += r"(?:.*\n)*"
            continue
        decimals += _DECIMAL.findall(line)
        pattern += f"({_DECIMAL.pattern})".join(map(re.escape, _DECIMAL.split(line)))
    match = re.fullmatch(pattern, _TIMES.sub("TIME", output))
    return match is not None and all(map(_is_near, decimals, match.groups()))


def _is_near(expected: str, number: str) -> bool:
    """Whether two decimals differ by one in the last digit, at most."""
    digits, _, exponent = expected.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(float(expected) - float(number)) < 1.5 * unit


def _shorten(output: str, expected: str) -> str:
    """Omit lines of `output` so that as many remain before and after them as in `expected`."""
    lines, expected_lines = output.splitlines(keepends=True), expected.splitlines()
    if OMITTED not in expected_lines:
        return output
    before = expected_lines.index(OMITTED)
    after = len(expected_lines) - before - 1
    return "".join([*lines[:before], f"{OMITTED}\n", *lines[len(lines) - after :]])


def rewrite(text: str, terminal: Terminal) -> str:
    """The document with the present output under each command; where only times differ, the shown one stays."""

    def rewrite_answer(match: re.Match[str]) -> str:
        command, shown_output = match.groups()
        _, output, errors = terminal.run(command)
        if "Traceback" in errors:
            raise RuntimeError(errors)
        if is_shown(shown_output, output + errors):
            return match[0]
        return f"$ {command}\n{_shorten(output + errors, shown_output)}"

    def rewrite_block(match: re.Match[str]) -> str:
        language, body = match.groups()
        if language == "sh":
            code, _, errors = terminal.run(body)
            if code:
                raise RuntimeError(f"{body}{errors}")
        return f"```{language}\n{_ANSWER.sub(rewrite_answer, body) if language == 'text' else body}```"

    return _BLOCK.sub(rewrite_block, text)


def rewrite_scripts(text: str) -> str:
    """The document with what each block of Python prints now below it."""
    namespace: dict[str, object] = {}

    def rewrite_script(match: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(match[1], namespace)
        return f"```python\n{match[1]}```\n\n```text\n{printed.getvalue()}```"

    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = folder
        return _SCRIPT.sub(rewrite_script, text)


if __name__ == "__main__":
    PYTHON.write_text(rewrite_scripts(PYTHON.read_text()))
    for document in (README, REFERENCE):
        with tempfile.TemporaryDirectory() as folder:
            document.write_text(rewrite(document.read_text(), Terminal(Path(folder))))
