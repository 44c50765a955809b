"""An index whose keys other machines compare."""

from __future__ import annotations

from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.opening.index import Index


def use_cluster(index: Index, address: str, deadline: float) -> None:
    """Let a Dask cluster compare the keys from now on, until the index is closed. Raises as `cluster.Cluster` does.

    Its workers read the files of the catalogs, which they must see under the same names as here. An answer may take
    `deadline` seconds.
    """
    cluster = Cluster(address, deadline=deadline)
    index.engine.close()
    index.engine = RemoteEngine(index.store, cluster.ask, cluster.close)
