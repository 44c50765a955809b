"""The encoder that sentence-transformers runs: its precisions, and models of other kinds."""

from __future__ import annotations

import json
import platform

import numpy as np
import pytest

from attnsearch.encoding import sbert
from attnsearch.encoding.encoder import vectors_agree
from tests.encoding.conftest import CLOSE, MIXED

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("able", "pay"),
    [
        ({}, False),
        ({"avx2": True, "avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, False),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
    ],
)
def test_bfloat16_is_fast_where_the_processor_has_it(monkeypatch, able, pay):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert sbert.is_bfloat16_fast() is pay


def test_bfloat16_is_fast_on_a_gpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert sbert.is_bfloat16_fast()


def test_what_torch_calls_them():
    import torch

    if platform.machine() in ("x86_64", "AMD64"):
        assert {"amx_bf16", "avx512_bf16"} <= set(torch.cpu.get_capabilities())


def test_bfloat16_agrees_as_far_as_it_can(real):
    halves = real.suited(10, "bfloat16")
    x = halves.encode(MIXED[9:60])
    assert x.dtype == np.float32
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(x)), abs=CLOSE)
    angles = np.linalg.norm(x - real.encode(MIXED[9:60]), axis=1)
    assert 1e-3 < angles.mean() < 0.008  # .010 if all sums were rounded too
    assert vectors_agree(real, halves, MIXED[9:60])
    assert len(halves.pieces(["moon", "a ship at sea"])) == 2


def test_another_model(static, run, write):
    path = write("x.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: moon sea}\n")
    assert run("index", path, "--model", static).code == 0
    code, out, err = run("query", "moon", "sea", "-c", "x", "--json")
    assert (code, err.count("needs sentence-transformers, which takes seconds to load")) == (0, 1)
    result = json.loads(out)[0]
    assert result["model"] == str(static)
    assert {hit["id"]: round(hit["score"], 4) for hit in result["hits"]} == {"a": 1.0, "c": 0.7071, "b": 0.0}
