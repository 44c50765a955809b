"""The documents' fenced blocks, run as a reader would run them.

Blocks of `sh` are scripts. Blocks of `text` whose lines begin with `$ ` are commands and what they print, on a terminal
of 100 columns without colors. A line that is only `…` stands for lines left out.

    python -m tests.documents       # writes the present output under every command
"""

from __future__ import annotations

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
DOCUMENTS = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]

COLUMNS = 100
LEFT_OUT = "…"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_TIMES = re.compile(r"\b\d+(\.\d+)? m?s\b")


class Shown(NamedTuple):
    """A script, or a command with the output that the document shows for it."""

    script: str
    output: str | None


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for name, body in _BLOCK.findall(document.read_text()) if name == language]


def shown(text: str) -> Iterator[Shown]:
    """All that a reader of the document can run, in order."""
    for language, body in _BLOCK.findall(text):
        if language == "sh":
            yield Shown(body, None)
        elif language == "text":
            yield from (Shown(command, output) for command, output in _ANSWER.findall(body))


class Terminal:
    """A shell in a folder and a home of its own, with `attnsearch` and, under the folder, the project's `catalogs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "ATTNSEARCH_HOME": str(folder / "home"),
            "COLUMNS": str(COLUMNS),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": str(ROOT),
        }
        (folder / "catalogs").symlink_to(ROOT / "catalogs")

    def run(self, script: str) -> tuple[int, str, str]:
        """The exit code, what stdout, a terminal, shows, and stderr, a pipe."""
        ours, theirs = pty.openpty()
        argv = ["bash", "-c", f'set -eo pipefail; attnsearch() {{ {sys.executable} -m attnsearch "$@"; }}\n{script}']
        with tempfile.TemporaryFile() as errors:
            started = subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdout=theirs, stderr=errors)
            os.close(theirs)
            output = b"".join(iter(lambda: _read(ours), b""))
            os.close(ours)
            code = started.wait(timeout=600)
            errors.seek(0)
            return code, output.decode().replace("\r\n", "\n"), errors.read().decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the last process on the other side has gone
        return b""


def is_shown(expected: str, output: str) -> bool:
    """Whether `output` is what the document shows, whatever time it took."""
    lines = _TIMES.sub("TIME", expected).splitlines(keepends=True)
    pattern = "".join(r"(?:.*\n)*" if line.strip() == LEFT_OUT else re.escape(line) for line in lines)
    return re.fullmatch(pattern, _TIMES.sub("TIME", output)) is not None


def _shortened(expected: str, output: str) -> str:
    """`output` with as many lines before and after the lines left out as `expected` has."""
    lines, old = output.splitlines(keepends=True), expected.splitlines()
    if LEFT_OUT not in old:
        return output
    first = old.index(LEFT_OUT)
    last = len(old) - first - 1
    return "".join([*lines[:first], f"{LEFT_OUT}\n", *lines[len(lines) - last :]])


def rewritten(text: str, terminal: Terminal) -> str:
    """The document with the present output under each of its commands."""

    def answered(found: re.Match[str]) -> str:
        _, output, errors = terminal.run(found[1])
        if "Traceback" in errors:
            raise RuntimeError(errors)
        return f"$ {found[1]}\n{_shortened(found[2], output + errors)}"

    def block(found: re.Match[str]) -> str:
        if found[1] == "sh":
            code, _, errors = terminal.run(found[2])
            if code:
                raise RuntimeError(f"{found[2]}{errors}")
        return f"```{found[1]}\n{_ANSWER.sub(answered, found[2]) if found[1] == 'text' else found[2]}```"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    for document in (README, REFERENCE):
        with tempfile.TemporaryDirectory() as folder:
            document.write_text(rewritten(document.read_text(), Terminal(Path(folder))))
