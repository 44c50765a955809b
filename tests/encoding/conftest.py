"""Texts of every kind, and models in folders of their own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder

# Between two roads to one float32 vector. They are 3.1e-7 of a component apart at most, whatever kernel multiplies.
CLOSE = 1e-5

MIXED = [
    *(
        "",
        " ",
        "\t\n\x00\x07",
        "a",
        "?!",
        "日本の小説 🚀",
        "שלום \u202e reversed",
        "ﬁligature Ⅷ",
        "naïve Straße İstanbul",
    ),
    *("word " * 400, "x" * 3000, "[CLS] [SEP] [MASK] [UNK]"),
    *(f"thing number {n} " * (n % 40 + 1) for n in range(150)),
]


class Copy:
    """The default model in a folder of its own; called with changes to one of its JSON files, it loads the model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, file: str, **fields) -> Encoder:
        path = self.folder / file
        settings = json.loads(path.read_text()) if path.exists() else {}
        path.unlink(missing_ok=True)  # it is a link to the model's own
        path.write_text(json.dumps({**settings, **fields}))
        return loading.load(str(self.folder))


@pytest.fixture
def copy(real, tmp_path) -> Copy:
    shutil.copytree(real.model.folder, tmp_path / "m", copy_function=os.symlink)  # as in the Hugging Face cache
    return Copy(tmp_path / "m")


@pytest.fixture(scope="module")
def static(tmp_path_factory) -> Path:
    """A model that only sentence-transformers reads: a vector for each of five words, their mean, scaled twice."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "moon", "sea", "robot", "zero"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.eye(5, 4, k=-1, dtype=np.float32) + np.float32(0.0)
    vectors[0] = 1
    path = tmp_path_factory.mktemp("model")
    modules = [StaticEmbedding(tokenizer, embedding_weights=vectors), Normalize(), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(path))
    return path
