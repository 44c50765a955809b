"""Which encoder an update takes: model, weights, precision, fast path; and when it embeds everything again."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.encoding import loading
from attnsearch.errors import CatalogError, InputError, ModelError
from attnsearch.indexing import embedding
from attnsearch.indexing import update as module
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from tests.asking import query
from tests.conftest import titles


def test_a_catalog_keeps_its_model(shop, monkeypatch):
    asked = []

    def load(name=None, **options):
        asked.append(name)
        raise ModelError("stop")

    monkeypatch.setattr(loading, "load", load)
    for model in (None, "other"):
        with pytest.raises(ModelError):
            update([str(shop)], model=model)
    assert asked == ["small", "other"]


class TestOtherWeights:
    def test_indexing_embeds_all_anew(self, shop, small, caplog):
        small.sha256 = "6" * 64
        assert update([str(shop)]).embedded == 3
        assert "shop: embedding everything again with small" in caplog.text
        assert titles("shop") == {"moon", "sea", "robot"}

    def test_keep_refuses_what_another_model_embedded(self, shop, small):
        small.sha256 = "6" * 64
        with pytest.raises(InputError, match="can't keep items that another model, prompt or precision embedded"):
            update([str(shop)], keep=True)
        small.sha256 = "5" * 64
        assert titles("shop") == {"moon", "sea", "robot"}


class TestPrecision:
    """A machine that computes faster in bfloat16, and one that does not."""

    @pytest.fixture
    def halves(self, small, monkeypatch):
        other = type(small)()
        other.precision, other.quick = "bfloat16", False
        monkeypatch.setattr(
            small, "suited", lambda length, precision=None: small if precision == "float32" else other, raising=False
        )
        return other

    def test_the_info_has_the_least_precision(self, halves, small, write):
        path = write("x.yaml", "- {title: moon}\n- {title: sea}\n")
        assert update([str(path)]).info.precision == "bfloat16"
        small.read.clear()
        path.write_text("- {title: moon}\n- {title: robot}\n")
        small.suited = lambda length, precision=None: small
        done = update([str(path)])
        assert (done.embedded, done.info.precision, small.read) == (1, "bfloat16", ["robot"])

    def test_asked_for_float32_everything_is_embedded_anew(self, halves, small, write, caplog):
        path = write("x.yaml", "- {title: moon}\n- {title: sea}\n")
        update([str(path)])
        with pytest.raises(InputError, match="can't keep items that another model, prompt or precision embedded"):
            update([str(path)], precision="float32", keep=True)
        done = update([str(path)], precision="float32")
        assert (done.embedded, done.info.precision) == (2, "float32")
        assert "embedding everything again with float32" in caplog.text
        assert update([str(path)], precision="float32").embedded == 0

    def test_even_when_an_unfinished_run_embedded_everything(self, halves, small, write, monkeypatch):
        path = write("x.yaml", "- {title: moon}\n")
        monkeypatch.setattr(module, "vectors_agree", lambda *_: True)
        with monkeypatch.context() as patched:
            patched.setattr("attnsearch.indexing.writer.Writer.commit", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                update([str(path)])
        done = update([str(path)])
        assert (done.embedded, done.info.precision) == (0, "bfloat16")

    def test_another_precision_does_not_go_on_with_its_unfinished_run(self, halves, small, write, monkeypatch):
        path = write("x.yaml", "- {title: moon}\n- {title: sea}\n")
        monkeypatch.setattr(embedding, "CHUNK", 1)
        monkeypatch.setattr(module, "vectors_agree", lambda *_: True)
        encode = halves.encode
        halves.encode = lambda texts, **options: encode(texts, **options) if texts == ["moon"] else 1 / 0
        with pytest.raises(ZeroDivisionError):
            update([str(path)])
        small.read.clear()
        assert update([str(path)], precision="float32").embedded == 2


class TestAFastPathThatIsWrong:
    """It is detected when sentence-transformers is loaded anyway."""

    @pytest.fixture
    def right(self, small, monkeypatch):
        other = type(small)()
        other.quick = False
        encode = small.encode
        monkeypatch.setattr(small, "encode", lambda *texts, **options: np.roll(encode(*texts, **options), 1, axis=1))
        monkeypatch.setattr(small, "suited", lambda length, precision=None: other, raising=False)
        monkeypatch.setattr(loading, "load", lambda name=None, *, quick=True, **options: small if quick else other)
        return other

    def test_the_index_is_answered_the_long_way(self, right, small, write, caplog):
        path = write("x.yaml", "- {title: moon}\n- {title: sea}\n")
        done = update([str(path)])
        assert not done.info.quick
        assert "the fast path does not reproduce small" in caplog.text
        with Index.open("x") as opened:
            assert opened.encoder is right
            assert query(opened, "sea", k=1).hits[0].title == "sea"
        assert caplog.text.count("the model small needs sentence-transformers") == 1
        path.write_text("- {title: moon}\n- {title: sea}\n- {title: robot}\n")
        small.read.clear()
        assert update([str(path)]).embedded == 1
        assert small.read == []

    def test_what_it_embedded_before_is_not_mixed_with_the_rest(self, right, small, write, monkeypatch):
        path = write("x.yaml", "- {title: moon}\n")
        with monkeypatch.context() as patched:
            patched.setattr(small, "suited", lambda length, precision=None: small)
            assert update([str(path)]).info.quick
        path.write_text("- {title: moon}\n- {title: sea}\n")
        with pytest.raises(CatalogError, match="was embedded without sentence-transformers") as caught:
            update([str(path)])
        assert caught.value.hint == "'attnsearch remove x', then index it again"
