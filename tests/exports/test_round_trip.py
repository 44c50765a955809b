"""A catalog → a file → a catalog in another home: the same, and nothing is embedded."""

from __future__ import annotations

import io
import itertools
import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnsearch.errors import InputError
from attnsearch.exports.form import parse_vectors
from attnsearch.exports.json_lines import _format_vector
from attnsearch.indexing.supply import SAMPLE
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.sources.fields import Fields
from attnsearch.storage import home
from attnsearch.syntax import strict_json
from tests.asking import query
from tests.exports.exporting import FORMS, contents, export

words = st.lists(st.sampled_from(["moon", "sea", "robot", "x"]), min_size=1, max_size=5).map(" ".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=4), parts, max_size=3),
    max_leaves=6,
)  # fmt: skip
records = st.fixed_dictionaries(
    {"title": words},
    optional={"id": st.integers(0, 99).map(str), "description": words, "year": st.integers(1900, 2000), "more": values,
              "tags": st.lists(words, max_size=2)},
)  # fmt: skip
NUMBERS = itertools.count()
MODEL = "small"  # of the tests' encoder, which is not the default


def unique(items: list[dict]) -> list[dict]:
    """The records without those whose id is there already."""
    return [item for i, item in enumerate(items) if item.get("id") not in [other.get("id", "") for other in items[:i]]]


class TestProperty:
    @pytest.mark.parametrize("form", FORMS)
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(items=st.lists(records, min_size=1, max_size=6).map(unique))
    def test_same_catalog(self, write, small, tmp_path, monkeypatch, form, items):
        lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
        first, second = (tmp_path / f"home-{next(NUMBERS)}" for _ in range(2))
        monkeypatch.setenv("ATTNSEARCH_HOME", str(first))
        update([str(write("x.jsonl", lines))], fields=Fields(text=("title",)))
        before, answer = contents("x"), ask("x")
        file = export("x", tmp_path / f"export.{form}")
        monkeypatch.setenv("ATTNSEARCH_HOME", str(second))
        small.read.clear()
        report = update([str(file)], name="y", model=MODEL)
        assert (report.embedded, report.added) == (0, len(items))
        assert len(small.read) <= SAMPLE
        assert contents("y") == before
        assert ask("y") == answer


def ask(name: str) -> list[tuple]:
    with Index.open(name) as index:
        return [(hit.id, hit.score, hit.logit, hit.fields) for hit in query(index, "moon sea").hits]


LONG = " ".join(["moon"] * 90 + ["sea"] * 90 + ["robot"] * 90)
ITEMS = [{"sku": "7", "product": "moon lamp", "blurb": "sea", "price": "3.10"},
         {"sku": "9", "product": "robot", "blurb": LONG}]  # fmt: skip


@pytest.fixture
def shop(write, small, tmp_path):
    """A catalog of two products, one of them with several passages."""
    lines = "".join(json.dumps(item) + "\n" for item in ITEMS)
    update([str(write("shop.jsonl", lines))], fields=Fields(text=("product", "blurb")))
    return "shop"


@pytest.fixture
def moved(shop, tmp_path, monkeypatch):
    """Export the shop, and go to another home."""

    def move(form: str):
        file = export(shop, tmp_path / f"export.{form}")
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        return file

    return move


@pytest.mark.parametrize("form", FORMS)
class TestEachForm:
    def test_passages_and_fields(self, shop, moved, form):
        before = contents(shop)
        assert len(before[1][-2]) > 1
        info = home.read_catalog_info(home.catalog_folder(shop))
        file = moved(form)
        report = update([str(file)], model=MODEL)
        assert report.info.name == "shop"
        assert (report.embedded, report.info.keys) == (0, info.keys)
        assert (report.info.fields, report.info.given) == (info.fields, info.given)
        assert contents("shop") == before
        assert update([str(file)]).embedded == 0  # as any source, it may be indexed again

    def test_source_that_the_fields_come_from(self, write, moved, form):
        """What was read as id, title and text stays so for a file of the same fields."""
        update([str(moved(form))], name="shop", model=MODEL)
        path = write("more.jsonl", json.dumps({**ITEMS[0], "sku": "11"}) + "\n")
        report = update([str(path)], name="shop", keep=True)
        assert (report.read.id, report.read.title, report.read.text) == (("sku",), "product", ("product", "blurb"))
        assert report.embedded == 0  # a text that came with its vectors

    def test_lexical_and_its_language_stay_the_default(self, shop, moved, form):
        update([home.read_catalog_info(home.catalog_folder(shop)).sources[0].path], lexical=0.5, language="german")
        info = update([str(moved(form))], model=MODEL).info
        assert (info.lexical, info.language) == (0.5, "german")


@given(arrays(np.float32, st.integers(1, 9), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
@example(np.array([1, -0.0, 0, 1e-45, -1.1754944e-38, 0.1, 16777217, 3.4028235e38], np.float32))
@example(np.random.default_rng(0).standard_normal(2_000, np.float32))
def test_every_float32_in_json_lines(x):
    """Bit for bit, zeros below zero too."""
    numbers = strict_json.parse_line(f"[{_format_vector(x)}]", where="x")
    assert parse_vectors([numbers], len(x), "x").tobytes() == x.tobytes()


class TestPipe:
    @pytest.mark.parametrize("form", ["jsonl", "npz"])
    def test_through_a_pipe(self, shop, moved, monkeypatch, form):
        before = contents(shop)
        raw = moved(form).read_bytes()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        assert update(["-"], name="piped", model=MODEL).embedded == 0
        assert contents("piped") == before

    def test_parquet_needs_a_file(self, moved, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(moved("parquet").read_bytes())))
        with pytest.raises(InputError, match="is an export of attnsearch; index it by itself, as a file"):
            update(["-"], name="piped", model=MODEL)

    def test_something_else_is_read_as_ever(self, small, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"title": "moon"}\n')))
        assert update(["-"], name="piped").added == 1

    def test_compressed(self, moved, tmp_path):
        import gzip

        path = tmp_path / "x.jsonl.gz"
        path.write_bytes(gzip.compress(moved("jsonl").read_bytes()))
        assert update([str(path)], model=MODEL).embedded == 0
