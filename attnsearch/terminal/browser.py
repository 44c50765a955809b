"""A page that was written → the user's browser."""

from __future__ import annotations

import sys
from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.terminal.streams import as_line, emit_bytes


def check_open(form: str, out: str | None) -> None:
    """Raise InputError for --open of anything but a page in a file."""
    if form != "html" or out is None:
        raise InputError("--open is for a page in a file", hint="name the file: -o FILE.html")
    if Path(out).exists() and not Path(out).is_file():
        raise InputError("is not a file, which --open needs", where=out, hint="name a file: -o FILE.html")


def emit_page(page: str, out: str | None, *, is_opened: bool) -> None:
    """Write a page, in UTF-8, to stdout or to the file `out`, and open that in the browser if asked."""
    emit_bytes([page.encode()], out)
    if is_opened and out is not None:
        path = Path(out).absolute()
        open_page(path.as_uri(), str(path))


def open_page(url: str, place: str) -> None:
    """Open a page in the browser; where there is none, stderr says the page's place."""
    import webbrowser

    try:
        is_open = webbrowser.open(url)
    except (webbrowser.Error, OSError, ValueError):  # such as $BROWSER with half of its quotes
        is_open = False
    if not is_open:
        sys.stderr.write(as_line(f"attnsearch: no browser could be opened; the page is in {place}"))
