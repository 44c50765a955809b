from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from attnsearch.encoding import loading
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.check import find_problems
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import Writer
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.sources.fields import Fields
from attnsearch.storage import home
from attnsearch.storage.database import read_info_rows, write_info
from attnsearch.storage.home import file_catalog_folder
from attnsearch.syntax.formats import Reading
from tests.asking import query
from tests.conftest import SHOP, titles


class TestOtherWeights:
    def test_a_query_is_refused(self, shop, small):
        small.sha256 = "6" * 64
        with pytest.raises(CatalogError, match="other weights of small") as caught:
            Index.open("shop")
        assert caught.value.hint == f"index it again: attnsearch index {shop}"

    def test_the_hint_names_the_catalog(self, write, small):
        """Else it would index another one, that of the file's name."""
        path = write("a b.yaml", "- {title: moon}\n")
        update([str(path)], name="other")
        home.catalog_folder("other").rename(home.catalog_folder("renamed"))
        small.sha256 = "6" * 64
        with pytest.raises(CatalogError, match="renamed: was indexed with") as caught:
            Index.open("renamed")
        assert caught.value.hint == f"index it again: attnsearch index '{path}' --name renamed"

    def test_a_file_that_was_only_touched_is_hashed_and_answered_from(self, shop, small, monkeypatch):
        monkeypatch.setattr(type(small), "stamp", "another time")
        assert titles("shop") == {"moon", "sea", "robot"}

    def test_a_file_that_was_not_touched_is_not_hashed(self, shop, small):
        class Unhashed(type(small)):
            stamp = "5" * 64

            @property
            def sha256(self):
                raise AssertionError

            @sha256.setter
            def sha256(self, value):
                pass

        small.__class__ = Unhashed
        assert titles("shop") == {"moon", "sea", "robot"}

    def test_a_file_on_the_fly_is_embedded_anew(self, write, small):
        path = write("x.yaml", "- {title: moon}\n")
        assert titles(str(path)) == {"moon"}
        small.sha256 = "6" * 64
        assert titles(str(path)) == {"moon"}


def test_a_catalogs_model_is_a_remembered_name(shop, small, monkeypatch):
    """Whatever opens the catalog: a folder of that name in the working directory is none of it."""
    asked = []
    monkeypatch.setattr(loading, "load", lambda name, **options: asked.append((name, options["remembered"])) or small)
    Index.open("shop").close()
    update([str(shop)])
    assert find_problems(home.catalog_folder("shop")) == []
    repair(home.catalog_folder("shop"))
    assert asked == [("small", True)] * 4


class TestPipe:
    """`-` is a catalog for one command, of which nothing stays."""

    @pytest.fixture
    def pipe(self, monkeypatch):
        def put(text):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

        return put

    def test_nothing_stays(self, home, small, pipe):
        pipe("title,price\nmoon,3\nsea robot,5\n")
        with Index.open("-") as index:
            assert list(home.iterdir()) == []
            (result,) = search(index, ["moon"], Setting(where=(parse_filter("price < 4"),)), k=3)
            assert [hit.title for hit in result.hits] == ["moon"]
        assert list(home.iterdir()) == []

    @pytest.mark.parametrize("text", ["", '{"title": ', "a: [b"])
    def test_nothing_stays_of_what_is_refused(self, home, small, pipe, text):
        pipe(text)
        with pytest.raises(InputError):
            Index.open("-")
        assert list(home.glob("*")) == []

    def test_it_takes_nothing_from_a_catalog_that_came_through_a_pipe(self, home, small, pipe):
        pipe("name,title\nmoon,sea\n")
        update(["-"], name="piped", fields=Fields(title="name"))
        pipe("title,x\nmoon,1\n")
        with Index.open("-") as index:
            assert index.info.fields.title == "title"

    def test_each_line_an_item(self, home, small, pipe):
        pipe("fix: moon\nsea\n")
        with Index.open("-", reading=Reading("lines")) as index:
            assert {item.title for _, item in index.store.items()} == {"fix: moon", "sea"}

    def test_what_a_killed_process_left_is_deleted_after_a_day(self, home, small, pipe):
        old, young = home / ".pipe-old", home / ".pipe-young"
        for folder in (old, young):
            folder.mkdir(parents=True)
        os.utime(old, (1, 1))
        pipe("title,x\nmoon,1\n")
        Index.open("-").close()
        assert list(home.iterdir()) == [young]


class TestReading:
    def test_a_file_is_read_as_said(self, write, small):
        path = write("x.txt", "moon\nsea\n")
        Index.open(str(path), reading=Reading("lines")).close()
        assert titles(str(path)) == {"moon", "sea"}  # it is remembered
        assert Index.open(str(path), reading=Reading("csv")).info.items == 1

    @pytest.mark.parametrize("ref", ["shop", "library"])
    def test_a_catalog_was_read_already(self, shop, small, ref):
        with pytest.raises(InputError, match=f"{ref}: is a catalog, which was read already; --from is for a file"):
            Index.open(ref, reading=Reading("csv"))


class TestWhileAnotherWrites:
    """A query of a file does not wait for a writer if it can answer from an earlier state."""

    def test_the_answer_of_before(self, write, small, home, caplog):
        path = write("x.yaml", SHOP)
        titles(str(path))
        path.write_text(SHOP.replace("sea", "lake"))
        with Writer(next(home.glob("@*"))):
            assert titles(str(path)) == {"moon", "sea", "robot"}
        assert "x.yaml is being indexed by another attnsearch; this answer is from before that" in caplog.messages
        assert "waiting" not in caplog.text
        assert titles(str(path)) == {"moon", "lake", "robot"}

    def test_what_was_read_in_another_way_is_no_answer(self, write, small, home):
        path = write("x.txt", "moon\nsea\n")
        Index.open(str(path), reading=Reading("lines")).close()
        with ThreadPoolExecutor() as pool:
            with Writer(next(home.glob("@*"))):
                asked = pool.submit(Index.open, str(path), reading=Reading("csv"))
                wait([asked], 0.5)
                assert not asked.done()
            with asked.result(20) as index:
                assert index.info.items == 1

    def test_the_first_state_is_waited_for(self, write, small, home, caplog, monkeypatch):
        path = write("x.yaml", SHOP)
        begun, encode = threading.Event(), small.encode

        def encode_late(texts, role="key", progress=None):
            if role == "key" and not begun.is_set():
                begun.set()
                wait([second], 0.5)
                assert not second.done()
            return encode(texts, role, progress)

        def ask_second():
            begun.wait(20)
            return titles(str(path))

        monkeypatch.setattr(small, "encode", encode_late, raising=False)
        with ThreadPoolExecutor() as pool:
            second = pool.submit(ask_second)
            assert titles(str(path)) == second.result(20) == {"moon", "sea", "robot"}
        assert sorted(small.read) == ["moon", "moon", "moon", "robot", "sea"]  # two of them are the queries
        assert "waiting for another attnsearch to finish writing to x" in caplog.messages

    def test_and_made_if_the_other_gives_up(self, write, small, home):
        path = write("x.yaml", SHOP)
        with ThreadPoolExecutor() as pool:
            with Writer(file_catalog_folder(path)):
                asked = pool.submit(titles, str(path))
                wait([asked], 0.5)
                assert not asked.done()
            assert asked.result(20) == {"moon", "sea", "robot"}


class TestOnTheFly:
    def test_only_when_the_file_changed(self, write, small):
        path = write("x.yaml", SHOP)
        assert titles(str(path)) == {"moon", "sea", "robot"}
        small.read.clear()
        titles(str(path))
        assert small.read == ["moon"]  # the query alone
        path.write_text(SHOP.replace("sea", "lake"))
        assert titles(str(path)) == {"moon", "lake", "robot"}
        assert small.read == ["moon", "lake", "moon"]

    def test_one_of_an_older_attnsearch_learns_its_encoders_identity(self, write, small, home):
        path = write("x.yaml", SHOP)
        titles(str(path))
        (folder,) = home.glob("@*")
        with closing(sqlite3.connect(folder / "index.sqlite")) as db:
            rows = {name: json.loads(value) for name, value in read_info_rows(db).items()}
            del rows["identity"], rows["sum"]
            write_info(db, rows)
            db.commit()
        small.read.clear()
        titles(str(path))
        with Index.open(str(path)) as index:
            assert (index.info.identity, small.read) == (small.identity, ["moon"])

    def test_it_says_once_which_fields_it_read(self, write, small, caplog):
        path = write("x.yaml", "- {title: moon, genre: sea, price: 3}\n")
        for _ in range(2):
            titles(str(path))
        assert caplog.text.count("x.yaml: read: title, genre (not read: price; change it with --text-field)") == 1

    def test_two_files_of_one_name(self, write, small):
        first, other = write("a/x.yaml", "- {title: moon}\n"), write("b/x.yaml", "- {title: sea}\n")
        assert titles(str(first)) == {"moon"}
        assert titles(str(other)) == {"sea"}
        assert titles(str(first)) == {"moon"}


class TestWhichCatalog:
    def test_the_library_when_nothing_is_there(self, small, caplog):
        assert "Dune" in titles()
        assert "read:" not in caplog.text  # its fields are ours

    def test_the_only_one(self, shop, small):
        titles("library")
        assert titles() == {"moon", "sea", "robot"}

    def test_none_when_there_are_several(self, shop, write, small):
        update([str(write("other.yaml", "- {title: x}\n"))])
        with pytest.raises(InputError, match="which catalog"):
            titles()

    def test_the_environment(self, shop, monkeypatch, write, small):
        update([str(write("other.yaml", "- {title: x}\n"))])
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "other")
        assert titles() == {"x"}

    def test_ones_own_library_comes_before_the_built_in(self, write, small):
        update([str(write("library.yaml", "- {title: mine}\n"))])
        assert titles("library") == {"mine"}
        assert titles() == {"mine"}

    def test_a_new_version_of_a_built_in_is_indexed(self, write, small, monkeypatch):
        path = write("library.yaml", "- {title: old}\n")
        monkeypatch.setattr(home, "built_in_file", lambda name: path if name == "library" else None)
        assert titles("library") == {"old"}
        path.write_text("- {title: new}\n")
        assert titles("library") == {"new"}

    @pytest.mark.parametrize(
        ("ref", "error", "message"),
        [
            ("shp", CatalogError, "there is no catalog 'shp'; did you mean 'shop'?"),
            ("zzz", CatalogError, "there is no catalog 'zzz'; 'attnsearch list' shows"),
            ("none.yaml", InputError, "none.yaml: no such file"),
            ("./none", InputError, "./none: no such file"),
            ("/", InputError, "/: is a folder"),
            ("..", InputError, "..: is a folder"),
            ("x" * 5000, CatalogError, "there is no catalog"),
        ],
    )
    def test_not_there(self, shop, ref, error, message):
        with pytest.raises(error) as caught:
            home.find_catalog(ref)
        assert str(caught.value).startswith(message)


class TestThreads:
    ASKED = (
        ("moon", {}),
        ("sea", {"where": ["price >= 3"]}),
        ("robot", {"lexical": 0.5}),
        ("sea moon", {"where": ["title != robot"], "lexical": 0.1}),
    )

    def test_answers_do_not_depend_on_the_thread(self, shop, small):
        def ask(index, number):
            text, options = self.ASKED[number % len(self.ASKED)]
            return [(hit.id, hit.logit) for hit in query(index, text, **options).hits]

        with Index.open("shop") as index:
            expected = [ask(index, number) for number in range(len(self.ASKED))]
        for _ in range(3):  # each time, threads race to open the postings, or to build them
            with Index.open("shop") as index, ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda number: ask(index, number), range(80)))
            assert answers == expected * 20

    def test_opened_in_one_thread_and_closed_in_another(self, shop, small):
        index = Index.open("shop")
        query(index, "moon", where=["price >= 3"])
        thread = threading.Thread(target=index.close)
        thread.start()
        thread.join()
        with pytest.raises(ValueError, match="shop: the index is closed; open it again"):
            query(index, "moon")

    @pytest.mark.parametrize("options", [{}, {"where": ["price >= 3"]}, {"lexical": 0.5}])
    def test_a_closed_one_says_so(self, shop, small, options):
        with Index.open("shop") as index:
            query(index, "moon", **options)
        with pytest.raises(ValueError, match="shop: the index is closed; open it again"):
            query(index, "moon", **options)
