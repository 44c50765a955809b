"""`attnsearch query`: the ranked table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.cli import options, terminal
from attnsearch.errors import Exit, InputError

if TYPE_CHECKING:
    from attnsearch.output.safe_text import Screen
    from attnsearch.search.index import Index
    from attnsearch.search.result import Result

BATCH = 256  # queries embedded together


def query(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            show_default=False,
            help="What you look for; several TEXTs are several queries. '-', or none with a pipe, reads one from "
            "each line of standard input.",
        ),
    ] = None,
    catalog: options.Catalog = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            "-k", "--top-k", "-n", "--limit", min=1, show_default=False, help="How many items to list. (10, or --top-p)"
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            show_default=False,
            help="As many items as hold this share of the attention, however many that are.",
        ),
    ] = None,
    min_weight: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Leave out items with a smaller weight.")
    ] = 0.0,
    min_score: Annotated[
        float, typer.Option(metavar="COSINE", min=-1, max=1, help="Leave out items with a smaller score.")
    ] = -1.0,
    asked_with: options.SettingOptions = options.SettingOptions(),
    value: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            show_default=False,
            help="Read out what attention carries home: a number's mean and spread, a category's shares. Repeatable.",
        ),
    ] = None,
    output: Annotated[bool, typer.Option("--output", help="With JSON: the output itself, weights · V.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why each item has its logit, and every step of the formula.")
    ] = False,
    format_: options.Format = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    fail_empty: Annotated[
        bool, typer.Option("--fail-empty", help="Exit with 1 when nothing was found, or nothing that matches well.")
    ] = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
    version: options.Version = False,  # noqa: ARG001 (its callback acts)
) -> None:
    """List the items of a catalog that fit TEXT best, each with its share of attention.

    attnsearch query "science fiction"

    attnsearch query "something sour for a cold day" -c recipes.yaml -k 3

    cat requests.txt | attnsearch query --jsonl
    """
    form = options.chosen_format(format_, json=json, jsonl=jsonl)
    if any(math.isnan(limit) for limit in (min_weight, min_score, top_p or 0)):
        raise InputError("NaN is no limit", hint="give --top-p, --min-weight and --min-score a number")
    if output and form not in ("json", "jsonl"):
        raise InputError("--output is a vector of hundreds of numbers", hint="ask for it with --json or --jsonl")

    from attnsearch.output import formats
    from attnsearch.search.index import Index
    from attnsearch.search.search import check_request, search

    requests = terminal.queries(text or [])
    first = list(itertools.islice(requests, 2))
    if not first:
        raise InputError("no query on standard input", hint="write one on each line")
    for one in first:
        check_request(one)
    found = 0
    told = explain and form in ("table", "json", "jsonl")

    with terminal.working(quiet=quiet) as working:

        def results() -> Iterator[Result]:
            nonlocal found
            with Index.open(catalog, offline=offline, progress=working.progress) as index:
                setting = asked_with.setting(index.info)
                texts = itertools.chain(first, requests)
                while batch := list(itertools.islice(texts, BATCH)):
                    answers = search(
                        index,
                        batch,
                        setting,
                        k=10 if top_k is None and top_p is None else top_k,
                        top_p=1.0 if top_p is None else top_p,
                        min_weight=min_weight,
                        min_score=min_score,
                        values=value or (),
                        output=output,
                        trace=explain,
                    )
                    answers = _with_whys(index, answers) if told else answers
                    working.stop()
                    for result in answers:
                        found += bool(result.hits) and not result.is_none_of_these
                        yield result

        screen = terminal.screen(color=not no_color, quiet=quiet)
        terminal.emit(formats.render(results(), form, screen, several=len(first) > 1, below=_below if told else None))
    if fail_empty and not found:
        raise typer.Exit(Exit.EMPTY)


def _with_whys(index: Index, results: list[Result]) -> list[Result]:
    from attnsearch.explanation.reasons import explain_hits

    return explain_hits(index, results)


def _below(result: Result, screen: Screen) -> str:
    from attnsearch.output.reasons import whys

    return whys(result, screen)
