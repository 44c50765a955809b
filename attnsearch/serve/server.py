"""A socket, signals, and an end in good order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import uvicorn

from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.http import make_app

PATIENCE = 5  # seconds that running requests have after SIGTERM


def serve(names: Sequence[str], host: str, port: int, ready: Callable[[str], None], *, offline: bool = False) -> None:
    """Answer on this address until SIGTERM or SIGINT; `ready` gets the address as soon as it answers."""
    catalogs = Catalogs(names, offline=offline)
    config = uvicorn.Config(make_app(catalogs), host=host, port=port, log_level="warning",
                            timeout_graceful_shutdown=PATIENCE)  # fmt: skip
    ready(f"http://{host}:{port}/")
    try:
        uvicorn.Server(config).run()
    finally:
        catalogs.close()
