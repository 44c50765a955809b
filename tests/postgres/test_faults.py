"""Writers that are killed, that wait for one another, and that lose the server: a commit is whole, or it never was."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres import connection, lock, rows
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.check import find_problems
from attnsearch.postgres.connection import connect
from attnsearch.postgres.place import DatabasePlace
from attnsearch.storage.failures import BusyError
from tests.conftest import SHOP
from tests.postgres.test_writer import contents, index
from tests.postgres.writing import PHASES, writing
from tests.torture.database import kill_writers

LATER = SHOP.replace("sea", "the sea").replace("- {id: a, title: moon}\n", "") + "- {id: d, title: star}\n"


class TestKilled:
    @pytest.mark.parametrize("phase", list(PHASES)[1:])
    def test_no_commit_is_half_there(self, server, database, write, small, phase):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url)
        before = contents(url)
        path.write_text(LATER)
        with writing(path, url, phase) as process:
            process.kill()
            process.wait()
        is_done = phase == "committed"
        assert (contents(url) == before) is not is_done
        assert find_problems(url) == []
        report = index(path, url)  # nobody holds the lock any more
        assert report.embedded == (2 if phase == "read" else 0)
        assert report.added == (0 if is_done else 1)
        assert sorted(contents(url)) == ["b", "c", "d"]
        assert find_problems(url) == []

    def test_first_commit(self, server, database, write, small):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        with writing(path, url, "info") as process:
            process.kill()
            process.wait()
        assert server.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'attnsearch_shop'", database=database) == []
        assert index(path, url).embedded == 0

    def test_at_random(self, server, home, tmp_path, small):
        assert kill_writers(server, tmp_path, seed=1, kills=3).startswith("3 kills")


class TestTogether:
    def test_second_writer_waits_and_goes_on_from_the_new_state(self, server, database, write, small, caplog):
        url, path, other = server.url(database, "shop"), write("shop.yaml", SHOP), write("other.yaml", LATER)
        index(path, url)
        reports = []
        with writing(other, url, "info") as process:
            thread = threading.Thread(target=lambda: reports.append(index(path, url)))
            thread.start()
            while thread.is_alive() and "waiting for another attnsearch" not in caplog.text:
                thread.join(0.01)
            assert thread.is_alive()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "2\n"
            thread.join(30)
        assert (reports[0].added, reports[0].changed, reports[0].removed) == (1, 1, 1)
        assert sorted(contents(url)) == ["a", "b", "c"]
        assert find_problems(url) == []

    def test_writer_that_makes_no_progress_is_not_waited_for_without_end(self, server, database, write, small):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        with writing(path, url, "read"), pytest.raises(BusyError, match="another attnsearch is writing"):
            index(path, url, wait=0.1)

    def test_progress_is_seen(self, server, database, monkeypatch):
        monkeypatch.setattr(lock, "_LOOK", 0.0)
        address = parse_address(server.url(database, "shop"))
        with closing(connect(address)) as holder, closing(connect(address)) as other:
            lock.acquire(holder, address, 0)
            ended = threading.Event()

            def work():
                while not ended.wait(0.02):
                    holder.execute("SELECT 1")

            thread = threading.Thread(target=work)
            thread.start()
            timer = threading.Timer(0.6, ended.set)
            timer.start()
            with pytest.raises(BusyError):
                lock.acquire(other, address, 0.3)
            assert ended.is_set()
            thread.join()

    def test_commit_is_seen_whole(self, server, database, write, small):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url)
        query = "SELECT (SELECT value FROM info WHERE name = 'commit'), array_agg(id ORDER BY id) FROM items"
        with closing(connect(parse_address(url))) as reader:
            with reader.transaction():
                reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                before = reader.execute(query).fetchone()
                path.write_text(LATER)
                index(path, url)
                assert reader.execute(query).fetchone() == before
            after = reader.execute(query).fetchone()
        assert after[0] != before[0]
        assert (before[1], after[1]) == (["a", "b", "c"], ["b", "c", "d"])


class TestServer:
    def test_tables_that_others_hold(self, server, database, write, small, monkeypatch):
        monkeypatch.setattr(connection, "LOCKED", 0.1)
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url)
        with closing(connect(parse_address(url))) as other, other.transaction():
            other.execute("SELECT 1 FROM keys")
            with pytest.raises(CatalogError, match="others hold its tables"):
                DatabasePlace(url).remove(everything=True)
            other.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(CatalogError, match="others hold its tables"):
                index(path, url)
        assert find_problems(url) == []

    def test_slow_commit(self, server, database, write, small, monkeypatch):
        monkeypatch.setattr(connection, "STATEMENT", 0.3)
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        write_info = rows.write_info
        monkeypatch.setattr(
            rows, "write_info", lambda opened, info: (opened.execute("SELECT pg_sleep(.5)"), write_info(opened, info))
        )
        index(path, url)
        assert find_problems(url) == []

    def test_connection_lost_while_embedding(self, server, database, write, small):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url)
        path.write_text(LATER)
        with writing(path, url, "embedded") as process:
            holders = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
            ((pid,),) = server.execute(holders, database=database)
            server.execute(f"SELECT pg_terminate_backend({pid})")
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "2\n"
        assert sorted(contents(url)) == ["b", "c", "d"]

    def test_another_writer_while_the_connection_was_lost(self, server, database, write, small):
        url, path, other = server.url(database, "shop"), write("shop.yaml", SHOP), write("other.yaml", LATER)
        index(path, url)
        place = DatabasePlace(url)
        with place.open_writer(1) as writer:
            server.execute(f"SELECT pg_terminate_backend({writer._connection.info.backend_pid})")
            index(other, url)
            with pytest.raises(CatalogError, match="changed while it was indexed"):
                writer.commit(writer.info, None)

    def test_server_that_stops_in_the_commit(self, server, database, write, small, monkeypatch):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url)
        before = contents(url)
        path.write_text(LATER)
        with monkeypatch.context() as patch:
            patch.setattr(
                "attnsearch.postgres.rows.write_info",
                lambda *arguments: (server.stop(), arguments[0].execute("SELECT 1")),
            )
            with pytest.raises(CatalogError) as error:
                index(path, url)
        assert "\n" not in str(error.value)
        with pytest.raises(CatalogError) as refused:
            index(path, url)
        assert "can't connect" in str(refused.value)
        server.start()
        assert contents(url) == before
        assert index(path, url).embedded == 0
