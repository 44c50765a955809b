"""When an encoder is fitted, what that never costs, and what is asked with it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attnsearch.attention import null_key
from attnsearch.attention.memory import OFF, Recall
from attnsearch.attention.null_key import NullKey
from attnsearch.calibration import calibrate, fit_file
from attnsearch.calibration.fit_file import Fit, read_fit, write_fit
from attnsearch.calibration.fitting import Fitted, Mean
from attnsearch.errors import ModelError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage import files, home, learned
from attnsearch.storage.learned import Learned, Remembered
from tests.conftest import CALIBRATE_IF_NEW, SHOP

OWN = Fit(
    "a model", "2026-01-02", Fitted(0.02, NullKey(9.0, 0.5, 0.02), 9, Mean(1, 1, 1), Mean(1, 1, 1), {"library": 1.0})
)


@pytest.fixture
def source(write):
    return str(write("shop.yaml", SHOP))


@pytest.fixture
def file(home):
    return home / ".fits" / f"{'7' * 64}.json"


def test_an_encoder_is_fitted_when_it_first_indexes_something(source, file, fitting):
    update([source])
    fit = read_fit(file)
    assert fit.model == "words"
    assert fit.null is not None
    assert fit.fitted.accuracy.low > 0.5
    with Index.open("shop") as index:
        (result,) = search(index, ["moon"])
        assert index.fit == fit
        assert result.temperature == fit.temperature
        assert result.none_of_these is not None


def test_it_is_fitted_once(source, write, file, fitting):
    update([source])
    before = file.read_bytes()
    fitting.read.clear()
    update([str(write("other.yaml", "- title: a moon\n"))])
    assert fitting.read == ["a moon"]
    assert file.read_bytes() == before


def test_a_null_key_that_is_shipped_is_not_fitted(source, file, fitting, monkeypatch):
    monkeypatch.setitem(null_key.FITTED, fitting.sha256, NullKey(1.0, 1.0))
    update([source])
    assert not file.exists()


def test_an_interrupted_fit_costs_nothing(source, file, fitting, monkeypatch, caplog):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(calibrate, "compare", interrupt)
        with pytest.raises(KeyboardInterrupt):
            update([source])
    assert home.read_catalog_info(files.home_folder() / "shop").items == 3
    assert not file.exists()
    assert caplog.messages[-1] == "what was indexed is stored; the next index fits words"
    update([source])
    assert read_fit(file)


def test_a_failed_fit_is_a_warning(source, file, fitting, monkeypatch, caplog):
    def fail(*_):
        raise ModelError("gave a vector without a direction", where="words")

    with monkeypatch.context() as patch:
        patch.setattr(calibrate, "compare", fail)
        assert update([source]).added == 3
    assert "words has no null key of its own yet: words: gave a vector without a direction" in caplog.text
    assert "attnsearch calibrate --model words" in caplog.text
    assert not file.exists()
    update([source])
    assert read_fit(file)


def test_a_full_disk_is_a_warning(source, file, fitting, monkeypatch, caplog):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fit_file, "replace_file", fail)
    assert update([source]).added == 3
    assert "No space left" in caplog.text


def test_no_better_than_chance(source, small, fitting, home, monkeypatch, caplog):
    """To the small encoder, all requests of the shipped catalogs are alike."""
    monkeypatch.setattr("attnsearch.encoding.loading.load", lambda name=None, **options: small)
    update([source])
    assert "small: none of these is unknown: on held-out requests, " in caplog.text
    assert "no better than chance" in caplog.text
    with Index.open("shop") as index:
        assert (index.fit.null, index.fit.temperature) == (None, 0.05)
        assert search(index, ["moon"])[0].none_of_these is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"fit": {"form": 1}, "sum": "0"}'])
def test_a_damaged_file_is_not_used_and_fitted_again(source, file, fitting, content, caplog):
    update([source])
    file.write_bytes(content)
    with Index.open("shop") as index:
        assert search(index, ["moon"])[0].none_of_these is None
    assert "is not used; fit it again: attnsearch calibrate --model words" in caplog.text
    update([source])
    assert read_fit(file).null


def test_what_a_newer_attnsearch_fitted_is_left_alone(source, file, fitting, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(fit_file, "FORM", fit_file.FORM + 1)
        write_fit(file, OWN)
    newer = file.read_bytes()
    update([source])
    assert file.read_bytes() == newer
    with Index.open("shop") as index:
        assert index.fit is None
    assert "was fitted by a newer attnsearch" in caplog.text


def test_two_at_once_are_fine(file, fitting):
    with ThreadPoolExecutor(2) as pool:
        fits = list(pool.map(calibrate.calibrate, [fitting, fitting]))
    assert read_fit(file) in fits
    assert fits[0].fitted == fits[1].fitted
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_it_is_no_catalog(source, file, fitting, run):
    """Nothing that looks through the home takes the folder of fits for a catalog."""
    update([source])
    assert [folder.name for folder in home.catalog_folders()] == ["shop"]
    assert ".fits" not in run("list").out
    assert run("check", "shop").code == 0
    for command in (
        ["check"],
        ["remove", "--yes"],
        ["remove", "--all", "--yes"],
        ["reset"],
        ["info"],
        ["query", "x", "-c"],
    ):
        ran = run(*command, ".fits")
        assert (ran.code, ran.err.count("\n")) in {(2, 1), (3, 1)}, command
    assert run("remove", "shop", "--all", "--yes").code == 0
    assert file.exists()


class TestAsked:
    """What a catalog is asked with."""

    @pytest.fixture
    def index(self, source, small, home):
        update([source])
        write_fit(home / ".fits" / f"{'5' * 64}.json", OWN)
        with Index.open("shop") as index:
            yield index

    @staticmethod
    def chance(null: NullKey, cosines=(1.0, 0.0, 0.0)) -> float:
        z = np.array(cosines) / null.temperature
        evidence = math.log(np.exp(z).mean() + math.exp(z.max()) / 1000)
        return 1 / (1 + math.exp(null.sharpness * evidence - null.logit))

    def test_by_hand(self, index):
        (result,) = search(index, ["moon"])
        assert result.temperature == 0.02
        assert result.hits[0].logit == pytest.approx(50)
        assert result.none_of_these == pytest.approx(self.chance(OWN.null), rel=1e-5)

    @pytest.mark.parametrize("temperature", [0.5, 0.05])
    def test_the_temperature_of_a_user_leaves_the_chance_as_it_is(self, index, temperature):
        (usual,), (blunt,) = search(index, ["moon"]), search(index, ["moon"], Setting(temperature=temperature))
        assert blunt.temperature == temperature
        assert blunt.none_of_these == pytest.approx(usual.none_of_these, rel=1e-5)

    def test_what_was_learned_comes_first(self, index):
        null = NullKey(1.0, 0.1, 0.04)
        learned.write_learned(
            index.store.folder / files.LEARNED, Learned("small", "5" * 64, np.eye(4, dtype=np.float32), 0.1, null=null)
        )
        (result,) = search(index, ["moon"])
        assert result.temperature == 0.1
        assert result.none_of_these == pytest.approx(self.chance(null), rel=1e-5)

    def test_memory_competes_as_it_did_when_it_was_learned(self, index, home):
        """With the items at the usual temperature, whatever that of the null key is."""
        recall = Recall(0.5, 0.05, OFF, 0.0)
        memory = Remembered(["sea moon"], index.encoder.encode(["sea moon"]), [{"b": 1.0}], recall)
        learned.write_learned(index.store.folder / files.LEARNED, Learned("small", "5" * 64, None, 0.05, memory=memory))
        (fitted,) = search(index, ["moon"])
        (home / ".fits" / f"{'5' * 64}.json").unlink()
        with Index.open("shop") as again:
            (plain,) = search(again, ["moon"])
        assert fitted.temperature == plain.temperature == 0.05
        assert [hit.weight for hit in fitted.hits] == pytest.approx([hit.weight for hit in plain.hits], rel=1e-6)


@pytest.mark.real
def test_the_table_of_word_pieces(source, file, monkeypatch):
    """The figures of docs/encoders.md come from the same fit."""
    monkeypatch.setattr(calibrate, "calibrate_if_new", CALIBRATE_IF_NEW)
    update([source], model="wordllama")
    with Index.open("shop") as index:
        assert index.fit.temperature == 0.05
        assert index.fit.null == pytest.approx((2.78, 1.21, 0.05), abs=0.01)
        assert index.fit.fitted.accuracy.mean > 0.85
        known, unknown = search(index, ["the moon", "invoices of the tax office"])
    assert known.none_of_these < 0.5 < unknown.none_of_these
