from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check, compaction
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings import stored
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.sources.fields import Fields
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
    return sorted({path.name.split(".")[1].split("-")[0] for path in (folder / POSTINGS).iterdir()})


def labels_of_ours(folder) -> list[str]:
    return [file.label.split("-")[0] for file in stored.stored_files(folder / POSTINGS)]


def test_made_once(folder, monkeypatch):
    assert not (folder / "postings").exists()
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
    assert labels(folder) == ["field", "terms"]

    def refuse(self, *keys):
        raise AssertionError("the items are read again")

    monkeypatch.setattr(Store, "items", refuse)
    assert ask("year > 1995", lexical=1) == ["6", "7", "8"]
    with pytest.raises(AssertionError):
        ask("kind = a")


def test_one_pass_for_all_that_is_missing(folder, monkeypatch):
    passes, items = [], Store.items
    monkeypatch.setattr(Store, "items", lambda self, *keys: passes.append(1) or items(self, *keys))
    assert ask("year > 1991", "kind = a", priors={"id": 1}, lexical=1) == ["2", "4", "6", "8"]
    assert (len(passes), len(list((folder / POSTINGS).iterdir()))) == (1, 4)


def test_brought_up_to_date_with_the_catalog(path, folder, monkeypatch):
    ask("year > 1995", lexical=1)
    before = set((folder / "postings").iterdir())
    path.write_text("".join(json.dumps({**item, "year": 3000}) + "\n" for item in ITEMS[:4]))
    update([str(path)])
    after = set((folder / "postings").iterdir())
    assert len(after) == 2
    assert not before & after  # every row was replaced
    monkeypatch.setattr(Store, "items", None)
    assert ask("year > 1995", lexical=1) == ["0", "1", "2", "3"]


@pytest.fixture
def big(path, write, monkeypatch):
    """A catalog of two segments, of which the second is small."""
    monkeypatch.setattr(compaction, "SEGMENT", 12)
    items = [{**ITEMS[n % 9], "id": f"{n}", "year": 1990 + n} for n in range(20)]
    write("books.jsonl", "".join(json.dumps(item) + "\n" for item in items))
    update([str(path)])
    ask("year > 1995", lexical=1)
    return path, items


@pytest.mark.parametrize("changed", [{"year": 2100}, {"title": "moon and sea"}])
def test_only_what_changed_is_read(big, folder, monkeypatch, changed):
    path, items = big
    read, everything = [], Store.items
    monkeypatch.setattr(
        Store, "items", lambda *keys: [read.append(item.id) or (key, item) for key, item in everything(*keys)]
    )
    before = {file.segment for file in stored.stored_files(folder / POSTINGS)}
    items[3] |= changed
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    update([str(path)])
    assert set(read) == {"3"}
    del read[:]
    hits = ask("year > 2000", lexical=1)
    assert hits == sorted([*(f"{n}" for n in range(11, 20)), *(["3"] if "year" in changed else [])])
    assert not read
    after = {file.segment for file in stored.stored_files(folder / POSTINGS)}
    assert before < after
    assert len(after) == 3
    assert check.find_problems(folder) == []


def test_after_changes_all_is_as_in_a_new_catalog(big, folder, write):
    """Scores to the bit: what was removed does not count."""
    path, items = big
    for item in items[2:5]:
        item["title"] = "moon moon robot"
    path.write_text("".join(json.dumps(item) + "\n" for item in items[:-1]))
    update([str(path)])
    update([str(path)], name="new")
    for term in ("moon", "sea", "robot"):
        scores = []
        for name in ("books", "new"):
            with Index.open(name) as index:
                keys, points = index.postings.find_term(term)
                scores.append(
                    {place.item.id: score for place, score in zip(index.store.spans_at(keys), points, strict=True)}
                )
        assert scores[0] == scores[1]


def test_a_reader_of_an_earlier_state_is_not_given_less(big, folder):
    """A removed item has no postings in a file that was made after it went; who still sees it makes a file anew."""
    path, items = big
    with Index.open("books") as before:
        path.write_text("".join(json.dumps(item) + "\n" for item in items[1:]))
        update([str(path)])
        for file in (folder / POSTINGS).iterdir():
            file.unlink()
        assert ask("year < 1992") == ["1"]
        (result,) = search(before, ["moon"], Setting(where=(parse_filter("year < 1992"),)), k=99)
        assert sorted(hit.id for hit in result.hits) == ["0", "1"]
    assert ask("year < 1992") == ["1"]


def test_a_field_of_another_kind_after_a_change(big, folder):
    """Numbers that were dates: what other segments hold is read again, and stored so."""
    path, items = big
    for number, item in enumerate(items):
        item["when"] = "05/06/2021"
        if number == 19:
            item["when"] = "25/12/2021"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    update([str(path)])
    assert ask("when = 2021-06-05") == sorted(f"{n}" for n in range(19))
    items[19]["when"] = "12/25/2021"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    update([str(path)])
    for _ in range(2):
        assert ask("when = 2021-05-06") == sorted(f"{n}" for n in range(19))
        assert ask("when = 2021-06-05") == []
    assert len({(file.segment, file.label) for file in stored.stored_files(folder / POSTINGS)}) == 9
    assert len(list((folder / POSTINGS).iterdir())) == 9  # three segments, two fields, terms


def test_a_new_segment_whose_own_values_are_of_another_kind(big, folder):
    """It is stored once, read as the field is in the whole catalog."""
    path, items = big
    items[3]["year"] = "old"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    update([str(path)])
    names = [(file.segment, file.label) for file in stored.stored_files(folder / POSTINGS)]
    assert len(names) == len(set(names)) == 6
    assert ask("year > 2007") == ["18", "19"]


@pytest.mark.parametrize("options", [{"language": "german"}, {"fields": Fields(text=("kind",))}])
def test_another_language_or_other_fields(big, folder, options):
    """What depends on them is made anew."""
    path, _ = big
    with Index.open("books") as index:
        assert index.postings.find_term("moon")
    update([str(path)], **options)
    with Index.open("books") as index:
        assert bool(index.postings.find_term("moon")) == ("language" in options)
    assert len(list((folder / POSTINGS).iterdir())) == 4


def test_more_segments_than_files_may_be_open(write, small, home, monkeypatch):
    monkeypatch.setattr(compaction, "SEGMENT", 1)
    monkeypatch.setattr(stored, "FEW", 30)
    lines = (json.dumps({"id": f"{n}", "title": f"moon {n}", "year": 1990 + n}) for n in range(40))
    update([str(write("books.jsonl", "\n".join(lines)))])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/dev/fd").iterdir())) + 70, limits[1]))
        ask("year > 2025", lexical=1)
        monkeypatch.setattr(Store, "items", None)
        assert ask("year > 2025", lexical=1) == ["36", "37", "38", "39"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("ask_for", ["terms", "product"])
def test_items_that_stay_are_read_by_the_fields_of_today(write, small, home, monkeypatch, ask_for):
    """Items that `--keep` keeps have no new rows, but their texts and titles are those of other fields."""
    monkeypatch.setattr(compaction, "choose_rewrites", lambda segments: iter(()))

    def answer():
        with Index.open("stock") as index:
            if ask_for == "terms":
                return [index.postings.find_term(term) is None for term in ("moon", "robot")]
            try:
                return sorted(facet.value for facet in index.postings.read_facets("product"))
            except InputError as error:
                return str(error)

    first, second = Fields(title="product", text=("product",)), Fields(title="name", text=("kind",))
    update([str(write("one.jsonl", '{"id": "a", "product": "moon", "kind": "robot"}\n'))], name="stock", fields=first)
    before = answer()
    update(
        [str(write("two.jsonl", '{"id": "b", "name": "sea", "kind": "sea", "product": "x"}\n'))],
        name="stock",
        fields=second,
        keep=True,
    )
    stored_answer = answer()
    shutil.rmtree(home / "stock" / POSTINGS)
    assert stored_answer == answer() != before


@pytest.mark.parametrize(
    "script",
    ["UPDATE facets SET rows = x'ffff'", "UPDATE forms SET rows = 'a'", "UPDATE about SET covered = x''",
     "DROP TABLE runs", "CREATE VIEW evil AS SELECT 1", "UPDATE facets SET number = 'x'", "DELETE FROM about"],
)  # fmt: skip
def test_a_right_checksum_over_other_contents(folder, script):
    """Whoever may write to the home can make one: no traceback, and nothing of it is run."""
    ask("year > 1995")
    (file,) = (folder / POSTINGS).iterdir()
    with closing(sqlite3.connect(file)) as db:
        db.executescript(script)
    file.rename(file.with_suffix(f".{stored._file_checksum(file)}"))
    try:
        assert ask("year > 1995", priors={"year": 1.0}) == ["6", "7", "8"]
    except CatalogError as error:
        assert "is damaged" in str(error)  # noqa: PT017 (either is right)
    except InputError as error:
        assert "has numbers that are too large" in str(error)  # noqa: PT017


def test_a_field_that_went_is_forgotten(path, folder):
    ask("year > 1995")
    ask("kind = a")
    path.write_text("".join(json.dumps({"id": item["id"], "title": "moon", "kind": "a"}) + "\n" for item in ITEMS))
    update([str(path)])
    assert len(list((folder / POSTINGS).iterdir())) == 1
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


@pytest.mark.parametrize(
    "name",
    [
        f"terms.v4.{'0' * 32}.{'1' * 16}",
        f"field-{'2' * 16}.v3.{'0' * 32}.{'1' * 16}",
        f"words.v1.{'0' * 32}.{'1' * 16}",
        f"{'0' * 32}.field-{'2' * 16}.v4.{'1' * 16}",
        f".{'0' * 32}",
    ],
)
def test_a_file_of_an_earlier_form_or_segment_goes_with_the_next_commit(path, folder, name):
    """And so does one that a killed process has not finished."""
    ask("year > 1995")
    (folder / POSTINGS / name).write_bytes(b"old")
    (folder / POSTINGS / "not ours").write_bytes(b"")
    assert ask("year > 1995") == ["6", "7", "8"]
    assert (folder / POSTINGS / name).exists()
    update([str(path)])
    assert not (folder / POSTINGS / name).exists()
    assert (folder / POSTINGS / "not ours").exists()
    assert labels_of_ours(folder) == ["field"]


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
    assert labels(odd / folder.name) == ["field", "terms"]


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
