"""Which catalog is meant, and how it is read: what was said once stays, and a file has one catalog."""

from __future__ import annotations

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.target import Read
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.sources.fields import Fields
from attnsearch.storage import home
from attnsearch.syntax.formats import Reading
from tests.conftest import titles

FILMS = "id,title,overview,url\n1,moon,A sea of robots in the night.,u\n2,sea,A moon in the water below us.,v\n"


@pytest.fixture
def films(write, small):
    return write("films.csv", FILMS)


def fields_of(ref):
    with Index.open(ref) as index:
        return index.info.fields


class TestFields:
    @pytest.mark.parametrize(
        "first", [Fields(("url",), "overview", ("url",)), Fields(("url",)), Fields(title="url"), Fields(text=("url",))]
    )
    @pytest.mark.parametrize("second", [Fields(("title",)), Fields(title="id"), Fields(text=("title",))])
    def test_each_stays_until_another_is_given(self, films, first, second):
        update([str(films)], fields=first)
        update([str(films)])
        info = update([str(films)], fields=second).info
        assert info.given == second.over(first)
        assert info.fields == second.over(info.fields)
        assert info.fields == info.given.over(info.fields)

    def test_a_new_description_is_read_at_once(self, write, small):
        path = write("x.yaml", "- {title: moon, year: 1}\n")
        assert update([str(path)]).read.text == ("title",)
        path.write_text("- {title: moon, year: 1, description: sea}\n")
        report = update([str(path)])
        assert (report.read.text, report.embedded) == (("title", "description"), 1)

    @pytest.mark.parametrize(
        "given", [Fields(("skuu",)), Fields(title="titel"), Fields(text=("title", "overveiw")), Fields(("id", "x"))]
    )
    def test_one_that_no_item_has(self, films, given):
        with pytest.raises(InputError, match=r"no item has a field '(skuu|titel|overveiw|x)'"):
            update([str(films)], fields=given)
        assert not home.catalog_exists(home.catalog_folder("films"))

    def test_one_far_down_in_the_file_is_one(self, write, small):
        rows = "".join(f'{{"id": "{n}", "title": "t{n}"}}\n' for n in range(1_200))
        path = write("x.jsonl", rows + '{"id": "x", "title": "x", "late": "moon"}\n')
        assert update([str(path)], fields=Fields(text=("title", "late"))).added == 1_201
        with pytest.raises(InputError, match="no item has a field 'never'"):
            update([str(path)], fields=Fields(text=("title", "never")))

    def test_ids_do_not_go_in_silence(self, films, caplog):
        update([str(films)], fields=Fields(("url",)))
        films.write_text(FILMS.replace("url", "link"))
        with pytest.raises(InputError, match="no item has a field 'url'"):
            update([str(films)])
        update([str(films)], fields=Fields(("link",), "title"))
        films.write_text(FILMS.replace("title", "name").replace("url", "link"))
        update([str(films)])
        assert "films: no item has a field 'title' any more" in caplog.text

    def test_what_the_kept_items_have_is_not_gone(self, write, films, caplog):
        update([str(films)], fields=Fields(text=("title", "url")))
        more = write("more.yaml", "- {id: new, title: sea}\n")
        update([str(more)], name="films", keep=True)
        assert "any more" not in caplog.text
        update([str(more)], name="films")
        assert "films: no item has a field 'url' any more" in caplog.text

    def test_what_was_recognized_and_is_gone(self, films, caplog):
        update([str(films)])
        films.write_text(FILMS.replace("title", "name").replace("id", "sku"))
        assert update([str(films)]).info.fields == Fields(("sku",), "name", ("name", "overview"))
        assert "films: the ids are now 'sku'" in caplog.text
        assert "films: the titles are now 'name'" in caplog.text

    def test_the_longest_text_is_missed(self, films, caplog):
        report = update([str(films)], fields=Fields(text=("title",)))
        assert report.read == Read(("id",), "title", ("title",), ("overview", "url"), "overview")
        assert "films: the longest text is not read; add it: --text-field overview" in caplog.text


def test_how_files_are_read_stays_for_the_same_files(write, small):
    path = write("x.txt", "id,title\n1,moon\n")
    update([str(path)], reading=Reading(form="csv"))
    path.write_text("id,title\n1,moon\n2,[sea]\n")
    assert update([str(path)]).info.reading == Reading(form="csv")
    other = write("y.json", '[{"id": 3, "title": "robot"}]')
    assert update([str(other)], name="x").info.reading == Reading()


class TestOneCatalogOfAFile:
    def test_a_query_asks_the_one_with_a_name(self, films, home):
        update([str(films)], name="shop", fields=Fields(text=("overview",)))
        assert fields_of(str(films)).text == ("overview",)
        films.write_text(FILMS + "3,new,robot,w\n")
        assert titles(str(films)) == {"moon", "sea", "new"}
        assert fields_of("shop").text == ("overview",)
        assert [folder.name for folder in home.iterdir()] == ["shop"]

    def test_one_that_a_query_made_gets_the_name(self, films, home, small):
        titles(str(films))
        small.read.clear()
        assert update([str(films)], fields=Fields(title="title")).embedded == 0
        assert small.read == []
        assert [folder.name for folder in home.iterdir()] == ["films"]
        assert titles(str(films)) == titles("films") == {"moon", "sea"}

    def test_two_with_names(self, films):
        for name in ("a b", "c"):
            update([str(films)], name=name)
        with pytest.raises(CatalogError, match="2 catalogs were made from it: a b, c; say which: -c 'a b'"):
            Index.open(str(films))

    def test_one_with_other_items_is_not_the_one_of_the_file(self, films, write, home):
        """Else a query would remove the items that --keep kept."""
        update([str(write("old.csv", "id,title\n7,robot\n"))], name="both")
        update([str(films)], name="both", keep=True)
        films.write_text(FILMS + "3,new,robot,w\n")
        assert titles(str(films)) == {"moon", "sea", "new"}
        assert titles("both") == {"moon", "sea", "robot"}
        update([str(films)], name="both", keep=True)
        assert update([str(films)], name="both").info.is_exact


@pytest.mark.parametrize(
    ("file", "name"),
    [("My Books (2021).csv", "My Books 2021"), ("a&b.csv", "a b"), ("!!.csv", "catalog"), (f"{'x' * 99}.csv", "x" * 64),
     ("-rf.csv", "rf"), ("hé!.csv", "hé"), ("books.csv", "books")],
)  # fmt: skip
def test_any_file_name_makes_a_name(write, small, file, name):
    assert update([str(write(file, "title\nmoon\n"))]).info.name == name
    assert titles(name) == {"moon"}


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (Read(("id",), "Title", ("Title", "Plot"), (), None), "read: Title, Plot"),
        (Read((), "", ("plot",), (), None), "read: plot (title: the beginning of the text)"),
        (Read(("a", "b"), "title", ("title",), (), None), "read: title (id: a and b)"),
        (Read((), "title", ("title",), tuple("abcdefgh"), None),
         "read: title (not read: a, b, c, d, e, f, …; change it with --text-field)"),
        (Read((), "n" * 50, ("n" * 50,), (), None), f"read: {'n' * 30}… (title: {'n' * 30}…)"),
    ],
)  # fmt: skip
def test_what_is_said(read, sentence):
    assert read.sentence() == sentence
