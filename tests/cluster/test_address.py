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
from attnsearch.cluster.address import check_address, find_scheduler
from attnsearch.cluster.dask import Cluster
from attnsearch.errors import CatalogError, InputError


def count_loops() -> int:
    """How many clients have a thread."""
    return sum(thread.name == "IO loop" for thread in threading.enumerate())


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


@pytest.mark.parametrize("port", ["0", "65536", "99999999999999999999999"])
def test_no_port(port):
    with pytest.raises(InputError, match="invalid address of a cluster"):
        check_address(f"tcp://127.0.0.1:{port}")


def test_a_password_is_not_shown():
    for text in ("postgresql://me:secret@host/books", "tcp://me:secret@host:8786"):
        with pytest.raises(InputError, match=r"invalid address of a cluster '\w+://…@host") as caught:
            check_address(text)
        assert "secret" not in str(caught.value)


def test_more_processes_than_a_machine_can_use(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 10)
    check_address("local:20")
    for count in ("21", "9" * 9_999):
        with pytest.raises(InputError, match=r"asks for more processes than this machine can use; at most local:20"):
            check_address(f"local:{count}")


def test_the_scheduler_of_a_configuration(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://127.0.0.1:1"}')
    assert find_scheduler(None, str(file)) == find_scheduler("tcp://127.0.0.1:1", None) == "tcp://127.0.0.1:1"
    for address in (17, [], "tcp://host:99999999999999999999"):
        if address:
            with pytest.raises(InputError, match="configuration has no valid address of a scheduler"):
                find_scheduler(address, None)
    with pytest.raises(CatalogError, match="no Dask scheduler is known from its file: No such file or directory"):
        find_scheduler(None, str(tmp_path / "nowhere"))  # Dask would wait until there is one
    for content in ("", "{", "[]", "{}", "7", "[" * 100_000):
        file.write_text(content)
        with pytest.raises(CatalogError, match="no Dask scheduler is known from its file: it has no address"):
            find_scheduler(None, str(file))


@pytest.mark.slow
def test_something_that_never_answers(monkeypatch):
    """Dask waits without end for a scheduler that has stopped: the system still accepts connections for it."""
    monkeypatch.setattr(clusters, "CONNECT", 1.0)
    server = socket.create_server(("127.0.0.1", 0))
    with closing(server), pytest.raises(CatalogError, match=r"no Dask scheduler answers: .*; start one"):
        Cluster(f"tcp://127.0.0.1:{server.getsockname()[1]}")


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
        loops = count_loops()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CatalogError, match=r"no Dask scheduler answers: .*; start one"):
            Cluster(address)
        assert count_loops() == loops  # else it ends when it is collected, and may wait for itself
    states = {client.status for client in gc.get_objects() if issubclass(type(client), distributed.Client)}
    assert "connecting" not in states  # such a client is closed when it is collected, and may then wait without end
