from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from attnsearch.errors import InputError
from attnsearch.indexing import changes, check, embedding
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.readers import raw_file
from attnsearch.sources import items
from attnsearch.sources.fields import Fields
from attnsearch.storage.home import catalog_folders, catalog_infos
from attnsearch.upkeep.default import default_catalog
from attnsearch.upkeep.freshness import fingerprint_source
from tests.asking import query
from tests.conftest import SHOP, titles


def test_a_second_time_embeds_nothing(shop, small):
    small.read.clear()
    done = update([str(shop)])
    assert (done.added, done.changed, done.removed, done.embedded) == (0, 0, 0, 0)
    assert small.read == []


def test_one_changed_text_is_embedded(shop, small):
    small.read.clear()
    shop.write_text(SHOP.replace("title: sea", "title: deep sea"))
    done = update([str(shop)])
    assert (done.changed, done.embedded, small.read) == (1, 1, ["deep sea"])
    assert titles("shop") == {"moon", "deep sea", "robot"}


def test_another_price_embeds_nothing(shop, small):
    small.read.clear()
    shop.write_text(SHOP.replace("price: 3", "price: 4"))
    done = update([str(shop)])
    assert (done.changed, done.embedded) == (1, 0)
    with Index.open("shop") as opened:
        assert [hit.fields for hit in query(opened, "sea", k=1).hits] == [{"price": 4}]


def test_changes_are_not_compared_with_every_stored_item(write, small, monkeypatch):
    """The steps of SQLite grow as the items do, not as their square."""
    compare, steps = changes.compare_items, []

    def counted(db, *arguments, **options):
        ticks = []
        db.set_progress_handler(lambda: ticks.append(1) and None, 100)
        result = compare(db, *arguments, **options)
        db.set_progress_handler(None, 0)
        steps.append(len(ticks))
        return result

    for count in (200, 800):
        path = write(f"n{count}.yaml", "".join(f"- {{id: i{n}, title: moon {n}}}\n" for n in range(count)))
        update([str(path)])
        path.write_text(path.read_text().replace("moon", "sea"))
        with monkeypatch.context() as patch:
            patch.setattr(changes, "compare_items", counted)
            update([str(path)])
    assert steps[1] < 6 * steps[0]


def test_what_is_gone_goes_unless_kept(shop):
    shop.write_text("- {id: a, title: moon}\n- {id: d, title: new}\n")
    done = update([str(shop)], keep=True)
    assert (done.added, done.removed, done.info.items) == (1, 0, 4)
    done = update([str(shop)])
    assert (done.added, done.removed, done.info.items) == (0, 2, 2)


def test_an_error_late_in_the_file_changes_nothing(shop):
    shop.write_text("- {id: z, title: zebra}\n- {year: 1}\n")
    with pytest.raises(InputError, match=r"shop\.yaml:2"):
        update([str(shop)])
    assert titles("shop") == {"moon", "sea", "robot"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "- {id: a, title: C}\n- {title: B}\n- {id: a, title: A, year: 7, place: sea}\n",
            "shop.yaml:3: id 'a' was already used on line 1; name fields that tell items apart: --id-field id "
            "--id-field FIELD, of title, year, place",
        ),
        ("- {id: a, title: A}\n\n- id: a\n  title: B\n", "shop.yaml:3: id 'a' was already used on line 1"),
    ],
)
def test_an_id_used_twice(shop, content, message):
    shop.write_text(content)
    with pytest.raises(InputError, match=message):
        update([str(shop)])
    assert titles("shop") == {"moon", "sea", "robot"}


def test_an_id_used_in_two_files(write, small):
    paths = [str(write("x.yaml", "- {id: a, title: A}\n")), str(write("y.yaml", "- title: B\n- {id: a, title: A}\n"))]
    with pytest.raises(InputError, match=r"y\.yaml:2: id 'a' was already used at .*x\.yaml:1"):
        update(paths, name="both")


def test_an_interrupted_run_goes_on_where_it_stopped(write, small, monkeypatch, caplog, home):
    path = write("many.jsonl", "".join(f'{{"id": "{n}", "title": "t{n}"}}\n' for n in range(10)))
    encode = small.encode

    def encode_until_t8(texts, role="key", progress=None):
        if "t8" in texts:
            raise KeyboardInterrupt
        return encode(texts, role, progress)

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "CHUNK", 4)
        patch.setattr(small, "encode", encode_until_t8)
        with pytest.raises(KeyboardInterrupt):
            update([str(path)])
    assert default_catalog() == "library"  # no catalog yet
    small.read.clear()
    reports = []
    done = update([str(path)], progress=lambda done, total: reports.append((done, total)))
    assert small.read == ["t8", "t9"]
    assert (done.added, done.embedded, reports) == (10, 2, [(2, 2)])
    assert "resuming an interrupted run: 8 texts were already embedded" in caplog.text
    assert "8 of 10 texts are kept, and the next run goes on from there" in caplog.messages
    assert titles("many") == {f"t{n}" for n in range(10)}
    assert not list((home / "many").glob("unfinished*"))


def test_many_items_come_in_chunks(write, small, monkeypatch):
    monkeypatch.setattr(embedding, "CHUNK", 4)
    path = write("many.jsonl", "".join(f'{{"id": "{n}", "title": "t{n}"}}\n' for n in range(10)))
    reports = []
    done = update([str(path)], progress=lambda done, total: reports.append((done, total)))
    assert done.embedded == 10
    assert reports == [(4, None), (8, None), (4, 10), (8, 10), (10, 10)]
    assert titles("many") == {f"t{n}" for n in range(10)}


def test_a_catalog_keeps_its_fields(write, small):
    path = write("x.csv", "sku,blurb\n1,moon\n")
    update([str(path)], fields=Fields(("sku",), "", ("blurb",)))
    path.write_text("sku,blurb\n1,moon\n2,sea\n")
    assert update([str(path)]).embedded == 1


class TestNames:
    def test_the_name_in_the_file(self, write, small):
        path = write("x.yaml", "name: the shop\ndescription: All we have.\nitems:\n- {title: moon}\n")
        info = update([str(path)]).info
        assert (info.name, info.description) == ("the shop", "All we have.")

    def test_several_files_need_one(self, write, small):
        paths = [str(write("a.yaml", "- {title: moon}\n")), str(write("b.yaml", "- {title: sea}\n"))]
        with pytest.raises(InputError, match="needs a name"):
            update(paths)
        assert update(paths, name="both").info.items == 2

    def test_another_file_does_not_replace_unasked(self, shop, write):
        other = write("elsewhere/shop.yaml", "- {title: other}\n")
        with pytest.raises(InputError, match=r"was made from .*--name shop to replace it"):
            update([str(other)])
        assert titles("shop") == {"moon", "sea", "robot"}
        update([str(other)], name="shop")
        assert titles("shop") == {"other"}

    @pytest.mark.parametrize("name", ["../../x", "a/b", ".x", "@x"])
    def test_no_way_out_of_the_home(self, shop, home, name):
        before = sorted(home.parent.rglob("*"))
        with pytest.raises(InputError, match="invalid catalog name"):
            update([str(shop)], name=name)
        assert sorted(home.parent.rglob("*")) == before


def test_a_text_longer_than_the_window_is_several_keys(write, small):
    """Its item is found by the end of the text as well as by its beginning, and shows the passage that matched."""
    long = f"Tides. moon {'filler ' * 150}sea {'filler ' * 150}robot"
    path = write("x.yaml", f"- {{title: Tides, description: {long[7:]}}}\n- {{title: moon moon}}\n")
    report = update([str(path)])
    assert (report.info.items, report.info.keys) == (2, 1 + 4)
    with Index.open("x") as opened:
        hits = {word: {hit.title: hit for hit in query(opened, word).hits} for word in ("moon", "sea", "robot")}
    for word, by_title in hits.items():
        assert set(by_title) == {"Tides", "moon moon"}  # each item once
        assert sum(hit.weight for hit in by_title.values()) == pytest.approx(1)
        assert word in by_title["Tides"].passage
        assert by_title["moon moon"].passage is None
    assert hits["sea"]["Tides"].passage.split().count("filler") < 100
    assert update([str(path)]).embedded == 0
    path.write_text(path.read_text().replace("moon moon", "moon"))
    assert update([str(path)]).embedded == 1
    path.write_text(path.read_text().replace("robot", "ship"))
    report = update([str(path)])
    assert (report.info.keys, report.changed) == (5, 1)
    with Index.open("x") as opened:
        (first, _) = query(opened, "ship").hits
    assert first.passage.endswith("ship")


@pytest.mark.parametrize(("old", "new", "ident"), [("id: a", "id: b", "b"), ("id: a", "id: a, price: 3", "a")])
def test_the_passages_of_a_text_that_moves_keep_their_vectors(write, small, home, old, new, ident):
    """Under another id, or with another field, it is the same text: each passage keeps its vector."""
    path = write(
        "x.yaml", f"- {{id: a, title: Tides, description: moon {'filler ' * 150}sea {'filler ' * 150}robot}}\n"
    )
    update([str(path)])
    with Index.open("x") as opened:
        before = {word: query(opened, word).hits[0] for word in ("moon", "sea", "robot")}
    path.write_text(path.read_text().replace(old, new))
    assert update([str(path)]).embedded == 0
    with Index.open("x") as opened:
        for word, hit in before.items():
            (now,) = query(opened, word).hits
            assert (now.id, now.score, now.passage) == (ident, hit.score, hit.passage)
    assert check.find_problems(home / "x") == []


def test_a_damaged_catalog_is_listed_as_such(shop, home, write, small):
    with sqlite3.connect(home / "shop" / "index.sqlite") as db:
        db.execute("DELETE FROM info WHERE name = 'model'")
    db.close()
    ((_, problem),) = list(catalog_infos())
    assert "the table info is not what was written" in problem.message
    assert catalog_folders() == [home / "shop"]


def test_a_text_that_was_read_with_a_full_stop(write, small, monkeypatch):
    """As an older attnsearch did: a hit on the whole text shows no passage, and the next run embeds the text again."""
    path = write("x.yaml", "- {title: moon}\n")
    with monkeypatch.context() as patch:
        patch.setattr(items, "key_text", lambda title, *_: f"{title}.")
        update([str(path)])
    with Index.open("x") as opened:
        assert query(opened, "moon").hits[0].passage is None
    assert update([str(path)]).embedded == 1
    assert small.read[-1] == "moon"
    assert update([str(path)]).embedded == 0


@pytest.mark.parametrize("name", ["x.yaml", "x.json", "x.jsonl", "x.csv", "x.tsv", "x"])
def test_the_recorded_hash_is_that_of_the_bytes_that_were_read(write, small, monkeypatch, name):
    """Though the file is another one before it is opened, and after it was read."""
    texts = {
        ".json": '\n[{"title": "moon"}, {"title": "sea"}]\n',
        ".jsonl": '{"title": "moon"}\n\n{"title": "sea"}\n\n',
        ".csv": "\ufefftitle\nmoon\nsea\n",
        ".tsv": "title\tprice\r\nmoon\t1\r\nsea\t2",
    }
    read = texts.get(Path(name).suffix, "# things\n- title: moon\n- title: sea\n# end")
    path = write(name, "- {title: robot}\n")
    opener = raw_file.RawFile.__init__

    def replace_meanwhile(file, *arguments):
        path.write_text(read)
        opener(file, *arguments)
        path.unlink()
        path.write_text("- {title: robot}\n")

    monkeypatch.setattr(raw_file.RawFile, "__init__", replace_meanwhile)
    (source,) = update([str(path)], name="x").info.sources
    assert titles("x") == {"moon", "sea"}
    assert source[:2] == (str(path), hashlib.sha256(read.encode()).hexdigest())


def test_each_of_several_files_has_its_own_hash(write, small):
    paths = [write(f"{word}.yaml", f"- {{title: {word}}}\n") for word in ("moon", "sea")]
    sources = update([str(path) for path in paths], name="x").info.sources
    assert tuple(source[:2] for source in sources) == tuple(
        (str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths
    )


def test_a_folder_is_up_to_date_until_a_file_changes(small, tmp_path, monkeypatch):
    """`index notes/` twice reads nothing anew; its fingerprint is that of the folder now."""
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# The moon\nFar away.")
    (notes / "b.txt").write_text("The sea.")
    report = update(["notes/"])
    assert (report.info.name, report.added) == ("notes", 2)
    assert report.info.sources[0][:2] == fingerprint_source("notes")[:2]
    report = update(["notes"])
    assert (report.added, report.changed, report.removed, report.embedded) == (0, 0, 0, 0)
    (notes / "a.md").write_text("# The moon\nNear.")
    assert report.info.sources[0][:2] != fingerprint_source("notes")[:2]
    (notes / "b.txt").rename(notes / "c.txt")
    report = update(["notes"])
    assert (report.added, report.changed, report.removed) == (1, 1, 1)
    monkeypatch.chdir(notes)
    assert update(["."]).info.name == "notes"
