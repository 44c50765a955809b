"""An export of a catalog with several heads: every form names them, and its vectors are used by whom they fit."""

from __future__ import annotations

import json
import math

import pytest

from attnsearch.encoding import heads as module
from attnsearch.errors import InputError
from attnsearch.exports.reading import open_export
from attnsearch.indexing.update import update
from attnsearch.storage import home
from attnsearch.storage.segment import all_heads
from attnsearch.storage.store import Store
from tests.exports.exporting import FORMS, contents, export


@pytest.fixture
def shop(write, two, tmp_path):
    """A function that exports a catalog of two heads in a form, and empties the home."""

    def make(form, monkeypatch, heads=("vowels=0.2",)):
        update([str(write("shop.yaml", f"- {{title: moon}}\n- {{title: sea, description: {'fog sea ' * 120}}}\n"))],
               heads=heads)  # fmt: skip
        before, info = contents("shop"), home.read_catalog_info(home.catalog_folder("shop"))
        file = export("shop", tmp_path / f"shop-export.{form}")
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        for encoder in two:
            encoder.read.clear()
        return file, before, info

    return make


@pytest.mark.parametrize("form", FORMS)
class TestEveryForm:
    def test_it_comes_back_bit_for_bit(self, shop, form, two, monkeypatch):
        file, before, info = shop(form, monkeypatch)
        report = update([str(file)], model="small", heads=["vowels=0.2"])
        assert report.embedded == 0
        after = report.info
        assert [head._replace(stamp="") for head in after.heads] == [head._replace(stamp="") for head in info.heads]
        assert (after.temperature, after.d) == (info.temperature, info.d)
        assert contents("shop") == before

    def test_its_header_names_them_without_a_stamp(self, shop, form, monkeypatch):
        file, _, info = shop(form, monkeypatch)
        export = open_export(str(file))
        list(export.entries)
        assert export.header.heads == (info.heads[0]._replace(stamp=""),)
        assert b"stamp" not in file.read_bytes()

    def test_without_heads_it_is_what_it_was(self, shop, form, monkeypatch):
        file, _, _ = shop(form, monkeypatch, heads=None)
        assert open_export(str(file)).header.heads == ()
        assert b'"heads"' not in file.read_bytes()
        assert b'"attnsearch_export": 1,' in file.read_bytes()


class TestTaking:
    def test_heads_of_models_that_we_know_come_along(self, shop, two, monkeypatch):
        file, before, info = shop("jsonl", monkeypatch)
        monkeypatch.setattr(module, "USUAL", {"vowels": 0.125})
        monkeypatch.setattr("attnsearch.indexing.supply.USUAL", {"vowels": 0.125})
        report = update([str(file)], model="small")
        assert (report.embedded, report.info.temperature) == (0, info.temperature)
        assert contents("shop") == before

    def test_others_only_if_they_are_named(self, shop, two, monkeypatch):
        file, _, _ = shop("jsonl", monkeypatch)
        with pytest.raises(
            InputError, match="vectors of the head vowels; say --head vowels to use them, or --head none"
        ):
            update([str(file)], model="small")

    @pytest.mark.parametrize("heads", [["none"], ["vowels=0.4"]])
    def test_fewer_heads_or_other_weights(self, shop, two, monkeypatch, heads):
        file, _, _ = shop("jsonl", monkeypatch)
        report = update([str(file)], model="small", heads=heads)
        assert report.embedded == 0
        with Store(home.catalog_folder("shop")) as store:
            places = store.spans_at(store.living().tolist())
            texts = [f"sea. {p.item.text[p.start : p.stop]}" if p.start else p.item.text[: p.stop] for p in places]
            weights = [head.weight for head in all_heads(store.info)]
            x = module.join([encoder.encode(texts) for encoder in two[: len(weights)]], weights)
            assert store.embeddings(store.living()) == pytest.approx(x, abs=1e-6)

    def test_a_head_that_it_lacks_embeds_everything_again(self, shop, two, monkeypatch, caplog):
        file, _, _ = shop("jsonl", monkeypatch, heads=None)
        report = update([str(file)], model="small", heads=["vowels"])
        assert report.embedded == 4  # one text is there twice
        assert "shop: there are no vectors of the head vowels, so its texts are embedded again" in caplog.text

    def test_a_head_with_other_weights(self, shop, two, monkeypatch, caplog):
        file, _, _ = shop("jsonl", monkeypatch)
        two[1].sha256 = "7" * 64
        report = update([str(file)], model="small", heads=["vowels"])
        assert report.embedded == 4  # one text is there twice
        assert "the vectors were made by another vowels (666666666666…), so its texts are embedded again" in caplog.text

    def test_vectors_of_other_texts(self, shop, two, monkeypatch):
        """Those of the second head alone are wrong."""
        file, _, _ = shop("jsonl", monkeypatch)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines[1:]:
            for x in line["embeddings"]:
                x[4:] = [0, 0, 0, math.sqrt(sum(number * number for number in x[4:])), 0, 0]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(InputError, match="has a vector that is not that of its text"):
            update([str(file)], model="small", heads=["vowels=0.2"])


class TestDamage:
    @pytest.mark.parametrize(
        "change",
        [
            lambda head: head.update(d=10),
            lambda head: head.update(d=-1),
            lambda head: head.update(weight=1.0),
            lambda head: head.update(weight=0),
            lambda head: head.update(model="small"),
            lambda head: head.update(model=""),
            lambda head: head.update(stamp="x"),
            lambda head: head.pop("identity"),
        ],
    )
    def test_a_head_that_none_can_have(self, shop, two, monkeypatch, change):
        file, _, _ = shop("jsonl", monkeypatch)
        first, *others = file.read_text().splitlines()
        header = json.loads(first)
        change(header["heads"][0])
        file.write_text("\n".join([json.dumps(header), *others]))
        with pytest.raises(InputError, match="its header is not that of an export"):
            update([str(file)], model="small", heads=["vowels"])

    @pytest.mark.parametrize("version", [1, 2])
    def test_a_version_that_does_not_fit(self, shop, monkeypatch, version):
        file, _, _ = shop("jsonl", monkeypatch, heads=None if version == 2 else ["vowels"])
        file.write_text(file.read_text().replace(f'_export": {3 - version}', f'_export": {version}', 1))
        with pytest.raises(InputError, match="its header is not that of an export"):
            open_export(str(file))
