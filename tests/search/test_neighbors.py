"""A query's hits are the same alone as among others, and equal items rank by position."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest

from attnsearch.attention.products import error_bound
from attnsearch.attention.projections import identity
from attnsearch.encoding import loading
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.scoring import fold_queries
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from tests.conftest import SmallEncoder
from tests.engines.test_ties import careless
from tests.search.conftest import index_items

D = 40
WORDS = ["moon", "sea", "robot", "lamp", "tide", "ship", "ice", "crew", "storm", "city"]
QUERIES = [f"{first} {second}" for first in WORDS[:5] for second in WORDS[2:]]
ITEMS = [{"id": f"i{n}", "title": f"{WORDS[n % 7]} {WORDS[n % 3]}", "year": 1900 + n % 9} for n in range(120)]
ITEMS += [{"id": f"i{n}", "title": "garden river", "year": 1800} for n in range(120, 160)]


class Directions(SmallEncoder):
    """Each text in a direction of its own, but all on one side: equal texts have equal vectors."""

    def encode(self, texts, role="key", progress=None):
        x = np.array([np.random.default_rng(zlib.crc32(text.encode())).normal(0.5, size=D) for text in texts])
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("neighbors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSEARCH_HOME", str(folder / "home"))
        patch.setattr(loading, "load", lambda name=None, **options: Directions())

        def write(name: str, text: str):
            (folder / name).write_text(text)
            return folder / name

        opened = Index.open(index_items(write, "x", ITEMS))
    with opened:
        yield opened


@pytest.fixture(params=[1, 2], autouse=True)
def _careless(request, monkeypatch):
    monkeypatch.setattr("attnsearch.engines.scan.multiply_fast", careless)
    monkeypatch.setattr("attnsearch.threads.count", lambda: request.param)


def learned() -> Setting:
    """With a dense W_Q."""
    w_q = np.eye(D, dtype=np.float32) * 40 + np.random.default_rng(4).standard_normal((D, D), np.float32)
    return Setting(identity(D)._replace(w_q=w_q))


SETTINGS = {
    "plain": Setting(),
    "sharp": Setting(identity(D, 0.002)),
    "flat": Setting(identity(D, 1e6)),
    "where": Setting(where=(parse_filter("year > 1904"),)),
    "lexical": Setting(lexical=0.7),
    "prior": Setting(priors={"year": 3.0}),
    "learned": learned(),
}


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"k": None}], ids=str)
@pytest.mark.parametrize("top_p", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("name", SETTINGS)
def test_alone_and_among_others(index, name, top_p, options):
    setting = SETTINGS[name]
    count = 9 + 31 * (name == "plain")
    texts = QUERIES[:count]
    together = search(index, texts, setting, top_p=top_p, **options)
    q = fold_queries(setting.resolve(index, texts).projections, index.encoder.encode(texts))
    off = np.expm1(error_bound(q))  # of Σ exp z: the logits on top are settled, the others are not
    for text, among, most in zip(texts, together, off, strict=True):
        (alone,) = search(index, [text], setting, top_p=top_p, **options)
        assert [hit.id for hit in among.hits] == [hit.id for hit in alone.hits]
        for hit, peer in zip(among.hits, alone.hits, strict=True):
            assert (hit.logit, hit.score) == (peer.logit, peer.score)
            assert hit.weight == pytest.approx(peer.weight, rel=most, abs=0)
            assert top_p == 1 or hit.weight == peer.weight
        order = [(-hit.logit, int(hit.id[1:])) for hit in among.hits]
        assert order == sorted(order)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_share_that_items_hold_exactly(index, share):
    """Forty equal weights: a quarter is ten of them, not eleven, whatever the sums round to."""
    setting = Setting(where=(parse_filter("year = 1800"),))
    results = search(index, QUERIES, setting, k=None, top_p=share)
    assert {len(result.hits) for result in results} == {40 * share}
    assert {len({hit.score for hit in result.hits}) for result in results} == {1}


@pytest.mark.parametrize("options", [{"k": None}, {"k": 10}], ids=str)
@pytest.mark.parametrize("top_p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 9])
def test_everything_is_hidden(index, count, top_p, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        setting = Setting(where=(parse_filter("year > 3000"),))
        results = search(index, QUERIES[:count], setting, top_p=top_p, **options)
    assert [result.hits for result in results] == [[]] * count
