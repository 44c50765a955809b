"""An index whose keys other machines compare."""

from __future__ import annotations

from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.publication import find_files
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.opening.index import Index


def use_cluster(index: Index, address: str, deadline: float) -> None:
    """Let a Dask cluster compare the keys from now on, until the index is closed; it has `deadline` seconds to answer.

    Its workers read the segments where the catalogs are published, else in the catalogs' folders, which they must see
    under the same names as here; the processes of local:N always do. Raises as `Cluster` and `find_files` do.
    """
    stores = [] if address.startswith("local:") else index.stores
    files = [file for store in stores for file in find_files(store)]
    cluster = Cluster(address, deadline=deadline)
    index.engine.close()
    index.engine = RemoteEngine(index.store, cluster.ask, cluster.close, files=files)
