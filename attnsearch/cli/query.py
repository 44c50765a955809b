"""`attnsearch query`: the ranked table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Annotated

import typer

from attnsearch.cli import options, terminal
from attnsearch.errors import Exit, InputError

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
    top_k: Annotated[int, typer.Option("-k", "--top-k", "-n", "--limit", min=1, help="How many items to list.")] = 10,
    min_weight: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Leave out items with a smaller weight.")
    ] = 0.0,
    min_score: Annotated[
        float, typer.Option(metavar="COSINE", min=-1, max=1, help="Leave out items with a smaller score.")
    ] = -1.0,
    temperature: options.Temperature = None,
    textbook: options.Textbook = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why each item has its logit, and every step of the formula.")
    ] = False,
    format_: options.Format = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    fail_empty: Annotated[bool, typer.Option("--fail-empty", help="Exit with 1 when nothing was found.")] = False,
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
    options.check_sharpness(temperature, textbook=textbook)
    if math.isnan(min_weight) or math.isnan(min_score):
        raise InputError("NaN is no limit", hint="give --min-weight and --min-score a number")

    from attnsearch import render
    from attnsearch.index import Index
    from attnsearch.search import Result, Setting, check, search

    asked = terminal.queries(text or [])
    first = list(itertools.islice(asked, 2))
    if not first:
        raise InputError("no query on standard input", hint="write one on each line")
    for one in first:
        check(one)
    found = 0
    below = None
    if explain and form in ("table", "json", "jsonl"):
        from attnsearch import reasons, shading

        below = shading.whys

    with terminal.working(quiet=quiet) as working:

        def results() -> Iterator[Result]:
            nonlocal found
            with Index.open(catalog, offline=offline, progress=working.progress) as index:
                setting = Setting(options.projections(index.info, temperature, textbook=textbook))
                texts = itertools.chain(first, asked)
                while batch := list(itertools.islice(texts, BATCH)):
                    answers = search(
                        index,
                        batch,
                        setting,
                        k=top_k,
                        min_weight=min_weight,
                        min_score=min_score,
                        trace=explain,
                    )
                    if below:
                        answers = reasons.give(index, answers)
                    working.stop()
                    for result in answers:
                        found += len(result.hits)
                        yield result

        screen = terminal.screen(color=not no_color, quiet=quiet)
        terminal.emit(render.render(results(), form, screen, several=len(first) > 1, below=below))
    if fail_empty and not found:
        raise typer.Exit(Exit.EMPTY)
