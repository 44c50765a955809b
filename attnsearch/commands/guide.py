"""`attnsearch lesson` and `docs`: attention in a library of four books, step by step; the documentation."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.lesson.story import LAST
from attnsearch.output.safe_text import WIDTH, Screen, to_json
from attnsearch.syntax.nearest import find_nearest
from attnsearch.terminal import argv, browser, options, progress, slides, streams

if TYPE_CHECKING:
    from attnsearch.lesson.slide import Slide

PACKAGE = Path(__file__).resolve().parents[1]
_FIRST, _LAST = ("readme", "reference"), ("changelog",)
_SENTENCE = re.compile(r"^(?!#)\S.*?\.(?=\s)", re.MULTILINE | re.DOTALL)
_RELATIVE_LINK = re.compile(r"!?\[([^\]]+)\]\((?!https?:)[^)]+\)")


def lesson(
    step: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=LAST, rich_help_panel=options.SHOWN, help=f"Show only slide N, from 1 to {LAST}."
        ),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", rich_help_panel=options.SHOWN, help="Show all slides at once, without waiting or colors."
        ),
    ] = False,
    save: Annotated[Path | None, options.arrays_option("of the four books ")] = None,
    format_: options.ReportFormat = None,
    json: options.Json = False,
    out: options.Out = None,
    open_: options.Open = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Follow attention through a library of four books, with numbers for a pocket calculator.

    attnsearch lesson

    The seven steps of softmax(QKᵀ/√d_k)·V come first, then what else decides who gets attention, and at the end the
    same with the numbers of the real encoder.

    attnsearch lesson --step 6

    attnsearch lesson -o lesson.html --open
    """
    form = options.choose_report(format_, json=json, out=out, is_opened=open_)
    if plain and form != "table":
        raise InputError(f"--plain and --format {form} say two things", hint="leave out one")
    if plain and color == "always":
        raise InputError("--plain is without colors", hint="leave out --plain or --color")
    if save is not None:
        from attnsearch.explanation.saved import save_arrays
        from attnsearch.lesson.steps import collect_arrays

        save_arrays(save, collect_arrays())
    describe_screen = partial(streams.screen, color="never" if plain else color, quiet=quiet, out=out)
    chosen = _choose_slides(step, offline=offline, quiet=quiet)
    if form == "html":
        from attnsearch.pages.lesson import lesson_page

        browser.emit_page(lesson_page([*chosen], argv.command_line()), out, is_opened=open_)
    elif form == "json":
        from attnsearch.lesson.slide import as_json

        streams.emit([to_json({"slides": [as_json(slide) for slide in chosen]}, describe_screen(), indent=2)], out)
    else:
        from attnsearch.pictures.lesson import draw_slide

        drawn = (draw_slide(slide, describe_screen()) for slide in chosen)  # each fits the window as it is then
        if step is None and out is None and not plain and slides.is_read_by_a_person():
            slides.turn(drawn, LAST)
        else:
            streams.emit((("\n" if number else "") + text for number, text in enumerate(drawn)), out)


def _choose_slides(step: int | None, *, offline: bool, quiet: bool) -> Iterator[Slide]:
    """The slide of this number, or all; each is computed when it is asked for."""
    from attnsearch.lesson.steps import steps
    from attnsearch.lesson.variations import variations

    if step == LAST:
        yield _built_in(offline=offline, quiet=quiet)
        return
    small = [*steps(), *variations()]
    if step is not None:
        yield small[step - 1]
        return
    yield from small
    try:
        yield _built_in(offline=offline, quiet=quiet)
    except AttnsearchError as problem:
        from attnsearch.lesson.built_in import missing

        yield missing(problem)


def _built_in(*, offline: bool, quiet: bool) -> Slide:
    """The slide of the built-in library. Raises as `Index.open` does."""
    from attnsearch.lesson.built_in import CATALOG, built_in
    from attnsearch.opening.index import Index

    with (
        progress.working(quiet=quiet) as working,
        Index.open(CATALOG, offline=offline, progress=working.progress) as index,
    ):
        return built_in(index)


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
