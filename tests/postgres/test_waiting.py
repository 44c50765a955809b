"""A reader that waits for a server: for how long, and how it ends. Another session locks the keys meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres import connection
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.storage.files import home_folder
from tests.conftest import SHOP_FILE
from tests.postgres.filling import fill_from

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'attnsearch'"
PATIENCE = 20  # seconds for what takes a moment


@pytest.fixture
def url(write, small, run, server, database):
    assert run("index", write("shop.yaml", SHOP_FILE), "--name", "shop").code == 0
    url = server.url(database, "shop")
    fill_from(home_folder() / "shop", url)
    return url


@pytest.fixture
def locked(url):
    """The keys are locked: whoever reads them waits."""
    with closing(connect(parse_address(url))) as other, other.transaction():
        other.execute("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE")
        yield


def when_it_waits(server, database, then):
    """Do something to the process of the server that waits for the lock."""

    def wait():
        deadline = time.monotonic() + PATIENCE
        while not (rows := server.execute(WAITING, database=database)) and time.monotonic() < deadline:
            time.sleep(0.01)
        then(rows[0][0])

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_answer_takes_no_longer_than_the_timeout(url, locked, run):
    started = time.monotonic()
    ran = run("query", "moon", "-c", url, "--timeout", "0.2")
    assert ran.code == 3
    assert "the server stopped the statement: canceling statement due to statement timeout" in ran.err
    assert ran.err.endswith("; raise --timeout\n")
    assert time.monotonic() - started < PATIENCE


def test_the_server_ends_the_connection(server, database, url, locked, run):
    thread = when_it_waits(server, database, lambda pid: server.execute(f"SELECT pg_terminate_backend({pid})"))
    ran = run("query", "moon", "-c", url)
    thread.join()
    assert ran.code == 3
    assert "the server ended the connection: terminating connection" in ran.err


def test_the_process_of_the_server_is_gone(server, database, url, locked, run):
    """Its link, too: all that the client sees is that nothing more comes."""
    pids = []

    def stop(pid):
        pids.append(pid)
        os.kill(pid, signal.SIGSTOP)  # as if the machine were off

    thread = when_it_waits(server, database, stop)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(connection, "GRACE", -59.5)  # of a minute: half a second is left
            ran = run("query", "moon", "-c", url)
    finally:
        thread.join()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert ran.code == 3
    assert "the connection was lost: the server does not answer" in ran.err


def test_ctrl_c_ends_the_statement(server, database, url, locked, run):
    thread = when_it_waits(server, database, lambda _: os.kill(os.getpid(), signal.SIGINT))
    ran = run("query", "moon", "-c", url)
    thread.join()
    assert ran.code == 130
    assert server.execute(WAITING, database=database) == []


def test_a_commit_in_between_is_not_seen(server, database, url, small):
    from attnsearch.opening.index import Index

    with Index.open(url) as index:
        before = index.engine.logits(small.encode(["moon"], "query"))[1].tolist()
        assert len(index.store.keys_of(["a", "b"])) == 2
        with closing(connect(parse_address(url))) as other:
            other.execute("DELETE FROM keys WHERE item = 1")
            other.execute("DELETE FROM items WHERE item = 1")
        assert index.engine.logits(small.encode(["moon"], "query"))[1].tolist() == before
        assert len(index.store.keys_of(["a", "b"])) == 2
    with Index.open(url) as index, pytest.raises(CatalogError, match="it has 2 of 3 items"):
        index.engine.attend(small.encode(["moon"], "query"))


def test_an_index_goes_on_after_a_statement_that_was_stopped(url, locked, small):
    from attnsearch.opening.index import Index

    with Index.open(url) as index:
        index.limit_answers(0.2)
        for _ in range(2):  # the limit stays, too
            with pytest.raises(CatalogError, match="the server stopped the statement"):
                index.engine.attend(small.encode(["moon"], "query"))
        items = index.store.ask("SELECT id FROM items ORDER BY item")
        assert items == [("a",), ("b",), ("c",)]


def test_items_that_nobody_reads_to_the_end(url, small):
    from attnsearch.opening.index import Index

    with Index.open(url) as index:
        items, others = index.store.items(), index.store.items()
        assert next(items)[1].id == next(others)[1].id == "a"
        with pytest.raises(CatalogError):
            index.store.ask("SELECT 1 / 0")
        items.close()
        assert [item.id for _, item in index.store.items()] == ["a", "b", "c"]
    others.close()
