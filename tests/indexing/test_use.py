"""Prompts and fewer dimensions: kept with a catalog, part of what it is never asked without."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from attnsearch.calibration.calibrate import file_of
from attnsearch.encoding import loading
from attnsearch.encoding.heads import HeadsEncoder
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.models.record import Head, identify
from attnsearch.models.use import PLAIN, Use, Wanted
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.storage import checksum
from attnsearch.storage import home as homes
from attnsearch.storage.database import read_info, read_info_rows
from attnsearch.storage.learned import Learned, write_learned
from attnsearch.storage.segment import plain_weights, whole_identity
from attnsearch.storage.store import Store
from tests.conftest import SmallEncoder, VowelEncoder
from tests.encoding import tiny
from tests.exports.exporting import FORMS, export


class UsedEncoder(SmallEncoder):
    """The small encoder, which puts its prompts before texts, and whose first numbers can count alone."""

    def encode(self, texts, role="key", progress=None):
        x = super().encode([self.use.prompt(role) + text for text in texts], role)
        x = x[:, : self.use.dims or None] + np.float32(1e-3)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        if progress:
            progress(range(len(texts)), x)
        return x


class Loader:
    """Encoders by name, each with its use; `read` collects what they embed, and `files` is what their files ask for."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.files = PLAIN

    def __call__(self, name=None, *, use=None, **options):
        encoder = VowelEncoder() if name == "vowels" else UsedEncoder()
        encoder.read = self.read
        encoder.use = use or (PLAIN if name == "vowels" else self.files)
        return encoder


@pytest.fixture
def loader(small, monkeypatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr(loading, "load", loader)
    files = lambda folder: loader.files  # noqa: E731
    monkeypatch.setattr("attnsearch.encoding.encoder.use_of_files", files)
    monkeypatch.setattr("attnsearch.models.prompts.use_of_files", files)
    return loader


SHOP = "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: robot}\n"


@pytest.fixture
def shop(write, loader):
    return write("shop.yaml", SHOP)


def info_of(name="shop"):
    return homes.read_catalog_info(homes.catalog_folder(name))


def has_use(name="shop"):
    with sqlite3.connect(homes.catalog_folder(name) / "index.sqlite") as db:
        return "use" in dict(db.execute("SELECT name, value FROM info"))


def vectors(name="shop"):
    with Store(homes.catalog_folder(name)) as store:
        return store.embeddings(store.living())


class TestKept:
    def test_a_plain_catalog_records_none(self, shop):
        update([str(shop)])
        assert (info_of().use, has_use()) == (None, False)
        update([str(shop)], wanted=Wanted("sea "))
        assert (info_of().use, has_use()) == (Use("sea "), True)
        update([str(shop)], wanted=Wanted(""))
        assert (info_of().use, has_use()) == (None, False)

    def test_it_stays_until_another_is_wanted(self, shop):
        update([str(shop)], wanted=Wanted("sea ", "robot ", 3))
        assert update([str(shop)]).info.use == Use("sea ", "robot ", 3)
        assert update([str(shop)], wanted=Wanted(key_prompt="")).info.use == Use("sea ", "", 3)

    @pytest.mark.parametrize("again", ["./table", "../{}/table/", "{}"])
    def test_it_stays_with_its_own_model_however_that_is_written(self, write, again, tmp_path, monkeypatch):
        folder = tiny.table(tmp_path / "table")
        monkeypatch.chdir(tmp_path)
        shop = str(write("shop.yaml", SHOP))
        use = Use("sea ", "robot ", 1)
        update([shop], model="./table", wanted=Wanted(*use))
        report = update([shop], model=again.format(tmp_path.name if "/" in again else folder))
        assert (report.info.model, report.info.use, report.embedded) == (str(folder), use, 0)

    def test_queries_are_asked_with_it(self, shop):
        update([str(shop)], wanted=Wanted("sea ", "robot "))
        with Index.open("shop") as index:
            assert index.encoder.use == Use("sea ", "robot ")
        expected = UsedEncoder()
        expected.use = Use("sea ", "robot ")
        assert vectors() == pytest.approx(expected.encode(["moon", "sea", "robot"]))

    def test_what_the_files_ask_for(self, shop, loader, caplog):
        loader.files = Use("sea ", "moon ")
        update([str(shop)])
        assert (info_of().use, has_use()) == (Use("sea ", "moon "), True)
        assert "small is used with 'sea ' before requests, 'moon ' before texts (prompts from config_" in caplog.text

    def test_it_can_be_turned_off(self, shop, loader):
        loader.files = Use("sea ", "moon ")
        update([str(shop)], wanted=Wanted("", ""))
        assert (info_of().use, has_use()) == (PLAIN, True)
        with Index.open("shop") as index:
            assert index.encoder.use == PLAIN

    def test_a_catalog_of_an_older_attnsearch(self, shop, loader):
        """It recorded no prompts, and did what the files ask: so do we, and nothing is embedded again."""
        update([str(shop)])
        loader.files = Use("sea ", "")
        with Index.open("shop") as index:
            assert index.encoder.use == Use("sea ")
        loader.read.clear()
        assert update([str(shop)]).embedded == 0
        assert info_of().use == Use("sea ")

    def test_other_files_of_the_model_are_asked_anew(self, shop, loader, monkeypatch):
        update([str(shop)], wanted=Wanted("sea "))
        loader.files = Use("", "moon ")
        monkeypatch.setattr(UsedEncoder, "made", lambda *_: False)
        with pytest.raises(CatalogError, match="was indexed when small had another tokenizer or configuration"):
            Index.open("shop")
        assert update([str(shop)]).info.use == Use("", "moon ")

    def test_a_file_is_indexed_again_and_asked_with_the_new_ones(self, shop, loader, monkeypatch):
        update([str(shop)], wanted=Wanted("sea "))
        loader.files = Use("", "moon ")
        with monkeypatch.context() as patch:
            patch.setattr(UsedEncoder, "made", lambda self, *_: self.use == Use("", "moon "))
            with Index.open(str(shop)) as index:
                assert index.encoder.use == info_of().use == Use("", "moon ")


class TestEmbedding:
    @pytest.mark.parametrize("wanted", [Wanted(key_prompt="sea "), Wanted(dims=3)])
    def test_another_key_prompt_or_width_embeds_again(self, shop, wanted, caplog):
        update([str(shop)])
        assert update([str(shop)], wanted=wanted).embedded == 3
        what = "another key prompt" if wanted.key_prompt else "3 dims"
        assert f"shop: embedding everything again with {what}\n" in caplog.text
        caplog.clear()
        assert update([str(shop)], wanted=Wanted(key_prompt="", dims=4)).embedded == 3
        what = "another key prompt" if wanted.key_prompt else "all dims"
        assert f"shop: embedding everything again with {what}\n" in caplog.text

    def test_another_query_prompt_does_not(self, shop):
        update([str(shop)])
        assert update([str(shop)], wanted=Wanted("sea ")).embedded == 0

    def test_keep_refuses_what_another_prompt_embedded(self, shop):
        update([str(shop)])
        with pytest.raises(InputError, match="can't keep items that another model, prompt or precision embedded"):
            update([str(shop)], keep=True, wanted=Wanted(key_prompt="sea "))
        assert info_of().use is None

    def test_an_interrupted_run_with_another_prompt(self, shop, loader, monkeypatch):
        """What it embedded is not taken for what this run needs; that of another query prompt is."""
        with monkeypatch.context() as patch:
            patch.setattr("attnsearch.indexing.writer.Writer.commit", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                update([str(shop)], wanted=Wanted("sea ", "moon "))
            loader.read.clear()
            with pytest.raises(ZeroDivisionError):
                update([str(shop)], wanted=Wanted("robot ", "moon "))
            assert loader.read == []
        update([str(shop)], wanted=Wanted("sea ", "robot "))
        expected = UsedEncoder()
        expected.use = Use("sea ", "robot ")
        assert vectors() == pytest.approx(expected.encode(["moon", "sea", "robot"]))

    @pytest.mark.parametrize("dims", [5, 0, -1, 1 << 70])
    def test_dims_that_the_model_lacks(self, shop, dims):
        with pytest.raises(InputError, match=r"small has 4 dims, not") as caught:
            update([str(shop)], wanted=Wanted(dims=dims))
        assert caught.value.hint == "give a number from 1 to 4; 4 are all"
        assert not homes.catalog_exists(homes.catalog_folder("shop"))

    def test_all_dims_are_none_of_them(self, shop):
        update([str(shop)], wanted=Wanted(dims=2))
        assert (info_of().d, info_of().use) == (2, Use(dims=2))
        update([str(shop)], wanted=Wanted(dims=4))
        assert (info_of().d, info_of().use) == (4, None)

    @pytest.mark.parametrize("option", ["query_prompt", "key_prompt"])
    def test_a_prompt_that_leaves_no_room(self, shop, option, monkeypatch):
        monkeypatch.setattr(UsedEncoder, "window", 40)
        monkeypatch.setattr(UsedEncoder, "query_window", 40)
        with pytest.raises(InputError, match="the prompt has 60 word pieces, and small reads 100 in all") as caught:
            update([str(shop)], wanted=Wanted(**{option: "word " * 60}))
        assert str(caught.value).startswith(f"--{option.replace('_', '-')}: ")

    @pytest.mark.parametrize("prompt", ["x" * 20_001, "\ud800"], ids=["long", "half"])
    def test_a_prompt_that_no_catalog_can_record(self, shop, prompt):
        with pytest.raises(InputError):
            update([str(shop)], wanted=Wanted(query_prompt=prompt))

    @pytest.mark.parametrize("prompt", ["{}{0}%s\\", "a\nb\tc", "\x1b[31m\x07", " ", "\u202e 🚀 {"])
    def test_any_other_text_is_a_prompt(self, shop, prompt):
        update([str(shop)], wanted=Wanted(prompt, prompt))
        with Index.open("shop") as index:
            assert index.encoder.use == Use(prompt, prompt)
        assert check.find_problems(homes.catalog_folder("shop")) == []


class TestRefused:
    """No catalog is asked with other prompts than its own."""

    @pytest.mark.parametrize("use", [PLAIN, Use("moon ", "robot "), Use("sea ", ""), Use("sea ", "robot ", 3)])
    def test_another_encoder_from_python(self, shop, use):
        update([str(shop)], wanted=Wanted("sea ", "robot "))
        encoder = UsedEncoder()
        encoder.use = use
        with (
            Store(homes.catalog_folder("shop")) as store,
            pytest.raises(CatalogError, match="was indexed with small and 'sea ' before requests, 'robot ' before"),
        ):
            Index(store, encoder)

    def test_a_plain_catalog_too(self, shop):
        update([str(shop)])
        encoder = UsedEncoder()
        encoder.use = Use("sea ")
        with (
            Store(homes.catalog_folder("shop")) as store,
            pytest.raises(CatalogError, match="and no prompts, but is asked with 'sea ' before requests"),
        ):
            Index(store, encoder)

    def test_a_head_with_another_use(self, shop):
        update([str(shop)], heads=["vowels"])
        other = VowelEncoder()
        other.use = Use("sea ")
        with Store(homes.catalog_folder("shop")) as store, pytest.raises(CatalogError, match="was indexed with vowels"):
            Index(store, HeadsEncoder([UsedEncoder(), other], [0.5, 0.5]))

    @pytest.mark.parametrize("wanted", [Wanted("sea "), Wanted("sea ", "", 3)])
    def test_several_catalogs(self, shop, write, wanted):
        update([str(shop)], wanted=wanted)
        update([str(write("b.yaml", SHOP))])
        message = f"shop is asked with 'sea ' before requests{', 3 dims' * bool(wanted.dims)}, b with no prompts"
        with pytest.raises(InputError, match=f"their scores can't be compared: {message}") as caught:
            open_catalogs(["shop", "b"])
        assert "--query-prompt, --key-prompt and --dims" in caught.value.hint
        update([str(write("b.yaml", SHOP))], wanted=wanted)
        open_catalogs(["shop", "b"]).close()

    @pytest.mark.parametrize("rows", [{"use": None}, {"use": '["moon ", "", 0]'}, {"use": '["sea "]'}, {"use": "3"}])
    def test_a_record_that_was_changed(self, shop, rows):
        update([str(shop)], wanted=Wanted("sea "))
        with sqlite3.connect(homes.catalog_folder("shop") / "index.sqlite") as db:
            for name, value in rows.items():
                db.execute("DELETE FROM info WHERE name = ?", (name,))
                db.executemany("INSERT INTO info VALUES (?, ?)", [(name, value)] if value else [])
        with pytest.raises(CatalogError, match="is damaged"):
            Index.open("shop")
        assert check.find_problems(homes.catalog_folder("shop"))

    @pytest.mark.parametrize("use", ['["sea ", "", 2]', '["sea ", "", 100]', "[" * 100_000])
    def test_a_record_that_was_changed_with_its_checksum(self, shop, use):
        """The width of its vectors is not what its dims say, or it is nested too deep to be read."""
        update([str(shop)], wanted=Wanted("sea "))
        with sqlite3.connect(homes.catalog_folder("shop") / "index.sqlite") as db:
            rows = {**read_info_rows(db), "use": use}
            del rows["sum"]
            db.execute("UPDATE info SET value = ? WHERE name = 'use'", (use,))
            db.execute("UPDATE info SET value = ? WHERE name = 'sum'", (str(checksum.info_checksum(rows)),))
        with pytest.raises(CatalogError, match="is damaged"):
            Index.open("shop")

    def test_what_was_learned_with_another_prompt(self, shop, caplog):
        update([str(shop)], wanted=Wanted("sea "))
        info = info_of()
        folder = homes.catalog_folder("shop")
        write_learned(folder / "learned.safetensors", Learned(
            info.model, info.sha256, np.eye(4, dtype=np.float32), 0.5, identity=whole_identity(info)))  # fmt: skip
        with Index.open("shop") as index:
            assert index.learned
        update([str(shop)], wanted=Wanted("moon "))
        with Index.open("shop") as index:
            assert index.learned is None
        assert "is for other weights, another tokenizer, prompt or head and is not used" in caplog.text
        update([str(shop)], wanted=Wanted("sea "))
        with Index.open("shop") as index:
            assert index.learned


class TestExport:
    @pytest.mark.parametrize("form", FORMS)
    def test_it_comes_back(self, shop, form, tmp_path, monkeypatch, loader):
        update([str(shop)], wanted=Wanted("sea ", "robot ", 3))
        file, before = export("shop", tmp_path / f"shop-export.{form}"), vectors()
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        loader.read.clear()
        report = update([str(file)], model="small")
        assert (report.embedded, report.info.use) == (0, Use("sea ", "robot ", 3))
        assert np.array_equal(vectors(), before)
        assert b'"attnsearch_export": 3,' in file.read_bytes()

    @pytest.mark.parametrize(
        ("wanted", "embedded"), [(Wanted("moon "), 0), (Wanted(key_prompt=""), 3), (Wanted(dims=4), 3)]
    )
    def test_with_another_use(self, shop, wanted, embedded, tmp_path, monkeypatch, caplog):
        """Vectors of another key prompt, or of another width, are not taken for ours."""
        update([str(shop)], wanted=Wanted("sea ", "robot ", 3))
        file = export("shop", tmp_path / "shop-export.jsonl")
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        assert update([str(file)], model="small", wanted=wanted).embedded == embedded
        assert ("the vectors were made with another prompt or width" in caplog.text) == bool(embedded)

    @pytest.mark.parametrize(
        "change",
        [
            {"use": None},  # of the other version
            {"use": {"query_prompt": "moon "}},
            {"use": {"query_prompt": 1, "key_prompt": "", "dims": 0}},
            {"use": {"query_prompt": "", "key_prompt": "", "dims": -1}},
            {"use": {"query_prompt": "", "key_prompt": "", "dims": 0, "more": 1}},
            {"use": {"query_prompt": "x" * 20_001, "key_prompt": "", "dims": 0}},
            {"use": ["", "", 0]},
            {"use": 3},
            {"attnsearch_export": 1},
            {"attnsearch_export": 2},
        ],
        ids=lambda change: str(change)[:60],
    )
    def test_a_header_that_was_changed(self, shop, change, tmp_path):
        update([str(shop)], wanted=Wanted("sea "))
        file = export("shop", tmp_path / "shop-export.jsonl")
        header, *items = file.read_text().splitlines()
        members = {name: value for name, value in {**json.loads(header), **change}.items() if value is not None}
        file.write_text("\n".join([json.dumps(members), *items]))
        with pytest.raises(InputError, match="is a damaged export: its header is not that of an export"):
            update([str(file)], name="again", model="small")


class TestFit:
    def test_prompts_have_a_fit_of_their_own(self, shop):
        """And no null key that is shipped: other prompts have other cosines."""
        update([str(shop)])
        plain = info_of()
        update([str(shop)], wanted=Wanted("sea "))
        assert (plain_weights(plain), plain_weights(info_of())) == (plain.sha256, "")
        encoder = UsedEncoder()
        files = [file_of(encoder)]
        for use in (Use("sea "), Use("", "sea "), Use(dims=3)):
            encoder.use = use
            files.append(file_of(encoder))
        assert len(set(files)) == len(files)


def test_repair_keeps_it(shop):
    update([str(shop)], wanted=Wanted("sea ", "robot "))
    before, folder = vectors(), homes.catalog_folder("shop")
    segment = next((folder / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1] + b"\x00")
    assert check.find_problems(folder)
    repair(folder)
    assert check.find_problems(folder) == []
    assert info_of().use == Use("sea ", "robot ")
    assert vectors() == pytest.approx(before)


def test_the_head_has_a_use_of_its_own(shop, loader):
    update([str(shop)], heads=["vowels"], wanted=Wanted("sea ", "robot ", 2))
    info = info_of()
    assert (info.use, info.d, [(head.d, head.use) for head in info.heads]) == (Use("sea ", "robot ", 2), 8, [(6, None)])
    with Index.open("shop") as index:
        assert [part.use for part in index.encoder.encoders] == [Use("sea ", "robot ", 2), PLAIN]


def test_identities():
    """Any two uses differ in them, even when their parts could be joined in two ways."""
    uses = [None, PLAIN, Use("a"), Use("", "a"), Use("a", "a"), Use("a, "), Use('a"'), Use("", "", 3), Use("3", "", 0)]
    assert len({identify("x", use) for use in uses}) == len(uses)
    assert identify("x", None) == "x"


def test_heads_with_uses_on_disk(shop, loader):
    """A head's own prompts come from its files, and are stored with it."""
    vowels = Use("moon ", "")
    plain = loader.__call__

    def load(name=None, *, use=None, **options):
        encoder = plain(name, use=use, **options)
        if name == "vowels":
            encoder.use = vowels
        return encoder

    loading.load = load  # `loader` restores it
    update([str(shop)], heads=["vowels"])
    (head,) = info_of().heads
    assert isinstance(head, Head)
    assert head.use == vowels
    assert not has_use()
    with sqlite3.connect(homes.catalog_folder("shop") / "index.sqlite") as db:
        assert read_info(db, homes.catalog_folder("shop")).heads[0].use == vowels
        assert json.loads(dict(db.execute("SELECT name, value FROM info"))["heads"])[0][-1] == ["moon ", "", 0]
