"""`attnsearch heatmap`: requests × items, the attention of each as a row."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import InputError
from attnsearch.terminal import argv, browser, options, progress, requests, streams
from attnsearch.terminal.catalogs import open_index
from attnsearch.terminal.completion import complete_word
from attnsearch.terminal.setting_options import SettingOptions

if TYPE_CHECKING:
    from attnsearch.explanation.heatmap import Heatmap
    from attnsearch.output.safe_text import Screen
    from attnsearch.sources.judgments import Judged

By = Literal["weight", "logit", "score"]  # as in `explanation.heatmap`, which costs the help too much time

FORMATS = ("table", "json", "csv", "npz", "html", *options.FIGURES)


def heatmap(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Requests, a row each; '-', or no TEXT with a pipe: one a line."),
    ] = None,
    requests_: Annotated[
        str | None,
        typer.Option(
            "--requests",
            metavar="FILE",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Read requests from FILE: one a line; from YAML, JSON or JSONL, judgments, whose right items are "
            "marked.",
        ),
    ] = None,
    null: Annotated[bool, options.null_option("Requests")] = False,
    catalog: options.Catalogs = None,
    items: Annotated[
        list[str] | None,
        typer.Option(
            "--items",
            metavar="ITEM",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Give a column to ITEM (id or title), and to no other items. Repeatable.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        options.top_k_option("Give a column to the N best items of each request. (default: 3 without --items)"),
    ] = None,
    setting_options: SettingOptions = SettingOptions(),
    by: Annotated[
        By,
        typer.Option(
            "--by",
            metavar="NUMBER",
            rich_help_panel=options.SHOWN,
            autocompletion=complete_word(get_args(By)),
            help="Show the weight, the logit or the score (cosine) in each cell. (default: weight)",
        ),
    ] = "weight",
    format_: Annotated[str | None, options.format_option(FORMATS)] = None,
    json: options.Json = False,
    out: options.Out = None,
    open_: options.Open = False,
    on: options.On = None,
    timeout: options.Timeout = DEADLINE,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Show the attention of several requests as one picture: a row for each TEXT, a column for each item.

    A row adds up to 100% with what all other items have. Rows and columns are in an order that puts what is alike
    together.

    attnsearch heatmap "science fiction" "a voyage at sea" "ghosts"

    attnsearch heatmap --requests judgments.yaml -c library -o heatmap.csv

    cat requests.txt | attnsearch heatmap --items Dune --items Dracula --by score
    """
    form = options.choose_report(format_, json=json, allowed=FORMATS, out=out, is_opened=open_)
    if items and top_k is not None:
        raise InputError("--items and --top-k exclude each other", hint="leave one of them out")
    judged = None
    if requests_ is None:
        requests.check_input(text or ["-"], catalog)
        texts = _read_texts(text or [], null=null)
    elif text or null:
        given = "--null" if null else "TEXT"
        raise InputError(f"--requests and {given} exclude each other", hint="leave one of them out")
    else:
        texts, judged = _read_file(requests_)

    from attnsearch.explanation.cells import TOP, compute_heatmap
    from attnsearch.opening.items import find_ids

    with progress.working(quiet=quiet) as working:
        with open_index(catalog or [], on=on, timeout=timeout, offline=offline, progress=working.progress) as index:
            right = None
            if judged is not None:
                from attnsearch.evaluation.report import find_judged_keys

                keys_of, _ = find_judged_keys(index, judged, consequence="they are not marked")
                right = [{keys_of[ident][0] for ident in part.relevant if ident in keys_of} for part in judged]
            setting = setting_options.setting(index.info)
            result = compute_heatmap(
                index,
                texts,
                setting,
                k=TOP if top_k is None else top_k,
                idents=find_ids(index.store, items) if items else None,
                right=right,
            )
        working.stop()
        if form == "html":
            from attnsearch.pages.heatmap import heatmap_page

            page = heatmap_page(result, argv.command_line(), setting=setting, by=by)
            browser.emit_page(page, out, is_opened=open_)
        else:
            _emit(result, form, by, streams.screen(color=color, quiet=quiet, out=out), out)


def _read_texts(texts: list[str], *, null: bool) -> list[str]:
    """The requests of the command line or of a pipe, of which no more are read than a heatmap can have."""
    from attnsearch.explanation.cells import MOST_ROWS

    asked: list[str] = []
    for batch in requests.read_batches(texts, null=null, noun="request"):
        asked += batch
        if len(asked) > MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} requests are too many for a heatmap", hint="ask fewer")
    return asked


def _read_file(source: str) -> tuple[list[str], list[Judged] | None]:
    """The requests of a file, and what is right for them; None if the file is a text with a request on each line."""
    from attnsearch.readers.raw_file import inner_name
    from attnsearch.syntax.formats import SUFFIXES

    if source == "-":
        raise InputError("--requests needs a file", hint="without it, requests are read from a pipe")
    form = SUFFIXES.get(PurePath(inner_name(source)).suffix.lower())
    if form in ("yaml", "json", "jsonl"):
        from attnsearch.sources.judgments import read_judgments

        judged = read_judgments(source)
        return [request.query for request in judged], judged
    if form:
        hint = "write a request on each line of a .txt, or judgments as YAML, JSON or JSONL"
        raise InputError("a table has no requests", where=source, hint=hint)
    from attnsearch.readers import records, text_file

    lines = [line.strip() for _, line in records.read_lines(source, most=text_file.WHOLE)]
    if not any(lines):
        raise InputError("no requests", where=source, hint="write one on each line")
    return [line for line in lines if line], None


def _emit(result: Heatmap, form: str, by: By, screen: Screen, out: str | None) -> None:
    if form == "npz":
        from attnsearch.explanation.saved import pack_arrays

        streams.emit_bytes([pack_arrays(result.arrays())], out)
    elif form in options.FIGURES:
        from attnsearch.plots.heatmap import draw_heatmap

        streams.emit_bytes([draw_heatmap(result, by, form)], out)
    elif form == "table":
        from attnsearch.pictures.heatmap import draw_heatmap as draw_characters

        streams.emit([draw_characters(result, screen, by)], out)
    else:
        from attnsearch.output import heatmap as output

        parts = output.as_csv(result, by) if form == "csv" else output.as_json(result, screen)
        streams.emit(parts, out, exact=form == "csv")
