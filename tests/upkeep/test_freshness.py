"""Whether a catalog is as new as its sources, and what is said when it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.storage.home import read_catalog_info
from attnsearch.upkeep import freshness
from attnsearch.upkeep.freshness import fingerprint_source, gone_sources, stamp_source

FILE = "- {title: moon}\n"


@pytest.fixture
def notes(write, small):
    """A folder of two files, indexed as the catalog `notes`."""
    write("notes/a.md", "moon")
    path = write("notes/deep/b.md", "sea").parents[1]
    update([str(path)])
    return path


@pytest.fixture
def ask(caplog):
    """Open a catalog, and return what is said."""

    def ask(ref):
        caplog.clear()
        Index.open(ref).close()
        return caplog.messages

    return ask


@pytest.fixture
def hashed(monkeypatch):
    """Which sources are read to see whether they have changed."""
    paths = []

    def fingerprint(path, glob=None):
        paths.append(path)
        return fingerprint_source(path, glob)

    monkeypatch.setattr(freshness, "fingerprint_source", fingerprint)
    return paths


class TestFile:
    def test_one_that_has_changed(self, shop, ask):
        assert ask("shop") == []
        shop.write_text(FILE)
        expected = f"shop: {shop} has changed since it was read; read it again: attnsearch index {shop}"
        assert ask("shop") == [expected]
        update([str(shop)])
        assert ask("shop") == []

    def test_nothing_is_read_while_its_stamp_is_the_same(self, shop, ask, hashed):
        assert ask("shop") == []
        assert hashed == []

    def test_one_that_was_only_touched_is_read_and_not_named(self, shop, ask, hashed):
        os.utime(shop, (1, 1))
        assert ask("shop") == []
        assert hashed == [str(shop)]

    def test_of_the_same_size(self, shop, ask):
        shop.write_text(shop.read_text().replace("moon", "sun!"))
        assert len(ask("shop")) == 1

    def test_a_large_one_of_the_same_size_is_not_read(self, shop, ask, hashed, monkeypatch):
        monkeypatch.setattr(freshness, "_LARGEST", 10)
        shop.write_text(shop.read_text().replace("moon", "sun!"))
        assert ask("shop") == []
        assert hashed == []

    def test_one_that_changes_while_it_is_read(self, shop, small, ask, monkeypatch):
        """The stamp is of the file before, so the change is seen."""
        encode = small.encode

        def write_and_encode(texts, role="key", progress=None):
            shop.write_text(FILE + "- {title: robot}\n")
            return encode(texts, role, progress)

        shop.write_text(FILE + "- {title: lake}\n")
        with monkeypatch.context() as patch:
            patch.setattr(small, "encode", write_and_encode, raising=False)
            update([str(shop)])
        assert len(ask("shop")) == 1

    def test_kept_items_stay_when_the_advice_is_followed(self, shop, write, ask):
        more = write("more.yaml", "- {title: lake}\n")
        update([str(more)], name="shop", keep=True)
        more.write_text(FILE)
        assert ask("shop")[0].endswith(f"attnsearch index {more} --name shop --keep")

    def test_one_that_is_gone_is_no_news_to_a_query(self, shop, ask):
        shop.unlink()
        assert ask("shop") == []
        assert ask(str(shop))[0].startswith(f"{shop} is gone; this is what was read of it on 2")

    def test_a_pipe_and_a_catalog_of_an_older_attnsearch_are_left_alone(self, shop, home, ask, monkeypatch):
        info = read_catalog_info(home / "shop")
        older = info._replace(sources=(info.sources[0]._replace(stamp=""), info.sources[0]._replace(sha256=None)))
        shop.write_text(FILE)
        freshness.warn_if_changed(home / "shop", older, "shop")
        assert gone_sources(older) == []
        shop.unlink()
        assert gone_sources(older) == [str(shop)]


class TestFolder:
    @pytest.mark.parametrize(
        "change",
        [
            lambda notes: (notes / "deep" / "b.md").write_text("lake"),
            lambda notes: (notes / "c.md").write_text("lake"),
            lambda notes: (notes / "deep" / "b.md").unlink(),
            lambda notes: (notes / "deep" / "b.md").rename(notes / "deep" / "c.md"),
        ],
        ids=["a file", "a new file", "a file that is gone", "a name"],
    )
    def test_one_that_has_changed(self, notes, ask, change):
        assert ask("notes") == []
        change(notes)
        command = f"attnsearch index {notes}"
        assert ask("notes") == [f"notes: {notes} has changed since it was read; read it again: {command}"]

    def test_what_is_not_read_is_no_change(self, notes, ask, hashed):
        (notes / ".hidden").write_text("x")
        (notes / "picture.png").write_bytes(b"x")
        assert ask("notes") == []
        assert hashed == [str(notes)]

    def test_one_of_many_files_is_not_looked_through(self, notes, ask, monkeypatch):
        monkeypatch.setattr(freshness, "_MOST_FILES", 2)
        (notes / "c.md").write_text("lake")
        assert stamp_source(str(notes)) == ""
        assert ask("notes") == []


def test_a_link_in_a_folder_leads_nowhere(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "loop").symlink_to(tmp_path / "notes")
    assert stamp_source(str(tmp_path / "notes")).endswith(" 1")


def test_what_may_not_be_looked_at_is_not_gone(shop, home, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    info = read_catalog_info(home / "shop")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        assert gone_sources(info) == []
        assert stamp_source(str(shop)) == ""
