"""What a user may write for a cluster, and what may listen there."""

from __future__ import annotations

import gc
import socket
import threading
from contextlib import closing

import pytest

pytest.importorskip("distributed", reason="needs the extra [dask]")

import distributed

from attnsearch.cluster import dask as clusters
from attnsearch.cluster.address import check_address
from attnsearch.cluster.dask import Cluster
from attnsearch.errors import CatalogError


def test_one_warning(caplog, monkeypatch):
    """A command checks the address before it loads a model, and the cluster once more."""

    def connect(*_):
        raise CatalogError("nobody")

    monkeypatch.setattr(Cluster, "_connect", connect)
    check_address("tcp://example.invalid:8786")
    with pytest.raises(CatalogError, match="nobody"):
        Cluster("tcp://example.invalid:8786")
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "is not encrypted" in caplog.messages[0]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", (8).to_bytes(8, "little") + bytes(8), b""])
def test_something_else_listens(monkeypatch, sent):
    """A web server's first bytes, say, read as the size of what follows: exbibytes."""
    monkeypatch.setattr(clusters, "CONNECT", 1.0)

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed
                return
            with connection:
                connection.sendall(sent)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CatalogError, match=r"no Dask scheduler answers: .*; start one"):
            Cluster(address)
    states = {client.status for client in gc.get_objects() if issubclass(type(client), distributed.Client)}
    assert "connecting" not in states  # such a client is closed when it is collected, and may then wait without end
