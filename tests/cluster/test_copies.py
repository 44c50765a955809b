"""Copies of published segments on this machine: verified, shared, fetched again once, and not too many."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from attnsearch.cluster import copies, part
from attnsearch.cluster.copies import Wanted, find_local, load, make_room
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.cluster.urls import UnreachableError
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import CatalogError
from tests.engines.made import DiskStore
from tests.engines.test_conformance import ask_here, keys_of, queries

fsspec = pytest.importorskip("fsspec", reason="needs the extra [dask]")

DAY = 86_400


class Shop:
    """A store whose segments lie at a URL, and in no folder that a worker sees."""

    def __init__(self, folder, url) -> None:
        self.store = DiskStore(folder, *keys_of(120, "short"), [40, 80])
        self.url = url
        self.system, path = fsspec.url_to_fs(url)
        self.paths = [f"{path}/{row.file}" for row in self.store.segments]
        for file, remote in zip(self.store.files, self.paths, strict=True):
            self.system.pipe_file(remote, file.read_bytes())

    @property
    def engine(self) -> RemoteEngine:
        files = [f"{self.url}/{row.file}" for row in self.store.segments]
        return RemoteEngine(self.store, ask_here, cut=Cut(piece=40), files=files)

    def wanted(self, number: int = 0) -> Wanted:
        row = self.store.segments[number]
        return Wanted(f"{self.url}/{row.file}", (row.rows, 16), row.sums)

    def ask(self):
        return self.engine.attend(queries(1, 20), k=3, output=True)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shop(tmp_path, cache):
    return Shop(tmp_path / "made", f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def fetched(monkeypatch):
    """The URLs that are fetched."""
    urls, fetch = [], copies.fetch
    monkeypatch.setattr(copies, "fetch", lambda url, *rest: urls.append(url) or fetch(url, *rest))
    return urls


def spoil(path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.unlink()  # what is mapped stays
    path.write_bytes(raw)


def test_the_answer_is_the_same_from_copies(shop, cache, fetched, monkeypatch):
    expected = LocalEngine(shop.store, Cut(piece=40)).attend(queries(1, 20), k=3, output=True)
    shutil.rmtree(shop.store.folder)
    for _ in range(2):
        answer = shop.ask()
        for array, other in zip(answer.attention, expected.attention, strict=True):
            assert np.array_equal(array, other)
    assert sorted(fetched) == sorted(shop.wanted(number).file for number in range(3))
    assert sorted(cache.glob("*.npy")) == sorted(find_local(shop.wanted(number)) for number in range(3))
    part._mapped.clear()
    monkeypatch.setattr(copies, "fetch", None)  # another process finds them
    shop.ask()


def test_a_damaged_copy_is_fetched_again(shop, fetched):
    shop.ask()
    spoil(find_local(shop.wanted(1)))
    part._mapped.clear()
    fetched.clear()
    shop.ask()
    assert fetched == [shop.wanted(1).file]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:-1] + b"?"])
def test_what_is_damaged_at_the_url_is_fetched_twice_and_refused(shop, fetched, cache, damage):
    shop.system.pipe_file(shop.paths[1], damage(shop.system.cat_file(shop.paths[1])))
    with pytest.raises(CatalogError) as caught:
        shop.ask()
    worker, url = part.describe()["worker"], shop.wanted(1).file
    assert f"made: the worker {worker} can't read {url}: it" in str(caught.value)
    assert "nor when it is fetched again; publish the catalog again, with --again" in str(caught.value)
    assert fetched.count(url) == 2
    assert not find_local(shop.wanted(1)).exists()
    assert not list((cache / "incoming").iterdir())


def test_all_of_a_copy_is_verified_when_it_comes(tmp_path, cache):
    """And not only the rows that are read first."""
    folder, url = tmp_path / "large", f"memory://{uuid.uuid4().hex}"
    (row,) = DiskStore(folder, *keys_of(600, "short"), []).segments
    system, path = fsspec.url_to_fs(url)
    raw = (folder / "segments" / row.file).read_bytes()
    wanted = Wanted(f"{url}/{row.file}", (600, 16), row.sums)
    system.pipe_file(f"{path}/{row.file}", raw[:-1] + b"?")
    with pytest.raises(ValueError, match="its rows 512 to 599 are not what was written, nor when it is fetched again"):
        load(wanted, range(10))
    assert not find_local(wanted).exists()
    system.pipe_file(f"{path}/{row.file}", raw)
    assert len(load(wanted, range(10))) == 10


def test_what_is_too_large_is_not_fetched(shop, monkeypatch):
    shop.system.pipe_file(shop.paths[1], b"0" * 100_000)
    monkeypatch.setattr(type(shop.system), "get_file", None)
    with pytest.raises(ValueError, match="it has 100,000 bytes, more than the"):
        load(shop.wanted(1), range(3))


def test_what_is_not_at_the_url(shop):
    shop.system.rm_file(shop.paths[2])
    with pytest.raises(CatalogError, match=r"there is no such file; publish the catalog again$"):
        shop.ask()


def test_a_server_that_is_gone(shop, monkeypatch, cache):
    def fail(*_, **__):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(type(shop.system), "get_file", fail)
    with pytest.raises(CatalogError, match=r"can't read memory://.*: Connection refused; each worker must be able to"):
        shop.ask()
    assert not list((cache / "incoming").iterdir())


def test_a_scheme_that_a_worker_can_not_open(tmp_path, cache):
    with pytest.raises(UnreachableError, match="fsspec knows no nonsense://"):
        load(Wanted("nonsense://x/y.npy", (1, 1), b""), range(1))


def test_a_cache_that_can_not_be_written(shop, cache):
    cache.write_text("a file")
    with pytest.raises(CatalogError, match=r"no copy can be kept in .*cache: (Not a directory|File exists)"):
        shop.ask()


def test_without_a_home(shop, monkeypatch):
    monkeypatch.setenv("ATTNSEARCH_CACHE", "~nobody-has-this-name")
    with pytest.raises(CatalogError, match="there is no home folder ~nobody-has-this-name"):
        shop.ask()


def test_the_folder_of_copies(monkeypatch, tmp_path):
    wanted = Wanted("s3://bucket/x.npy", (1, 1), b"")
    monkeypatch.delenv("ATTNSEARCH_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert find_local(wanted).parent == tmp_path / ".cache" / "attnsearch"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert find_local(wanted).parent == tmp_path / "x" / "attnsearch"


def test_copies_of_other_contents_have_other_names(shop):
    wanted = shop.wanted()
    names = {find_local(wanted), find_local(wanted._replace(sums=b"")), find_local(shop.wanted(1))}
    assert len(names) == 3
    assert find_local(wanted._replace(file=wanted.file.replace("memory", "s3"))) in names
    assert find_local(wanted._replace(file="/a/b.npy")).as_posix() == "/a/b.npy"


def test_two_at_once_fetch_it_once(shop, fetched, monkeypatch):
    """The second waits for the first, and finds what that has fetched."""
    fetch, alone, begun, second_comes = copies.fetch, copies._alone, threading.Event(), threading.Event()

    def hold(*given):
        begun.set()
        assert second_comes.wait(60)
        fetch(*given)

    def note(file):
        if begun.is_set():
            second_comes.set()
        return alone(file)

    monkeypatch.setattr(copies, "fetch", hold)
    monkeypatch.setattr(copies, "_alone", note)
    read = []
    first, second = (
        threading.Thread(target=lambda: read.append(load(shop.wanted(), range(40))), daemon=True) for _ in range(2)
    )
    first.start()
    assert begun.wait(60)
    second.start()
    for thread in (first, second):
        thread.join(60)
    assert np.array_equal(*read)
    assert fetched == [shop.wanted().file]


def test_who_waited_for_one_that_gave_up_begins_anew(shop, cache, fetched):
    """The file that it waited for is not the one of that name any more."""
    file = cache / "incoming" / find_local(shop.wanted()).name
    file.parent.mkdir(parents=True)
    with copies._alone(file) as mine:
        mine.write_bytes(b"half")
        mine.unlink()
    file.write_bytes(b"what a killed process left, which is longer than what comes" * 99)
    load(shop.wanted(), range(40))
    assert len(fetched) == 1


class TestRoom:
    @pytest.fixture
    def disk(self, monkeypatch):
        """A disk of 1,000 bytes, on which each file in the folder of copies takes 100."""
        usage = SimpleNamespace(total=1_000, other=0)

        def disk_usage(folder):
            taken = 100 * len([*folder.rglob("*.npy")])
            return SimpleNamespace(total=usage.total, free=usage.total - usage.other - taken)

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        return usage

    @staticmethod
    def make(folder, **ages) -> None:
        for name, age in ages.items():
            path = folder / f"{name}.npy"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.touch()
            os.utime(path, (time.time() - age,) * 2)

    @staticmethod
    def names(folder) -> list[str]:
        return sorted(path.stem for path in folder.rglob("*.npy"))

    def test_the_least_recently_used_go(self, tmp_path, disk):
        self.make(tmp_path, a=5 * DAY, b=2 * DAY, c=9 * DAY, d=1)
        disk.other = 500  # 100 are free, and 100 must be after 100 more
        make_room(tmp_path, 100)
        assert self.names(tmp_path) == ["a", "b", "d"]

    def test_what_nobody_uses_goes(self, tmp_path, disk):
        self.make(tmp_path, a=31 * DAY, b=29 * DAY)
        (tmp_path / "incoming").mkdir()
        self.make(tmp_path / "incoming", killed=31 * DAY, running=10)
        make_room(tmp_path, 1)
        assert self.names(tmp_path) == ["b", "running"]

    def test_what_is_in_use_stays(self, tmp_path, disk):
        self.make(tmp_path, a=60, b=3_000)
        disk.other = 790  # 10 are free
        make_room(tmp_path, 10)
        assert self.names(tmp_path) == ["a", "b"]
        with pytest.raises(OSError, match="No space left on device"):
            make_room(tmp_path, 11)

    def test_a_task_marks_what_it_uses(self, shop):
        shop.ask()
        for number in range(3):
            os.utime(find_local(shop.wanted(number)), (0, 0))
        shop.ask()  # from what is mapped
        assert all(find_local(shop.wanted(number)).stat().st_mtime > 1 for number in range(3))

    def test_a_disk_that_is_full_is_named(self, shop, disk, cache):
        disk.other = 990
        with pytest.raises(CatalogError, match=r"no copy can be kept in .*: No space left on device"):
            shop.ask()
