"""Which encoder runs a model, and that loading it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from attnsearch.encoding import loading
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import ModelError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_its_names(name):
    assert loading.load(name).model.name == "all-MiniLM-L6-v2"


def test_the_default_model_takes_the_fast_path(real):
    assert isinstance(real, FastEncoder)


def test_a_folder_is_covered_too(copy):
    assert isinstance(loading.load(str(copy.folder)), FastEncoder)


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "median"}),
        ("config.json", {"model_type": "electra"}),
        ("config.json", {"hidden_act": "selu"}),
    ],
)
def test_what_it_does_not_know_goes_the_other_road(copy, file, fields):
    assert isinstance(copy(file, **fields), SentenceEncoder)


def test_a_missing_file_too(copy):
    (copy.folder / "tokenizer.json").unlink()
    assert isinstance(loading.load(str(copy.folder)), SentenceEncoder)


def test_nothing_heavy_is_imported(write):
    load = "from attnsearch.encoding import loading; x = loading.load().encode(['x'])"
    program = f"import sys; {load}; print(x.shape, *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("(1, 384)")
    assert not {"torch", "transformers", "sentence_transformers", "yaml", "rich"} & set(ran.stdout.split())


def test_no_model(tmp_path):
    with pytest.raises(ModelError, match="no weights"):
        _ = loading.load(str(tmp_path)).model.sha256
    with pytest.raises(ModelError, match="no weights"):
        loading.load(str(tmp_path)).encode(["x"])
