"""`attnsearch explain`: every step of the formula."""

from __future__ import annotations

from typing import Annotated

import typer

from attnsearch.cli import options, terminal


def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False, help="What you look for.")],
    catalog: options.Catalog = None,
    top_k: Annotated[int, typer.Option("-k", "--top-k", "-n", "--limit", min=1, help="How many items to follow.")] = 5,
    temperature: options.Temperature = None,
    textbook: options.Textbook = False,
    where: options.Where = None,
    lexical: options.Lexical = None,
    prior: options.Prior = None,
    format_: options.Format = None,
    json: options.Json = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Walk through softmax(QKᵀ/√d_k)·V with the real numbers that `query` computes for TEXT.

    attnsearch explain "science fiction"

    attnsearch explain "science fiction" --textbook
    """
    form = options.chosen_format(format_, json=json, allowed=("table", "json"))
    asked = options.asked(temperature, textbook, where, lexical, prior)

    from attnsearch import render
    from attnsearch.explain import explain as steps_of
    from attnsearch.index import Index
    from attnsearch.search import check, search

    check(text)

    with terminal.working(quiet=quiet) as working:
        with Index.open(catalog, offline=offline, progress=working.progress) as index:
            (result,) = search(index, [text], asked.setting(index.info), k=top_k, trace=True)
        working.stop()
        screen = terminal.screen(color=not no_color, quiet=quiet)
        if form == "json":
            terminal.emit(render.render([result], "json", screen))
        else:
            terminal.emit([render.steps(steps_of(result), screen)])
