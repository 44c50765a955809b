"""What may be written for a place, and the files there: whole, or not there."""

from __future__ import annotations

import io
import uuid

import pytest

from attnsearch.cluster import urls
from attnsearch.cluster.urls import UnreachableError, check_url, fetch, open_destination
from attnsearch.errors import InputError

fsspec = pytest.importorskip("fsspec", reason="needs the extra [dask]")


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    """An empty place of each kind."""
    opened = open_destination(str(tmp_path / "there") if request.param == "folder" else f"memory://{uuid.uuid4().hex}")
    opened.create()
    return opened


def test_files(place):
    assert place.list_files() == {}
    place.write("x", io.BytesIO(b"first"))
    place.write("x", io.BytesIO(b"second"))
    place.write("empty", io.BytesIO())
    assert place.list_files() == {"x": 6, "empty": 0}
    assert (place.read("x", 100), place.read("x", 6), place.read("x", 3)) == (b"second", b"second", b"seco")
    place.create()
    place.remove("x")
    place.remove("x")
    assert place.list_files() == {"empty": 0}
    with pytest.raises(FileNotFoundError):
        place.read("x", 1)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(place):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

        readinto = read

    place.write("x", io.BytesIO(b"old"))
    with pytest.raises(UnreachableError, match="Input/output error"):
        place.write("x", Broken(b"new"))
    assert place.list_files() == {"x": 3}
    assert place.read("x", 9) == b"old"


def test_a_place_that_is_not_there(tmp_path):
    place = open_destination(str(tmp_path / "a" / "b"))
    assert place.list_files() == {}
    for act in (place.create, lambda: place.write("x", io.BytesIO())):
        with pytest.raises(UnreachableError, match="there is no such folder or bucket"):
            act()
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(UnreachableError, match="Not a directory"):
        place.list_files()


def test_a_file_is_fetched_unless_it_is_too_large(tmp_path):
    url = f"memory://{uuid.uuid4().hex}"
    open_destination(url).write("x", io.BytesIO(b"four"))
    fetch(f"{url}/x", tmp_path / "x", 4)
    assert (tmp_path / "x").read_bytes() == b"four"
    with pytest.raises(ValueError, match="it has 4 bytes, more than the 3"):
        fetch(f"{url}/x", tmp_path / "y", 3)
    with pytest.raises(FileNotFoundError):
        fetch(f"{url}/y", tmp_path / "y", 4)
    assert not (tmp_path / "y").exists()


def test_errors_of_any_kind_are_one(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise KeyError("no credentials\nand more")

    url = f"memory://{uuid.uuid4().hex}"
    place = open_destination(url)
    for name in ("ls", "size", "open", "rm_file", "mkdir"):
        monkeypatch.setattr(type(place._system), name, fail)
    acts = (
        place.list_files, place.create, lambda: place.read("x", 1), lambda: place.write("x", io.BytesIO()),
        lambda: place.remove("x"), lambda: fetch(f"{url}/x", tmp_path / "x", 1),
    )  # fmt: skip
    for act in acts:
        with pytest.raises(UnreachableError, match=r"no credentials[^\n]*$"):
            act()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/books", "s3://bucket/books"),
        ("s3://bucket/books//", "s3://bucket/books"),
        ("gs://user@bucket", "gs://user@bucket"),
        ("/shared/../books/", "/books"),
        ("/shared/böoks", "/shared/böoks"),
    ],
)
def test_urls(text, url):
    assert check_url(text) == url


def test_paths_of_this_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert check_url("books") == str(tmp_path / "books")
    assert check_url("./s3:books") == str(tmp_path / "s3:books")
    assert check_url("~/books") == str(tmp_path / "home" / "books")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid URL; name a folder"),
        ("s3://a\nb", "invalid URL; name a folder"),
        ("s3://" + "a" * 2_000, "invalid URL; name a folder"),
        ("s3:/bucket/x", "'s3:/bucket/x' can be a URL or a folder; write s3://… for a URL, ./s3:/bucket/x for a"),
        ("file:///shared/x", "file:///shared/x: a folder is named by its path; write /shared/x"),
        ("ftp://me:secret@host/x", "ftp://…@: a URL with a password would be shown to others"),
        ("s3://KEY:a/secret@bucket/x", "s3://…@: a URL with a password would be shown to others"),
        ("s3:/KEY:secret@bucket/x", "s3://…@: a URL with a password would be shown to others"),
        ("S3://KEY:secret@bucket/x", "S3://…@: a URL with a password would be shown to others"),
        ("S3://bucket/x", "'S3://bucket/x' can be a URL or a folder"),
        ("s3://", "no place"),
        ("s3:///", "no place"),
        ("s3://bucket/../x", "no place, or '::', '?', '#', '\\', '.' or '..' in it"),
        ("simplecache::s3://bucket/x", "'simplecache::s3://bucket/x' can be a URL or a folder"),
        ("s3://bucket/x::zip://y", "'::'"),
        ("s3://bucket/x?versionId=1", "'?'"),
        ("~nobody-has-this-name/x", "there is no such home folder"),
    ],
)  # fmt: skip
def test_what_is_no_url(text, message):
    with pytest.raises(InputError) as caught:
        check_url(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_not_installed(monkeypatch):
    with pytest.raises(InputError, match=r"fsspec knows no nonsense://; name a folder"):
        open_destination("nonsense://x")
    from fsspec.registry import known_implementations

    monkeypatch.setitem(known_implementations, "nonsense", {"class": "no.such.Thing", "err": "Install no"})
    with pytest.raises(InputError, match=r"nonsense:// can't be opened: Install no"):
        open_destination("nonsense://x")
    monkeypatch.setattr(urls, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"s3:// needs fsspec; pip install 'attnsearch\[dask\]'"):
        open_destination("s3://bucket/x")
