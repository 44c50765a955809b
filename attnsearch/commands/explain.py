"""`attnsearch explain`: every step of the formula, or why an item has its logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import InputError
from attnsearch.output.safe_text import to_json
from attnsearch.terminal import argv, browser, options, progress, streams
from attnsearch.terminal.catalogs import open_index
from attnsearch.terminal.setting_options import SettingOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attnsearch.explanation.matrix import By
    from attnsearch.output.safe_text import Screen
    from attnsearch.search.index import Index
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
            help="Show what each word of TEXT and each word of ITEM add to its logit together.",
        ),
    ] = False,
    pieces: Annotated[
        bool,
        typer.Option("--pieces", rich_help_panel=options.SHOWN, help="--matrix by the encoder's word pieces."),
    ] = False,
    catalog: options.Catalogs = None,
    top_k: Annotated[int, options.top_k_option("Follow N items through the steps. (default: 5)")] = 5,
    setting_options: SettingOptions = SettingOptions(),
    format_: options.ReportFormat = None,
    json: options.Json = False,
    out: options.Out = None,
    open_: options.Open = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Show each step of softmax(QKᵀ/√d_k)·V with the numbers that `query` computes for TEXT.

    attnsearch explain "science fiction"

    attnsearch explain "science fiction" --textbook

    With ITEM, show its logit as a sum over the words of both; with --over, why it ranks above or below OTHER.

    attnsearch explain "science fiction" Solaris --over "The Martian"

    With --matrix, that logit is a sum over pairs: of a word of TEXT and a word of ITEM.

    attnsearch explain "science fiction" Solaris --matrix
    """
    if over is not None and item is None:
        raise InputError("--over needs an ITEM to compare with", hint="attnsearch explain TEXT ITEM --over OTHER")
    if pieces and not matrix:
        raise InputError("--pieces is for --matrix alone", hint="attnsearch explain TEXT ITEM --matrix --pieces")
    if matrix and item is None:
        raise InputError(
            "--matrix needs an ITEM, whose logit it explains", hint="attnsearch explain TEXT ITEM --matrix"
        )
    if matrix and over is not None:
        raise InputError(
            "--matrix is of one item, and --over of two, which have different words",
            hint="ask for a matrix of each, or for --over alone, which compares them by the words of TEXT",
        )

    form = options.choose_report(format_, json=json, out=out, is_opened=open_)

    from attnsearch.search.search import check_request

    check_request(text)
    screen = streams.screen(color=color, quiet=quiet, out=out)
    with progress.working(quiet=quiet) as working:
        with open_index(catalog or [], offline=offline, progress=working.progress) as index:
            setting = setting_options.setting(index.info)
            if item is None:
                parts = _explain_steps(index, text, setting, top_k, screen, form=form)
            elif matrix:
                by: By = "pieces" if pieces else "words"
                parts = _explain_pairs(index, text, setting, item, by, screen, form=form)
            else:
                names = [item] if over is None else [item, over]
                parts = _explain_items(index, text, setting, names, screen, form=form)
        working.stop()
        if form == "html":
            browser.emit_page("".join(parts), out, is_opened=open_)
        else:
            streams.emit(parts, out)


def _explain_steps(
    index: Index, text: str, setting: Setting, top_k: int, screen: Screen, *, form: str
) -> Iterable[str]:
    """The steps of the formula, with the numbers of the `top_k` best items."""
    from attnsearch.explanation.steps import explain_steps
    from attnsearch.output import formats
    from attnsearch.pictures.walkthrough import walkthrough
    from attnsearch.search.search import search

    results = search(index, [text], setting, k=top_k, trace=True)
    if form == "html":
        from attnsearch.pages.ranking import ranking_page

        return [ranking_page(results, argv.command_line(), setting=setting)]
    if form == "json":
        return formats.render(results, "json", screen)
    return [walkthrough(explain_steps(results[0]), screen)]


def _explain_items(
    index: Index, text: str, setting: Setting, names: list[str], screen: Screen, *, form: str
) -> Iterable[str]:
    """Why the item of this id or title has its logit; of two items, why the first ranks above or below the second."""
    from attnsearch.explanation import reasons
    from attnsearch.output import columns, formats
    from attnsearch.pictures import reasons as pictures
    from attnsearch.search.items import find_id
    from attnsearch.search.search import rank_items

    idents = [find_id(index.store, name) for name in names]
    if len(set(idents)) < len(idents):
        raise InputError(f"'{names[0]}' and '{names[1]}' are the same item", hint="name two items")
    (result,) = reasons.explain_hits(index, [rank_items(index, text, setting, idents)])
    lead = reasons.compare_hits(result) if len(names) > 1 else None
    shown = columns.choose_columns(index.stores, (), "table")
    if form == "html":
        from attnsearch.pages.ranking import ranking_page

        result = result._replace(trace=None)
        return [ranking_page([result], argv.command_line(), setting=setting, shown=shown, lead=lead)]
    if form == "json":
        fields = formats.as_json(result._replace(trace=None))
        if lead:
            parts = [part._asdict() for part in lead.parts]
            fields["over"] = {"difference": lead.difference, "ratio": lead.ratio, "parts": parts}
        return [to_json(fields, screen, indent=2)]

    def below(result: Result, screen: Screen) -> list[str]:
        return [pictures.lead(lead, screen) if lead else pictures.whys(result, screen)]

    return formats.render([result], "table", screen, below=below, shown=shown)


def _explain_pairs(
    index: Index, text: str, setting: Setting, name: str, by: By, screen: Screen, *, form: str
) -> Iterable[str]:
    """Why the item of this id or title has its logit: the words of the query × those of the item."""
    from attnsearch.explanation import reasons
    from attnsearch.output import columns, formats
    from attnsearch.pictures import matrix
    from attnsearch.pictures import reasons as pictures
    from attnsearch.search.items import find_id
    from attnsearch.search.search import rank_items

    ranked = rank_items(index, text, setting, [find_id(index.store, name)])
    result, (pairs,) = reasons.explain_pairs(index, ranked, by)
    shown = columns.choose_columns(index.stores, (), "table")
    if form == "html":
        from attnsearch.pages.ranking import ranking_page

        result = result._replace(trace=None)
        return [ranking_page([result], argv.command_line(), setting=setting, shown=shown, pairs=pairs)]
    if form == "json":
        fields = {**formats.as_json(result._replace(trace=None)), "matrix": formats.matrix_as_json(pairs)}
        return [to_json(fields, screen, indent=2)]

    def below(result: Result, screen: Screen) -> list[str]:
        return [pictures.whys(result, screen), matrix.pairs(pairs, screen)]

    return formats.render([result], "table", screen, below=below, shown=shown)
