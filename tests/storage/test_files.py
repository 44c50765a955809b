"""The files of a catalog's folder: replaced whole or not at all, opened without waiting and without following links."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError
from attnsearch.storage import files


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "x"
    for raw in (b"first", b"", b"second" * 1000):
        files.replace_file(path, raw)
        assert path.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = tmp_path / "x"
    files.replace_file(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_bytes_are_durable_before_they_have_the_name_and_the_name_after(tmp_path, monkeypatch):
    path, synced = tmp_path / "x", []
    files.replace_file(path, b"old")
    fsync = os.fsync

    def note(handle):
        fsync(handle)
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", note)
    files.replace_file(path, b"new")
    assert synced == [b"old", b"new"]


def test_a_draft_overwrites_nothing(tmp_path, monkeypatch):
    """Not even if somebody has guessed its name, and made it a link."""
    (tmp_path / "elsewhere").write_bytes(b"old")
    name = uuid.uuid4()
    monkeypatch.setattr(uuid, "uuid4", lambda: name)
    (tmp_path / f".x-{name.hex}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        files.replace_file(tmp_path / "x", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert not (tmp_path / "x").exists()


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"old")
    (tmp_path / "x").symlink_to(tmp_path / "elsewhere")
    files.replace_file(tmp_path / "x", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert not (tmp_path / "x").is_symlink()


def test_a_link_is_opened_only_where_it_may_be(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with files.open_to_read(tmp_path / "elsewhere") as stream:
        assert stream.read() == b"x"
    with pytest.raises(OSError, match="link"):
        files.open_to_read(tmp_path / "link")
    with files.open_to_read(tmp_path / "link", follow_links=True) as stream:
        assert stream.read() == b"x"


@pytest.mark.parametrize("follow_links", [False, True])
def test_a_pipe_is_not_waited_for(tmp_path, follow_links):
    os.mkfifo(tmp_path / "pipe")
    with files.open_to_read(tmp_path / "pipe", follow_links=follow_links) as stream:
        assert stream.read() == b""


@pytest.mark.parametrize(
    "name",
    [
        "", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "index.seal", "learned.safetensors",
        "feedback.jsonl", "segments", "postings",
    ],
)  # fmt: skip
def test_no_part_of_a_catalog_may_be_a_link(tmp_path, name):
    folder = tmp_path / "shop"
    if name:
        folder.mkdir()
        files.refuse_links(folder)
    (folder / name).symlink_to(tmp_path / "elsewhere")  # even one that leads nowhere
    with pytest.raises(
        CatalogError, match="is a link, and links are not followed here; replace it with what"
    ) as caught:
        files.refuse_links(folder)
    assert caught.value.message.startswith(f"{folder / name}: ")


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_sqlite_is_not_left_waiting_for_a_pipe(tmp_path, suffix):
    os.mkfifo(tmp_path / f"index.sqlite{suffix}")
    with pytest.raises(CatalogError, match=f"index.sqlite{suffix}: is not a regular file; remove it"):
        files.refuse_links(tmp_path)


def test_the_folder_is_synced_after_a_file_has_its_name(tmp_path, synced):
    files.replace_file(tmp_path / "x", b"new")
    assert [(event.path, event.names) for event in synced[1:]] == [(tmp_path, {"x"})]
    assert synced[0].path.name.startswith(".x-")


def test_what_goes_meanwhile_is_no_odd_file(tmp_path, monkeypatch):
    """SQLite deletes its log when the last process closes the database."""
    log, stat = tmp_path / "index.sqlite-wal", Path.stat
    log.touch()

    def delete_after(path, *, follow_symlinks=True):
        status = stat(path, follow_symlinks=follow_symlinks)
        if path == log and follow_symlinks:
            log.unlink()
        return status

    monkeypatch.setattr(Path, "stat", delete_after)
    files.refuse_links(tmp_path)
    assert not log.exists()


def test_the_size_of_a_folder_in_which_files_come_and_go(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    for name in ("a", "deep/b", "deep/gone"):
        (tmp_path / name).write_bytes(b"12345")
    lstat = os.lstat

    def delete_first(path, **options):
        if str(path).endswith("gone"):
            Path(path).unlink()
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", delete_first)
    assert files.folder_size(tmp_path) == 10
    assert files.folder_size(tmp_path / "nowhere") == 0
