"""`attnsearch lesson`: attention in a library of four books, with numbers to follow on paper."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.lesson.story import LAST
from attnsearch.output.safe_text import to_json
from attnsearch.terminal import argv, browser, options, progress, slides, streams

if TYPE_CHECKING:
    from attnsearch.lesson.slide import Slide


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
