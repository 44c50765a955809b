"""`attnsearch docs`: the documentation, in the terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Annotated

import typer

from attnsearch.errors import CatalogError, InputError
from attnsearch.output.safe_text import WIDTH, Screen
from attnsearch.syntax.nearest import find_nearest
from attnsearch.terminal import options, streams

PACKAGE = Path(__file__).resolve().parents[1]
_FIRST, _LAST = ("readme", "reference"), ("changelog",)
_SENTENCE = re.compile(r"^(?!#)\S.*?\.(?=\s)", re.MULTILINE | re.DOTALL)
_RELATIVE_LINK = re.compile(r"!?\[([^\]]+)\]\((?!https?:)[^)]+\)")


def pages() -> dict[str, Path]:
    """The pages by name: those inside the installed package, or beside it in a checkout.

    Raises CatalogError if there are none.
    """
    installed, checkout = PACKAGE / "docs", PACKAGE.parent
    if installed.is_dir():
        files = sorted(installed.glob("*.md"))
    else:
        files = [checkout / "README.md", *sorted(checkout.glob("docs/*.md")), checkout / "CHANGELOG.md"]
    by_name = {file.stem.lower(): file for file in files if file.exists()}
    if not by_name:
        raise CatalogError("the documentation is not installed", where=str(installed), hint="reinstall attnsearch")
    middle = [name for name in by_name if name not in (*_FIRST, *_LAST)]
    return {name: by_name[name] for name in (*_FIRST, *middle, *_LAST) if name in by_name}


def complete_page(incomplete: str) -> list[str]:
    """The pages whose name begins with `incomplete`, for the shell's completion."""
    try:
        return [name for name in pages() if name.startswith(incomplete)]
    except CatalogError:
        return []


def docs(
    page: Annotated[
        str | None,
        typer.Argument(metavar="PAGE", autocompletion=complete_page, help="Page to show."),
    ] = None,
    out: options.Out = None,
    color: options.Color = "auto",
) -> None:
    """Show a page of the documentation. Without PAGE, list the pages.

    attnsearch docs

    attnsearch docs reference

    attnsearch docs attention | less
    """
    files = pages()
    if page is None:
        from attnsearch.output.table import listing

        rows = [(name, _summarize(_read(file))) for name, file in files.items()]
        screen = streams.screen(color=color, out=out)
        streams.emit([listing(("page", "about"), rows, screen, elastic=("about",))], out)
        return
    name = page.lower().removeprefix("docs/").removesuffix(".md")
    if name not in files:
        near = find_nearest(name, files)
        hint = f"did you mean '{near[0]}'?" if near else "'attnsearch docs' lists the pages"
        raise InputError(f"there is no page '{page}'", hint=hint)
    screen = streams.screen(color=color, out=out)
    text = _read(files[name])
    is_for_people = screen.is_terminal or screen.colors > 0
    streams.emit([_render(text, screen) if is_for_people else text], out)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"can't be read: {error.strerror}", where=str(file), hint="reinstall attnsearch") from None
    except UnicodeDecodeError:
        raise CatalogError("not UTF-8", where=str(file), hint="reinstall attnsearch") from None


def _summarize(text: str) -> str:
    r"""The first sentence under a page's title, on one line.

    >>> _summarize("# Storage\n\nEnough to read an index\nwithout attnsearch. Form 2.\n")
    'Enough to read an index without attnsearch.'
    """
    sentence = _SENTENCE.search(text)
    return " ".join(sentence[0].split()) if sentence else ""


def _render(text: str, screen: Screen) -> str:
    """Format a page for a terminal. A relative link leads nowhere there, so only its text is shown.

    Code has no background, which would be a black box on a light terminal.
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    out = io.StringIO()
    console = Console(
        file=out,
        width=screen.width or WIDTH,
        force_terminal=screen.colors > 0,
        color_system="standard" if screen.colors else None,
        no_color=not screen.colors,
        legacy_windows=False,
        theme=Theme({"markdown.code": "bold blue" if screen.is_light else "bold cyan"}),
    )
    code_theme = "ansi_light" if screen.is_light else "ansi_dark"
    console.print(Markdown(_RELATIVE_LINK.sub(r"\1", text), hyperlinks=False, code_theme=code_theme))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
