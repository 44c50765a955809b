"""`attnsearch serve` and `mcp`: catalogs for a browser, a script, an agent."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import typer

from attnsearch.errors import InputError
from attnsearch.terminal import argv, browser, options, progress, streams
from attnsearch.terminal.catalogs import open_shared_cluster
from attnsearch.terminal.completion import complete_catalog

DEADLINE = 20.0  # seconds for an answer of a cluster: less than a server's client waits
LISTED = 5  # catalogs, at most, in a line
TOKEN_BYTES = 24  # random, in a token that we make


def _name_option(text: str) -> Any:
    """The option -c for catalogs that have a name, with this help."""
    return typer.Option(
        "-c",
        "--catalog",
        metavar="NAME",
        rich_help_panel=options.WHICH,
        autocompletion=complete_catalog,
        help=text,
    )


def serve(
    catalog: Annotated[
        list[str] | None, _name_option("Catalog to serve. Repeatable. (default: all, even those indexed later)")
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=options.ASKERS,
            help="Address to listen on; 0.0.0.0 for all. (default: 127.0.0.1, which only this machine reaches)",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65_535,
            rich_help_panel=options.ASKERS,
            help="Port to listen on; 0 for any that is free. (default: 8400)",
        ),
    ] = 8400,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", rich_help_panel=options.ASKERS, help="Address of the reverse proxy that leads here, if any."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=options.ASKERS,
            help="Token that requests must send. Better in $ATTNSEARCH_SERVE_TOKEN: other users see command lines. "
            "(default: none if only this machine can ask, else a new one)",
        ),
    ] = None,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", rich_help_panel=options.OUTPUT, help="Log the text of queries, too.")
    ] = False,
    open_: Annotated[
        bool,
        typer.Option(
            "--open", rich_help_panel=options.OUTPUT, allow_from_autoenv=False, help="Open the page in the browser."
        ),
    ] = False,
    on: options.On = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve catalogs to browsers, scripts and agents: a page, an API, and MCP.

    attnsearch serve

    attnsearch serve -c shop --port 9000

    Prints its address. stderr has a line for each request.
    """
    try:
        from attnsearch.serve import server
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    from attnsearch.serve.catalogs import Catalogs
    from attnsearch.serve.guard import Access

    access = Access(host, url, token)
    if token is None and not access.is_local:
        access = Access(host, url, secrets.token_urlsafe(TOKEN_BYTES))
    served = _names(catalog or [])
    names = Catalogs(served).names()  # a home that can't be read ends it here
    with ExitStack() as opened:
        sockets = [opened.enter_context(closing(listener)) for listener in server.listen(host, port)]
        address = url or server.address_of(host, sockets[0])
        with progress.working(quiet=quiet):
            cluster = open_shared_cluster(on, DEADLINE)
        if cluster:
            opened.callback(cluster.close)
        catalogs = Catalogs(served, offline=offline, cluster=cluster)
        lines = opened.enter_context(closing(progress.Lines(quiet=quiet)))

        def ready() -> None:
            made = f"#token={access.token}" if access.token and token is None else ""
            streams.emit([f"{address}{made}\n"])
            for sentence in _describe(names, is_made=bool(made)):
                for line in streams.as_line(sentence).splitlines():
                    lines.write(line)
            if open_:  # beside us: a browser in a terminal stays until it is left
                threading.Thread(target=browser.open_page, args=(address, address), daemon=True).start()

        server.serve(catalogs, sockets, access, ready=ready, log=lines.write, log_queries=log_queries)


def mcp(
    catalog: Annotated[
        list[str] | None, _name_option("Catalog that agents may ask. Repeatable. (default: all)")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="CLIENT",
            rich_help_panel=options.DONE,
            allow_from_autoenv=False,
            help="Print what to paste into the configuration of a client; without CLIENT, list them.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            rich_help_panel=options.DONE,
            allow_from_autoenv=False,
            help="With --config: the address of a running 'attnsearch serve'.",
        ),
    ] = None,
    on: options.On = None,
    offline: options.Offline = False,
) -> None:
    """Answer an agent's calls on standard input and output, by the Model Context Protocol.

    attnsearch mcp -c shop

    attnsearch mcp --config cursor

    attnsearch mcp --config claude-code --url http://127.0.0.1:8400
    """
    if config is not None:
        _print_config(config, catalog or [], url, on, offline=offline)
        return
    if url is not None:
        raise InputError("--url is for --config", hint="attnsearch mcp --config CLIENT --url URL")
    try:
        from attnsearch.agents import stdio
        from attnsearch.serve.catalogs import Catalogs
        from attnsearch.serve.failures import as_json
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    with progress.working() as working:
        working.is_live = False
        if sys.stdin.isatty():
            working.warn("waiting for a client's messages; 'attnsearch mcp --config CLIENT' says how one starts this")
        served = _names(catalog or [])
        wire = streams.claim_standard_streams()  # before processes are started, which would have them too
        cluster = open_shared_cluster(on, DEADLINE)
        catalogs = Catalogs(served, offline=offline, cluster=cluster)
        try:
            number = stdio.serve(catalogs, as_json, *wire)
        finally:
            catalogs.close()
            if cluster:
                cluster.close()
    if number:
        raise typer.Exit(128 + number)


def _names(refs: Sequence[str]) -> list[str]:
    """The names as they are stored. Raises InputError for a file, CatalogError for an unknown name."""
    from attnsearch.storage import home
    from attnsearch.storage.files import quoted

    names = []
    for ref in refs:
        folder, file = home.find_catalog(ref)
        if folder.name.startswith("@") or (file and file != home.built_in_file(folder.name)):
            hint = f"'attnsearch index {quoted(ref)}' makes a catalog of it, and says its name"
            if not folder.name.startswith("@"):
                hint = f"its catalog is '{folder.name}'"
            raise InputError("is a file, not the name of a catalog", where=ref, hint=hint)
        names.append(folder.name)
    return names


def _describe(names: Sequence[str], *, is_made: bool) -> Iterator[str]:
    """What is served, and what the link is for."""
    from attnsearch.sources.fields import first_names

    yield f"attnsearch: serving {first_names(names, LISTED)}; Ctrl-C ends it"
    if is_made:
        yield "attnsearch: every request needs the token in this link; it changes at each start unless --token sets it"


def _missing(error: ModuleNotFoundError) -> InputError:
    hint = "pip install 'attnsearch[serve]'"
    package = str(error.name).partition(".")[0]
    return InputError(f"serving needs the package {package}, which is not installed", hint=hint)


def _print_config(name: str, catalogs: list[str], url: str | None, on: str | None, *, offline: bool) -> None:
    """Print the lines of a client's configuration, and on stderr where they go; without a name, list the clients."""
    from attnsearch.agents import clients

    if not name:
        streams.emit([f"{client.name:<16}{client.title}\n" for client in clients.CLIENTS])
        return
    client = clients.find_client(name)
    if url is not None and (catalogs or offline or on):
        hint = "give -c, --on and --offline to 'attnsearch serve'"
        raise InputError("--url names a running server with catalogs of its own", hint=hint)
    start: clients.Start | str
    if url is not None:
        start, _ = clients.check_url(url)
    else:
        options_ = [word for known in _names(catalogs) for word in ("-c", known)]
        options_ += (["--on", on] if on else []) + ["--offline"] * offline
        home = os.environ.get("ATTNSEARCH_HOME")
        variables = {"ATTNSEARCH_HOME": str(Path(home).expanduser().absolute())} if home else {}
        start = clients.Start([*argv.program(), "mcp", *options_], variables)
    streams.emit([clients.configure(client, start)])
    with progress.working() as working:
        working.warn(clients.explain_place(client, start))
