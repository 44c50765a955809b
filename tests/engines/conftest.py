"""One cluster for all tests of a process that kill nothing in it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session")
def cluster():
    """Two processes on this machine."""
    if find_spec("distributed") is None:
        pytest.skip("needs the extra [dask]")
    from attnsearch.cluster.dask import Cluster

    opened = Cluster("local:2")
    yield opened
    opened.close()
