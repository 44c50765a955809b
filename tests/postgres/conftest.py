"""One server for all tests of a process, which has pgvector; and a database for each test."""

from __future__ import annotations

import pytest

from tests.postgres import server as servers


@pytest.fixture(scope="session")
def server():
    """A server that runs until the process ends."""
    if reason := servers.why_not():
        pytest.skip(reason)
    opened = servers.Server()
    yield opened
    opened.close()


@pytest.fixture
def database(server) -> str:
    """A new database of the server."""
    name = server.database()
    yield name
    if not server.is_running:
        server.start()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
