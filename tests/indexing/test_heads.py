"""A catalog of two heads: how they come, stay, change and go; and that no head embeds what it did before."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.encoding import trial
from attnsearch.encoding.heads import join
from attnsearch.errors import CatalogError, InputError, ModelError
from attnsearch.indexing import check, embedding
from attnsearch.indexing.embedding import _SAMPLE
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.storage import checksum
from attnsearch.storage import home as homes
from attnsearch.storage.store import Store
from tests.conftest import VowelEncoder

ITEMS = [{"id": f"i{n}", "title": f"{'moon ' * (n % 3)}{'sea ' * (n % 5)}robot {n}"} for n in range(40)]
LONG = {"id": "long", "title": "moon", "description": " ".join(f"word{n} sea" for n in range(150))}


@pytest.fixture
def source(write):
    return write("shop.jsonl", "\n".join(json.dumps(item) for item in [*ITEMS, LONG]))


def read_shop(encoders, weights=(0.5, 0.5)):
    """The vectors of the catalog, and what they must be."""
    with Store(homes.catalog_folder("shop")) as store:
        keys = store.living()
        x = store.embeddings(keys)
        texts = [place.item.text if place.start == 0 and place.stop == len(place.item.text) else passage(place)
                 for place in store.spans_at(keys.tolist())]  # fmt: skip
    return x, join([encoder.encode(texts) for encoder in encoders], weights)


def passage(place):
    """What the encoder reads of a passage: the title before all but the first."""
    text = place.item.text[place.start : place.stop]
    return f"{place.item.title}. {text}" if place.start else text


def heads_of(name="shop"):
    info = homes.read_catalog_info(homes.catalog_folder(name))
    return [(head.model, head.weight) for head in info.heads]


class TestAdding:
    def test_only_the_new_head_embeds(self, source, two):
        update([str(source)])
        small, vowels = two
        small.read.clear()
        report = update([str(source)], heads=["vowels"])
        assert small.read == []
        assert report.embedded == len(vowels.read) - 1 == len(set(vowels.read)) - 1  # one to measure its width
        assert (report.added, report.changed, report.removed) == (0, 0, 0)
        assert heads_of() == [("vowels", 0.5)]
        assert (report.info.d, report.info.temperature) == (10, TEMPERATURE)
        x, expected = read_shop(two)
        assert len(x) > len(ITEMS) + 1
        assert x == pytest.approx(expected, abs=1e-6)
        assert check.find_problems(homes.catalog_folder("shop")) == []

    def test_as_if_it_had_been_there_from_the_start(self, source, two):
        update([str(source)])
        update([str(source)], heads=["vowels=0.2"])
        later = read_shop(two, [0.8, 0.2])
        update([str(source)], name="other", heads=["vowels=0.2"])
        assert later[0] == pytest.approx(later[1], abs=1e-6)
        with Index.open("shop") as index, Index.open("other") as other:
            assert index.info.heads == other.info.heads
            assert index.store.embeddings(index.store.living()) == pytest.approx(
                other.store.embeddings(other.store.living()), abs=1e-6
            )

    def test_changes_of_items_come_in_the_same_commit(self, write, source, two):
        update([str(source)])
        before = homes.read_catalog_info(homes.catalog_folder("shop")).commit
        lines = source.read_text().splitlines()
        source.write_text("\n".join([*lines[5:], '{"id": "new", "title": "moon sea"}', '{"id": "i0", "title": "sea"}']))
        two[0].read.clear()
        report = update([str(source)], heads=["vowels"])
        assert (report.added, report.changed, report.removed) == (1, 1, 4)
        assert set(two[0].read) == {"moon sea", "sea"}
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)
        assert report.info.commit != before
        assert check.find_problems(homes.catalog_folder("shop")) == []

    def test_items_that_are_kept_get_it_too(self, write, source, two):
        update([str(source)])
        source.write_text('{"id": "new", "title": "moon", "description": "sea"}')
        report = update([str(source)], heads=["vowels"], keep=True)
        assert (report.added, report.info.items) == (1, len(ITEMS) + 2)
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)

    def test_a_text_that_is_there_already_is_not_embedded(self, write, source, two):
        """Its vector lies in a segment that this run has written, and nobody has committed."""
        update([str(source)])
        with source.open("a") as out:
            out.write(f'\n{{"id": "twin", "title": "{ITEMS[7]["title"]}"}}')
        two[0].read.clear()
        update([str(source)], heads=["vowels"])
        assert two[0].read == []
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)

    def test_a_vector_that_is_of_another_text(self, source, two, monkeypatch):
        """An older attnsearch put texts together by other rules; then a new head does not vouch for the first's."""
        encode = two[0].encode
        monkeypatch.setattr(two[0], "encode", lambda texts, *others, **more: encode(["fog"] * len(texts)))
        update([str(source)])
        monkeypatch.setattr(two[0], "encode", encode)
        with sqlite3.connect(homes.catalog_folder("shop") / "index.sqlite") as db:
            for item, *cells in db.execute("SELECT item, id, title, description, fields FROM items").fetchall():
                row_sum = checksum.row_checksum(item, *cells, b"")
                db.execute("UPDATE items SET text_sha256 = ?, sum = ? WHERE item = ?", (b"", row_sum, item))
        update([str(source)], heads=["vowels"])
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)

    def test_one_without_its_model_changes_nothing(self, source, two, monkeypatch):
        update([str(source)])

        def fail(texts, role="key", progress=None):
            raise ModelError("can't embed")

        monkeypatch.setattr(two[1], "encode", fail)
        with pytest.raises(ModelError):
            update([str(source)], heads=["vowels"])
        assert heads_of() == []
        assert check.find_problems(homes.catalog_folder("shop")) == []

    def test_an_interrupted_run_goes_on_where_it_stopped(self, source, two, monkeypatch):
        monkeypatch.setattr(embedding, "_LENGTH", 60)
        update([str(source)])
        calls, encode = 0, two[1].encode

        def stop(texts, role="key", progress=None):
            nonlocal calls
            calls += 1
            if calls == 5:
                raise KeyboardInterrupt
            return encode(texts, role, progress)

        monkeypatch.setattr(two[1], "encode", stop)
        with pytest.raises(KeyboardInterrupt):
            update([str(source)], heads=["vowels"])
        done = list(two[1].read)
        assert len(done) > 3
        assert heads_of() == []
        monkeypatch.setattr(two[1], "encode", encode)
        two[1].read.clear()
        update([str(source)], heads=["vowels"])
        assert not set(two[1].read) & set(done)
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)


class TestPrecision:
    """A head that is faster in bfloat16 for much text, by sentence-transformers."""

    @pytest.fixture
    def half(self, two, monkeypatch):
        other = VowelEncoder()
        other.precision, other.quick = "bfloat16", False
        choose = lambda length, precision=None: two[1] if precision == "float32" else other  # noqa: E731
        monkeypatch.setattr(two[1], "suited", choose)
        return other

    def test_the_lowest_is_recorded(self, source, two, half):
        update([str(source)])
        assert update([str(source)], heads=["vowels"]).info.precision == "bfloat16"
        titles = {item["title"].strip() for item in ITEMS}
        assert not titles & set(two[1].read)
        two[0].read.clear()
        update([str(source)])
        assert two[0].read == []
        report = update([str(source)], precision="float32")
        assert (report.info.precision, report.info.quick) == ("float32", True)
        assert titles <= set(two[0].read) & set(two[1].read)

    def test_in_float32_if_that_is_asked_for(self, source, two, half):
        update([str(source)])
        assert update([str(source)], heads=["vowels"], precision="float32").info.precision == "float32"
        assert half.read == []

    def test_an_interrupted_run_goes_on_in_it(self, source, two, half, monkeypatch):
        monkeypatch.setattr(embedding, "_LENGTH", 60)
        update([str(source)])
        encode, done = half.encode, []

        def stop(texts, role="key", progress=None):
            if len(done) > 9 and texts[0] not in _SAMPLE:
                raise KeyboardInterrupt
            done.extend(texts)
            return encode(texts, role, progress)

        monkeypatch.setattr(half, "encode", stop)
        with pytest.raises(KeyboardInterrupt):
            update([str(source)], heads=["vowels"])
        monkeypatch.setattr(half, "encode", encode)
        half.read.clear()
        update([str(source)], heads=["vowels"])
        assert not set(half.read) & (set(done) - set(_SAMPLE))
        x, expected = read_shop(two)
        assert x == pytest.approx(expected, abs=1e-6)

    def test_two_roads_that_do_not_agree(self, source, two, half, monkeypatch):
        update([str(source)])
        encode = half.encode
        monkeypatch.setattr(half, "encode", lambda texts, *others, **more: encode(["u"] * len(texts)))
        with pytest.raises(CatalogError, match="without sentence-transformers, which vowels turns out to need"):
            update([str(source)], heads=["vowels"])
        assert homes.read_catalog_info(homes.catalog_folder("shop")).heads == ()


class TestStaying:
    @pytest.fixture(autouse=True)
    def shop(self, source, two):
        update([str(source)], heads=["vowels=0.2"])
        for encoder in two:
            encoder.read.clear()

    def test_without_head_they_stay(self, source, two):
        before = homes.read_catalog_info(homes.catalog_folder("shop"))
        for heads in (None, ["vowels"], ["vowels=0.2"]):
            assert update([str(source)], heads=heads).embedded == 0
            after = homes.read_catalog_info(homes.catalog_folder("shop"))
            assert (after.heads, after.temperature, after.d) == (before.heads, before.temperature, before.d)
            assert after.listing == before.listing
        assert [encoder.read for encoder in two] == [[], []]

    def test_they_stay_if_another_process_gives_them_meanwhile(self, source, two, monkeypatch):
        update([str(source)], heads=["none"])

        with monkeypatch.context() as patch:

            def give_heads(*_, **__):
                patch.undo()
                update([str(source)], heads=["vowels"])

            patch.setattr(trial, "try_out", give_heads)
            update([str(source)])
        assert [head.model for head in homes.read_catalog_info(homes.catalog_folder("shop")).heads] == ["vowels"]

    def test_new_items_are_embedded_by_all(self, source, two):
        with source.open("a") as out:
            out.write('\n{"id": "new", "title": "moon sea"}')
        assert update([str(source)]).embedded == 1
        assert [encoder.read for encoder in two] == [["moon sea"], ["moon sea"]]
        x, expected = read_shop(two, [0.8, 0.2])
        assert x == pytest.approx(expected, abs=1e-6)

    def test_another_weight_embeds_nothing(self, source, two):
        assert update([str(source)], heads=["vowels=0.1"]).embedded == 0
        assert heads_of() == [("vowels", 0.1)]
        x, expected = read_shop(two, [0.9, 0.1])
        assert x == pytest.approx(expected, abs=1e-6)

    def test_none_leaves_the_first(self, source, two, caplog):
        report = update([str(source)], heads=["none"])
        assert "dropping the head vowels" in caplog.text
        assert (report.embedded, report.info.heads, report.info.d) == (0, (), 4)
        assert report.info.temperature == TEMPERATURE
        assert [encoder.read for encoder in two] == [[], []]
        x, expected = read_shop(two[:1], [1])
        assert x == pytest.approx(expected, abs=1e-6)

    def test_another_model_keeps_them(self, source, two, monkeypatch):
        two[0].sha256 = "7" * 64
        report = update([str(source)])
        assert report.embedded > len(ITEMS) / 2
        assert heads_of() == [("vowels", 0.2)]
        x, expected = read_shop(two, [0.8, 0.2])
        assert x == pytest.approx(expected, abs=1e-6)

    def test_a_head_with_other_weights_is_named(self, source, two, caplog):
        two[1].sha256 = "7" * 64
        with pytest.raises(CatalogError, match="was indexed with other weights of vowels"):
            Index.open("shop")
        assert check.find_model_change(homes.catalog_folder("shop")) == [
            f"it was indexed with other weights of vowels ({'6' * 12}… then, {'7' * 12}… now)"
        ]
        two[0].read.clear()
        update([str(source)])
        assert "shop: embedding everything again with the head vowels" in caplog.text
        assert two[0].read == []
        with Index.open("shop") as index:
            assert index.info.heads[0].sha256 == "7" * 64

    def test_repair_embeds_by_both(self, source, two):
        folder = homes.catalog_folder("shop")
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("UPDATE items SET title = 'x' WHERE id = 'i3'")
        assert check.find_problems(folder)
        assert repair(folder).embedded == 1
        assert check.find_problems(folder) == []
        assert heads_of() == [("vowels", 0.2)]
        x, expected = read_shop(two, [0.8, 0.2])
        assert x == pytest.approx(expected, abs=1e-6)


def test_a_catalog_without_heads_records_none(source, two):
    def has_heads():
        with sqlite3.connect(homes.catalog_folder("shop") / "index.sqlite") as db:
            return "heads" in dict(db.execute("SELECT name, value FROM info"))

    update([str(source)])
    assert not has_heads()
    update([str(source)], heads=["vowels"])
    assert has_heads()
    update([str(source)], heads=["none"])
    assert not has_heads()


class TestRefused:
    @pytest.mark.parametrize(
        ("heads", "message"),
        [
            (["none", "vowels"], "--head none stands for no heads"),
            (["vowels", "vowels=0.2"], "the model vowels is named twice"),
            (["other"], "the model small is named twice"),
            (["vowels=0"], "invalid weight 0 of the head vowels"),
            (["vowels=1"], "invalid weight 1 of the head vowels"),
            (["vowels=nan"], "invalid weight nan"),
            (["wordllama=abc"], "invalid weight abc of the head wordllama"),
            (["=0.2"], "--head names no model"),
            ([" "], "--head names no model"),
        ],
    )
    def test_what_names_no_head(self, source, two, heads, message):
        with pytest.raises(InputError, match=message):
            update([str(source)], heads=heads)

    def test_what_can_mean_two_things(self, source, two, tmp_path):
        folder = tmp_path / "mine=0.1"
        folder.mkdir()
        with pytest.raises(InputError, match=r"can mean the folder .*, or .*mine with the weight 0\.1"):
            update([str(source)], heads=[str(folder)])


@pytest.mark.parametrize(("window", "warned"), [(99, True), (100, False), (1 << 30, False)])
def test_a_smaller_window_is_told(source, two, caplog, window, warned):
    two[1].window = window
    update([str(source)], heads=["vowels"])
    assert (
        "the head vowels reads 99 word pieces of a passage at most, and a passage may have 100" in caplog.text
    ) == warned
    caplog.clear()
    update([str(source)])
    assert caplog.text == ""


def test_rows_of_the_dead_are_zeros(source, two):
    update([str(source)])
    source.write_text("\n".join(source.read_text().splitlines()[3:]))
    update([str(source)])
    with Store(homes.catalog_folder("shop")) as store:
        assert store.dead
    update([str(source)], heads=["vowels"])
    with Store(homes.catalog_folder("shop")) as store:
        dead = np.concatenate([block.x[~block.alive] for block in store.blocks() if block.alive is not None])
        assert len(dead) == 3
        assert not dead.any()
    update([str(source)], heads=["vowels=0.2"])
    x, expected = read_shop(two, [0.8, 0.2])
    assert x == pytest.approx(expected, abs=1e-6)
