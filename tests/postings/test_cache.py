from __future__ import annotations

import json
import os

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings import stored
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage.files import POSTINGS
from attnsearch.storage.store import Store

ITEMS = [{"id": f"{n}", "title": "moon" if n % 2 else "sea", "year": 1990 + n, "kind": "ab"[n % 2]} for n in range(9)]


@pytest.fixture
def path(write, small):
    path = write("books.jsonl", "".join(json.dumps(item) + "\n" for item in ITEMS))
    update([str(path)])
    return path


@pytest.fixture
def folder(path, home):
    return home / "books"


def ask(*where: str, **setting) -> list[str]:
    with Index.open("books") as index:
        (result,) = search(index, ["moon"], Setting(where=tuple(map(parse_filter, where)), **setting), k=99)
    return sorted(hit.id for hit in result.hits)


def labels(folder) -> list[str]:
    return sorted(path.name.split(".")[0] for path in (folder / POSTINGS).iterdir())


def test_made_once(folder, monkeypatch):
    assert not (folder / "postings").exists()
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
    assert len(labels(folder)) == 2
    assert "terms" in labels(folder)

    def refuse(self):
        raise AssertionError("the items are read again")

    monkeypatch.setattr(Store, "items", refuse)
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
    with pytest.raises(AssertionError):
        ask("kind = a")


def test_one_pass_for_all_that_is_missing(folder, monkeypatch):
    passes, items = [], Store.items
    monkeypatch.setattr(Store, "items", lambda self: passes.append(1) or items(self))
    assert ask("year > 1991", "kind = a", priors={"id": 1}, lexical=1) == ["2", "4", "6", "8"]
    assert (len(passes), len(labels(folder))) == (1, 4)


def test_brought_up_to_date_with_the_catalog(path, folder, monkeypatch):
    ask("year > 1995", lexical=1)
    before = set((folder / "postings").iterdir())
    path.write_text("".join(json.dumps({**item, "year": 3000}) + "\n" for item in ITEMS[:4]))
    update([str(path)])
    after = set((folder / "postings").iterdir())
    assert len(after) == 2
    assert not before & after
    monkeypatch.setattr(Store, "items", None)
    assert ask("year > 1995", lexical=1) == ["0", "1", "2", "3"]


def test_a_field_that_went_is_forgotten(path, folder):
    ask("year > 1995")
    ask("kind = a")
    path.write_text("".join(json.dumps({"id": item["id"], "title": "moon", "kind": "a"}) + "\n" for item in ITEMS))
    update([str(path)])
    assert len(labels(folder)) == 1
    with pytest.raises(InputError, match="no item of books has a field 'year'; the fields are kind"):
        ask("year > 1995")


def test_an_index_that_asks_for_terms_has_them_at_once(path, folder):
    update([str(path)], lexical=0.3)
    assert labels(folder) == ["terms"]


def test_flipped_bytes_are_found_and_mended(folder):
    ask("year > 1995", lexical=1)
    for file in list((folder / "postings").iterdir()):
        whole = file.read_bytes()
        for byte in range(0, len(whole), 499):
            raw = bytearray(whole)
            raw[byte] ^= 1 << byte % 8
            file.write_bytes(raw)
            assert check.find_problems(folder) == [f"postings/{file.name}: it is not what was written"]
            assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
            assert check.find_problems(folder) == []


@pytest.mark.parametrize("form", [".", ".v2."])
def test_a_file_of_an_earlier_form_is_not_read(path, folder, form):
    """The form before v2 rounded numbers, and the one before v3 had no kinds."""
    ask("year > 1995")
    (file,) = (folder / "postings").iterdir()
    old = file.rename(file.with_name(file.name.replace(".v3.", form)))
    assert ask("year > 1995") == ["6", "7", "8"]
    assert len(list((folder / "postings").iterdir())) == 2
    assert check.find_problems(folder) == []
    for new in set((folder / "postings").iterdir()) - {old}:
        new.unlink()
    path.write_text(json.dumps({"id": "new", "title": "moon", "year": 2001}) + "\n")
    update([str(path)])
    (file,) = (folder / "postings").iterdir()
    assert ".v3." in file.name  # the field of the old file, built again
    assert ask("year > 1995") == ["new"]


@pytest.mark.parametrize("form", [".", ".v2.", ".v3."])
def test_terms_of_an_earlier_rule_are_not_read(path, folder, form):
    """The first rule cut words at their marks, the second left out one-letter words, the third stored scores."""
    assert ask(lexical=1) == sorted(item["id"] for item in ITEMS)
    (file,) = (folder / "postings").iterdir()
    old = file.rename(file.with_name(file.name.replace(".v4.", form)))
    ask(lexical=1)
    (new,) = set((folder / "postings").iterdir()) - {old}
    new.unlink()
    path.write_text(json.dumps({"id": "new", "title": "moon"}) + "\n")
    update([str(path)])
    (file,) = (folder / "postings").iterdir()
    assert file.name.startswith("terms.v4.")


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b""), lambda file: file.unlink() or file.mkdir()])
def test_a_file_that_is_not_postings(folder, spoil):
    ask("year > 1995")
    (file,) = (folder / "postings").iterdir()
    spoil(file)
    assert ask("year > 1995") == ["6", "7", "8"]


def test_where_nothing_can_be_written(folder):
    (folder / "postings").write_text("in the way")
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]


def test_a_link_is_not_followed(folder, tmp_path):
    (folder / "postings").symlink_to(tmp_path)
    with pytest.raises(CatalogError, match="is a link"):
        ask("year > 1995")


def test_a_reader_keeps_its_state(path, folder):
    with Index.open("books") as index:
        path.write_text(json.dumps({"id": "new", "title": "moon", "year": 1}) + "\n")
        update([str(path)])
        (result,) = search(index, ["moon"], Setting(where=(parse_filter("year > 1995"),)), k=99)
        assert sorted(hit.id for hit in result.hits) == ["6", "7", "8"]
    assert ask("year < 1995") == ["new"]


@pytest.mark.parametrize(
    ("field", "hint"),
    [("yeer", "did you mean 'year'?"), ("titel", "did you mean 'title'?"), ("zzz", "the fields are kind, year")],
)
def test_a_field_that_no_item_has(folder, field, hint):
    with pytest.raises(InputError, match=f"no item of books has a field '{field}'") as caught:
        ask(f"{field} = 3")
    assert caught.value.hint == hint
    assert not (folder / "postings").exists()


def test_no_item_is_read_for_a_field_that_none_has(write, small, monkeypatch):
    lines = '{"title": "moon", "Year": 3, "author": {"name": "Ann", "born": null}, "spot": [[1, 2], [3]]}\n'
    update([str(write("nested.jsonl", lines))])
    with Index.open("nested") as index:
        index.postings.ensure(["spot", "author", "author.name", "title", "title.rendered", "author.name.$oid"])
        monkeypatch.setattr(Store, "items", None)
        for name, hint in [
            ("year", "did you mean 'Year'?"),
            ("author.nmae", "did you mean 'author.name'?"),
            ("author.name.first", "did you mean 'author.name'?"),
            ("author_name", "did you mean 'author.name'?"),
            ("titel", "did you mean 'title'?"),
            ("x'\"]", "the fields are Year, author.name"),
        ]:
            with pytest.raises(InputError, match="no item of nested has a field") as caught:
                index.postings.ensure([name])
            assert caught.value.hint == hint


@pytest.mark.parametrize("option", ["where", "prior", "value"])
def test_nothing_is_embedded_for_a_field_that_no_item_has(folder, small, option):
    options = {
        "where": {"setting": Setting(where=(parse_filter("yeer > 3"),))},
        "prior": {"setting": Setting(priors={"yeer": 1.0})},
        "value": {"values": ["yeer"]},
    }[option]
    del small.read[:]
    with Index.open("books") as index, pytest.raises(InputError, match="has a field 'yeer'"):
        search(index, ["moon"], **options)
    assert not small.read


def test_a_field_without_values(write, small):
    update([str(write("empty.jsonl", '{"title": "moon", "ended": "NULL", "tags": []}\n'))])
    with Index.open("empty") as index, pytest.raises(InputError) as caught:
        search(index, ["moon"], Setting(where=(parse_filter("has ended"),)))
    assert str(caught.value) == "no item of empty has a value in 'ended'"


def test_a_catalog_without_fields(write, small):
    update([str(write("plain.jsonl", '{"title": "moon"}\n'))])
    with Index.open("plain") as index, pytest.raises(InputError, match="its items have no fields"):
        search(index, ["moon"], Setting(where=(parse_filter("zzz = 3"),)))


def test_a_home_that_is_not_utf_8(path, folder, monkeypatch, tmp_path):
    odd = tmp_path / os.fsdecode(b"n\xff%20 ?#")
    (folder.parent).rename(odd)
    monkeypatch.setenv("ATTNSEARCH_HOME", str(odd))
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
    assert len(labels(odd / folder.name)) == 2


def test_postings_that_are_deleted_while_they_are_checked(folder, monkeypatch):
    """Those of an earlier state, by an `index` that has just committed."""
    ask(lexical=0.3)
    read = stored._file_checksum

    def delete_first(path):
        path.unlink()
        return read(path)

    assert list(stored.stored_files(folder / POSTINGS))
    monkeypatch.setattr(stored, "_file_checksum", delete_first)
    assert list(stored.broken_files(folder)) == []


@pytest.mark.parametrize(("field", "message"), [("", "has a field ''"), ("a\udcff", "is not valid UTF-8")])
def test_names_that_no_field_has(folder, field, message):
    with Index.open("books") as index, pytest.raises(InputError, match=message):
        search(index, ["moon"], Setting(priors={field: 1.0}))
