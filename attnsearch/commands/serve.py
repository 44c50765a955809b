"""`attnsearch serve` and `mcp`: the same road for a browser, a script, an agent."""

from __future__ import annotations

from typing import Annotated

import typer

from attnsearch.errors import InputError
from attnsearch.terminal import options, streams
from attnsearch.terminal.completion import complete_catalog


def serve(
    catalog: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--catalog",
            metavar="NAME",
            rich_help_panel=options.WHICH,
            autocompletion=complete_catalog,
            help="Catalog to serve. Repeatable. (default: all)",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=options.DONE,
            help="Address to listen on. (default: 127.0.0.1, which only this machine reaches)",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65_535, rich_help_panel=options.DONE, help="Port to listen on. (default: 8400)"
        ),
    ] = 8400,
    offline: options.Offline = False,
) -> None:
    """Serve catalogs to browsers, scripts and agents: a page, an API, and MCP.

    attnsearch serve

    attnsearch serve -c shop --port 9000
    """
    try:
        from attnsearch.serve import server
    except ModuleNotFoundError as error:
        hint = "pip install 'attnsearch[serve]'"
        raise InputError(f"serving needs the package {error.name}, which is not installed", hint=hint) from None
    server.serve(catalog or [], host, port, lambda url: streams.emit([f"{url}\n"]), offline=offline)
