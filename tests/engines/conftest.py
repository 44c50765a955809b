"""One cluster for all tests of a process that kill nothing in it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

import tests.postgres.conftest

server = tests.postgres.conftest.server


@pytest.fixture(scope="session")
def cluster():
    """Three processes on this machine."""
    if find_spec("distributed") is None:
        pytest.skip("needs the extra [dask]")
    from attnsearch.cluster.dask import Cluster

    opened = Cluster("local:3")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def in_postgres(server):
    """A function from a store to the same keys in a database."""
    from tests.postgres.made import MadeStore

    made: dict[int, tuple[object, MadeStore]] = {}

    def make(store):
        if id(store) not in made:
            made[id(store)] = (store, MadeStore(server.url(server.database(), "made"), store))
        return made[id(store)][1]

    yield make
    for _, store in made.values():
        store.close()
