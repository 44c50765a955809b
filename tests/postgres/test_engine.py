"""Fifty thousand keys, against float64; and vectors that are not what was written."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from attnsearch.engines.bias import Bias
from attnsearch.errors import CatalogError
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.postgres.engine import PostgresEngine
from tests.engines.made import DiskStore
from tests.engines.test_conformance import keys_of
from tests.postgres.made import MadeStore

N, D = 50_000, 384


@pytest.mark.slow
def test_fifty_thousand_keys(server, database, tmp_path):
    """Of a few topics, so that a query has near keys; some of them are equal."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, D), np.float32)
    x += 1.5 * rng.standard_normal((40, D), np.float32)[rng.integers(0, 40, N)]
    x[-100:] = x[:100]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    none = np.zeros(N, bool)
    q = 20 * x[[5, 77, 900, N // 2]]
    visible = rng.random(N) < 0.5
    with MadeStore(server.url(database, "made"), DiskStore(tmp_path, x, none, none, [])) as store:
        for mask in (None, visible):
            bias = None if mask is None else Bias(None, mask, [{}] * len(q), {})
            state = PostgresEngine(store).attend(q, k=200, output=True, bias=bias).attention
            z = np.where(True if mask is None else mask, q.astype(np.float64) @ x.astype(np.float64).T, -np.inf)
            best = z.max(axis=1)
            log_normalizer = best + np.log(np.exp(z - best[:, None]).sum(axis=1))
            assert state.log_normalizer() == pytest.approx(log_normalizer, abs=2e-7)
            assert state.mean_value() == pytest.approx(np.exp(z - log_normalizer[:, None]) @ x, abs=2e-7)
            exact = np.array([np.vecdot(x, query) for query in q])
            exact[np.isneginf(z)] = -np.inf
            assert state.top_keys.tolist() == np.argsort(-exact, axis=1, kind="stable")[:, :200].tolist()


@pytest.fixture
def made(server, database, tmp_path):
    """Keys in a database; and a function that changes them there before they are opened again."""
    url = server.url(database, "made")
    store = DiskStore(tmp_path, *keys_of(60, "long"), [20, 40])
    with MadeStore(url, store) as opened:
        pass

    def change(statement):
        with closing(connect(parse_address(url))) as connection:
            connection.execute(statement)
        return opened.again()

    return change


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE keys SET x = (SELECT x FROM keys ORDER BY key DESC LIMIT 1)", "is not what was written"),
        ("UPDATE keys SET x = '[1, 0]' WHERE key = 0", "different vector dimensions"),
        ("UPDATE keys SET x = '[1, 0]'", "different vector dimensions"),
        ("DELETE FROM keys WHERE key = (SELECT max(key) FROM keys WHERE item = key)", "it has .* items"),
        ("INSERT INTO keys SELECT 77, 77, start, stop, x, sum, x_sum FROM keys WHERE key = 0", "it has .* items"),
        ("UPDATE keys SET item = 0", "it has 1 of"),
        ("DELETE FROM keys WHERE key = (SELECT max(key) FROM keys WHERE item < key)", "its keys are not those"),
        ("UPDATE keys SET key = 77 WHERE key = (SELECT max(key) FROM keys WHERE item < key)", "its keys are not those"),
    ],
)
def test_keys_that_nobody_wrote(made, statement, message):
    q = np.full((1, 16), 5, np.float32)
    with made(statement) as store, pytest.raises(CatalogError, match=f"is damaged: .*{message}"):
        PostgresEngine(store).attend(q, k=3)


def test_logits_beyond_what_exp_takes(made):
    """PostgreSQL takes exp(-746) for an error."""
    q = np.zeros((1, 16), np.float32)
    q[0, 0] = 1e6
    with made("SELECT 1") as store:
        state = PostgresEngine(store).attend(q, k=3, output=True).attention
        assert state.log_normalizer() == pytest.approx(state.top_logits[:, 0], rel=1e-6)
        assert state.mean_value()[0] == pytest.approx(store.embeddings(state.top_keys[0, :1])[0], abs=1e-6)
