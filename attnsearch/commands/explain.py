"""`attnsearch explain`: every step of the formula, or why an item has its logit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import InputError
from attnsearch.output.safe_text import to_json
from attnsearch.terminal import argv, browser, options, progress, streams
from attnsearch.terminal.catalogs import open_index
from attnsearch.terminal.setting_options import SettingOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attnsearch.explanation.matrix import By
    from attnsearch.opening.index import Index
    from attnsearch.output.safe_text import Screen
    from attnsearch.search.result import Result
    from attnsearch.search.setting import Setting


def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    item: Annotated[
        str | None,
        typer.Argument(metavar="ITEM", help="An id or title: explain the logit of this item."),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            "--over",
            metavar="OTHER",
            rich_help_panel=options.SHOWN,
            allow_from_autoenv=False,
            help="Explain why ITEM ranks above or below the item OTHER.",
        ),
    ] = None,
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix",
            rich_help_panel=options.SHOWN,
            allow_from_autoenv=False,
            help="Show what each word of TEXT and each word of ITEM add to its logit together.",
        ),
    ] = False,
    pieces: Annotated[
        bool,
        typer.Option(
            "--pieces",
            rich_help_panel=options.SHOWN,
            allow_from_autoenv=False,
            help="--matrix by the encoder's word pieces.",
        ),
    ] = False,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--and",
            metavar="TEXT",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Ask this too, so that QKᵀ is a matrix. Repeatable.",
        ),
    ] = None,
    catalog: options.Catalogs = None,
    top_k: Annotated[int, options.top_k_option("Follow N items through the steps. (default: 5)")] = 5,
    setting_options: SettingOptions = SettingOptions(),
    value: Annotated[
        list[str] | None, options.value_option("Let V be FIELD: its mean, or shares of its values. Repeatable.")
    ] = None,
    save: Annotated[Path | None, options.arrays_option()] = None,
    format_: options.DrawnFormat = None,
    json: options.Json = False,
    out: options.Out = None,
    open_: options.Open = False,
    on: options.On = None,
    timeout: options.Timeout = DEADLINE,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Show each step of softmax(QKᵀ/√d_k)·V with the numbers that `query` computes for TEXT.

    attnsearch explain "science fiction"

    attnsearch explain "science fiction" --textbook

    attnsearch explain "science fiction" --and "a detective" --value year

    With ITEM, show its logit as a sum over the words of both; with --over, why it ranks above or below OTHER.

    attnsearch explain "science fiction" Solaris --over "The Martian"

    With --matrix, that logit is a sum over pairs: of a word of TEXT and a word of ITEM.

    attnsearch explain "science fiction" Solaris --matrix

    As an SVG or a PNG, it is a map of the items; with --matrix, the matrix.

    attnsearch explain "science fiction" -o map.svg
    """
    _check_options(item, over, {"--and": more, "--value": value, "--save": save}, matrix=matrix, pieces=pieces)
    form = options.choose_report(format_, json=json, allowed=options.DRAWN, out=out, is_opened=open_)
    if form in options.FIGURES:
        _check_figure(item, {"--and": more, "--value": value}, form, matrix=matrix)

    from attnsearch.search.search import check_request

    texts = [text, *(more or ())]
    for request in texts:
        check_request(request)
    if save is not None:
        from attnsearch.explanation.saved import check_file

        check_file(save)  # before anything is computed
    screen = streams.screen(color=color, quiet=quiet, out=out)
    with progress.working(quiet=quiet) as working:
        with open_index(catalog or [], on=on, timeout=timeout, offline=offline, progress=working.progress) as index:
            setting = setting_options.setting(index.info)
            parts: Iterable[str] | bytes
            if item is None:
                results = _follow(index, texts, setting, top_k, value or (), save)
                parts = _render_steps(index, results, setting, screen, form=form)
            else:
                names = [item] if over is None else [item, over]
                by: By | None = ("pieces" if pieces else "words") if matrix else None
                parts = _explain_items(index, text, setting, names, by, screen, form=form)
        working.stop()
        if isinstance(parts, bytes):
            streams.emit_bytes([parts], out)
        elif form == "html":
            browser.emit_page("".join(parts), out, is_opened=open_)
        else:
            streams.emit(parts, out)


def _check_options(
    item: str | None, over: str | None, of_steps: Mapping[str, object], *, matrix: bool, pieces: bool
) -> None:
    """Raise InputError for options that say nothing together; `of_steps` are those that no ITEM can have."""
    if over is not None and item is None:
        raise InputError("--over needs an ITEM to compare with", hint="attnsearch explain TEXT ITEM --over OTHER")
    if pieces and not matrix:
        raise InputError("--pieces is for --matrix alone", hint="attnsearch explain TEXT ITEM --matrix --pieces")
    if matrix and item is None:
        hint = "attnsearch explain TEXT ITEM --matrix"
        raise InputError("--matrix needs an ITEM, whose logit it explains", hint=hint)
    if matrix and over is not None:
        raise InputError(
            "--matrix is for one item, and --over for two, which have different words",
            hint="ask for a matrix of each, or for --over alone, which compares them by the words of TEXT",
        )
    for option, given in of_steps.items():
        if given and item is not None:
            message = f"{option} is for the steps of the formula, which an ITEM does not have"
            raise InputError(message, hint=f"leave out the ITEM, or {option}")


def _check_figure(item: str | None, of_steps: Mapping[str, object], form: str, *, matrix: bool) -> None:
    """Raise InputError for what has no figure; `of_steps` are options that a map can't show."""
    if item is not None and not matrix:
        hint = "add --matrix; or leave out the ITEM, for a map of all"
        raise InputError(f"of an ITEM, {form} has nothing but the matrix", hint=hint)
    for option, given in of_steps.items():
        if given:
            raise InputError(f"{form} is a map for one request, which has no {option}", hint="ask for html")


def _follow(
    index: Index, texts: Sequence[str], setting: Setting, top_k: int, fields: Sequence[str], save: Path | None
) -> list[Result]:
    """The result of each request, with the `top_k` best items of all as hits; the arrays are saved if asked for."""
    from attnsearch.explanation.following import follow_requests

    results = follow_requests(index, texts, setting, k=top_k, values=fields)
    if save is not None:
        from attnsearch.explanation.saved import collect_arrays, save_arrays

        save_arrays(save, collect_arrays(index, texts, setting))
    return results


def _render_steps(
    index: Index, results: Sequence[Result], setting: Setting, screen: Screen, *, form: str
) -> Iterable[str] | bytes:
    """The steps of the formula; of several requests, with a row for each. As a figure, the map of the items."""
    if form in options.FIGURES:
        from attnsearch.explanation.map import map_items
        from attnsearch.plots.map import draw_map

        return draw_map(map_items(index, results[0].query, setting, results[0]), form)

    from attnsearch.explanation.several import explain_together
    from attnsearch.explanation.steps import explain_steps

    if form == "json":
        from attnsearch.output import formats

        return formats.render(results, "json", screen, several=len(results) > 1)
    together = explain_together(results) if len(results) > 1 else []
    if form == "html":
        from attnsearch.pages.figures import picture_map
        from attnsearch.pages.ranking import ranking_page

        picture = None if together else picture_map(index, results[0].query, setting, results[0])
        return [ranking_page(results, argv.command_line(), setting=setting, picture=picture, together=together)]
    from attnsearch.pictures.walkthrough import walkthrough

    return [walkthrough(together or explain_steps(results[0]), screen)]


def _explain_items(
    index: Index, text: str, setting: Setting, names: list[str], by: By | None, screen: Screen, *, form: str
) -> Iterable[str] | bytes:
    """Why the item of this id or title has its logit: by pairs of its words and those of TEXT, if `by` says so.

    Of two items, why the first ranks above or below the second.
    """
    from attnsearch.explanation.reasons import explain_items
    from attnsearch.output import columns, formats
    from attnsearch.pictures import matrix as drawing
    from attnsearch.pictures import reasons as pictures

    result, lead, matrix = explain_items(index, text, setting, names, by)
    if matrix and form in options.FIGURES:
        from attnsearch.plots.matrix import draw_matrix

        return draw_matrix(matrix, form)
    shown = columns.choose_columns(index.stores, (), "table")
    if form == "html":
        from attnsearch.pages.ranking import ranking_page

        command = argv.command_line()
        return [ranking_page([result], command, setting=setting, shown=shown, lead=lead, pairs=matrix)]
    if form == "json":
        fields = formats.explanation_as_json(result, lead, matrix)
        return [to_json(fields, screen, indent=2)]

    def below(result: Result, screen: Screen) -> list[str]:
        if lead:
            return [pictures.lead(lead, screen)]
        return [pictures.whys(result, screen), *([drawing.draw_matrix(matrix, screen)] if matrix else [])]

    return formats.render([result], "table", screen, below=below, shown=shown)
