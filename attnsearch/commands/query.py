"""`attnsearch query`: the ranked table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import Exit, InputError
from attnsearch.terminal import argv, browser, completion, options, progress, requests, streams
from attnsearch.terminal.catalogs import open_index
from attnsearch.terminal.setting_options import SettingOptions

if TYPE_CHECKING:
    from attnsearch.opening.index import Index
    from attnsearch.output.columns import Shown
    from attnsearch.output.safe_text import Screen
    from attnsearch.search.result import Result
    from attnsearch.search.setting import Setting

TOP_K = 10  # items listed, unless the options say otherwise


def query(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            autocompletion=completion.complete_split_filter,
            help="One query or several; '-' or a pipe: one a line.",
        ),
    ] = None,
    null: Annotated[bool, options.null_option("Queries")] = False,
    catalog: options.Catalogs = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            rich_help_panel=options.WHICH,
            help="Format of the file or pipe that -c names.",
        ),
    ] = None,
    top_k: Annotated[
        int | None, options.top_k_option(f"List N items. (default: {TOP_K}, or what --top-p needs)")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            rich_help_panel=options.MANY,
            help="List the fewest items with this much attention.",
        ),
    ] = None,
    min_weight: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            rich_help_panel=options.MANY,
            help="Leave out items with less weight. (default: 0)",
        ),
    ] = 0.0,
    min_score: Annotated[
        float,
        typer.Option(
            metavar="COSINE",
            min=-1,
            max=1,
            rich_help_panel=options.MANY,
            help="Leave out items with a lower score. (default: -1)",
        ),
    ] = -1.0,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ITEM",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Find what is like ITEM (id or title). Repeatable.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ITEM",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Find what is unlike ITEM. Repeatable.",
        ),
    ] = None,
    setting_options: SettingOptions = SettingOptions(),
    value: Annotated[list[str] | None, options.value_option("Mean of FIELD, or shares of values. Repeatable.")] = None,
    show: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            rich_help_panel=options.SHOWN,
            autocompletion=completion.complete_shown,
            help="Show FIELD in a column, or all. Repeatable.",
        ),
    ] = None,
    vector: Annotated[
        bool,
        typer.Option(
            "--vector",
            rich_help_panel=options.SHOWN,
            help="With JSON: the output vector softmax(QKᵀ/√d_k)·V.",
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            rich_help_panel=options.SHOWN,
            help="Show why each item has its logit, and each step.",
        ),
    ] = False,
    format_: options.Format = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    fail_empty: Annotated[
        bool,
        typer.Option("--fail-empty", rich_help_panel=options.OUTPUT, help="Exit with 1 if nothing matches well."),
    ] = False,
    out: options.Out = None,
    open_: options.Open = False,
    on: options.On = None,
    timeout: options.Timeout = DEADLINE,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
    version: options.HiddenVersion = False,  # noqa: ARG001 (its callback acts)
) -> None:
    """List the items that fit TEXT best, each with its share of attention.

    attnsearch query "science fiction"

    attnsearch query "something sour for a cold day" -c recipes.yaml -k 3

    cat requests.txt | attnsearch query --jsonl

    git log --oneline | attnsearch query "memory leak" -c - -k 5
    """
    form = options.choose_report(format_, json=json, jsonl=jsonl, allowed=options.ANSWERS, out=out, is_opened=open_)
    options.check_limits({"--top-p": top_p, "--min-weight": min_weight, "--min-score": min_score})
    _check_vector(form, vector=vector)
    has_text = bool(text) or not (like or unlike)
    requests.check_input(text or ["-"] * has_text, catalog)

    from attnsearch.opening.items import find_ids
    from attnsearch.output import columns, formats
    from attnsearch.search.search import check_request, search
    from attnsearch.syntax.formats import Reading, check_form

    check_form(from_)
    batches = requests.read_batches(text or [], null=null) if has_text else iter([[""]])
    first_batch = next(batches)
    for request in first_batch if has_text else ():
        check_request(request)
    several = has_text and requests.are_several(text or [])
    screen = streams.screen(color=color, quiet=quiet, out=out)
    with_whys = explain and form in ("table", "json", "jsonl", "html")
    below = _explain if with_whys else None
    answered = 0
    corrected: dict[str, str] = {}

    with (
        progress.working(quiet=quiet) as working,
        open_index(
            catalog or [], Reading(from_), on=on, timeout=timeout, offline=offline, progress=working.progress
        ) as index,
    ):
        setting = setting_options.setting(index.info)._replace(
            like=tuple(find_ids(index.store, like or ())),
            unlike=tuple(find_ids(index.store, unlike or ())),
        )
        if working.is_live and (note := requests.describe_words(text or [])):
            working.warn(note)
        shown = columns.choose_columns(index.stores, show or (), form)

        def results() -> Iterator[Result]:
            nonlocal answered
            for batch in itertools.chain([first_batch], batches):
                answers = search(
                    index,
                    batch,
                    setting,
                    k=TOP_K if top_k is None and top_p is None else top_k,
                    top_p=1.0 if top_p is None else top_p,
                    min_weight=min_weight,
                    min_score=min_score,
                    values=value or (),
                    output=vector,
                    trace=explain or form == "html",
                )
                if with_whys:
                    answers = _add_whys(index, answers)
                if form == "table" and screen.is_terminal and not quiet:
                    answers = _add_hints(index, answers)
                working.stop()
                for result in answers:
                    answered += bool(result.hits) and not result.is_none_of_these
                    corrected.update({} if result.asked is None else {result.query: result.asked})
                    yield result

        if form == "html":
            page = _render_page(index, list(results()), setting, shown, first_batch[0], explain=explain)
            browser.emit_page(page, out, is_opened=open_)
        else:
            parts = formats.render(results(), form, screen, several=several, below=below, shown=shown)
            streams.emit(parts, out, exact=form in ("csv", "tsv"))
            _warn_of_corrections(working, form, corrected)
    if fail_empty and not answered:
        raise typer.Exit(Exit.EMPTY)


def _warn_of_corrections(working: progress.Working, form: str, corrected: Mapping[str, str]) -> None:
    """Say how misspelled requests were read, if the format has no place for it."""
    from attnsearch.output.notes import asked_as_each

    for note in asked_as_each(corrected) if form in ("csv", "tsv") else ():
        working.warn(note)


def _check_vector(form: str, *, vector: bool) -> None:
    """Raise InputError if --vector is given with a format that has no vector."""
    if vector and form not in ("json", "jsonl"):
        raise InputError("--vector is a vector of hundreds of numbers", hint="add --json or --jsonl")


def _render_page(
    index: Index, results: list[Result], setting: Setting, shown: Shown, text: str, *, explain: bool
) -> str:
    """The page of the results, whose steps it has if asked to; of a single request, `text`, with a map."""
    from attnsearch.pages.figures import picture_map
    from attnsearch.pages.ranking import ranking_page

    picture = picture_map(index, text, setting, results[0]) if len(results) == 1 else None
    if not explain:
        results = [result._replace(trace=None) for result in results]
    return ranking_page(results, argv.command_line(), setting=setting, shown=shown, picture=picture)


def _add_whys(index: Index, results: list[Result]) -> list[Result]:
    from attnsearch.explanation.reasons import explain_hits

    return explain_hits(index, results)


def _add_hints(index: Index, results: list[Result]) -> list[Result]:
    """With a filter for a name in the query, or for what it does not want; for people, who are on a terminal."""
    from attnsearch.hints.names import find_hint
    from attnsearch.hints.negation import find_unwanted

    return [result._replace(hint=find_hint(index, result) or find_unwanted(index, result)) for result in results]


def _explain(result: Result, screen: Screen) -> Iterator[str]:
    """Why each hit has its logit, and every step."""
    from attnsearch.explanation.steps import explain_steps
    from attnsearch.pictures.reasons import whys
    from attnsearch.pictures.walkthrough import walkthrough

    if result.hits:
        yield whys(result, screen)
    yield walkthrough(explain_steps(result), screen)
