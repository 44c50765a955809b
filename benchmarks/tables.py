"""Tables of word pieces: 100,000 short texts indexed, a query, and embedding beside the tables' own libraries."""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from attnsearch.encoding import loading
from attnsearch.models.model import TABLE, TABLE_TOKENIZER
from benchmarks import made
from benchmarks.encoders import WORDS
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table, timed

ITEMS = 1_000
WIDTH = 256
QUESTION = "the ocean at night"
Encode = Callable[[list[str]], np.ndarray]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--texts", type=int, default=100_000)
    arguments = parser.parse_args()
    heading("Tables of word pieces", "tokenizers", "sentence-transformers", "model2vec", TABLE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ATTNSEARCH_HOME"] = name
        made.jsonl(folder / "many.jsonl", arguments.texts)
        made.jsonl(folder / "few.jsonl", ITEMS)
        made.index("MiniLM", ITEMS)
        texts = list(itertools.islice(made.texts(arguments.texts), 10_000))
        makers = {TABLE: wordllama, "StaticEmbedding": static_embedding, "model2vec": model2vec}
        rows = [measure(maker, make(folder / maker), texts, folder, arguments.rounds) for maker, make in makers.items()]
    head = ("table", "all indexed, s", "CPU s", "MiB", "query, times MiniLM's", "MiB", "embedding, times its library")
    table(head, rows)


def measure(name: str, maker: tuple[str, Encode], texts: list[str], folder: Path, rounds: int) -> list[object]:
    """The row of a table, of which there are the model's name and its maker's way to embed texts."""
    model, theirs = maker
    index = [str(BIN / "attnsearch"), "index", "--model", model]
    many = process([*index, folder / "many.jsonl", "--name", f"{name}-many"])
    process([*index, folder / "few.jsonl", "--name", f"{name}-few"])
    query = [str(BIN / "attnsearch"), "query", QUESTION, "--json", "-c"]
    costs = in_turn({c: lambda c=c: process([*query, c]) for c in ("MiniLM", f"{name}-few")}, rounds)
    usual, ours = costs["MiniLM"], costs[f"{name}-few"]
    encoder = loading.load(model)
    speeds = in_turn({"ours": timed(lambda: encoder.encode(texts)), "theirs": timed(lambda: theirs(texts))}, 3)
    peak = sorted(cost.mib for cost in ours)[rounds // 2]
    return [
        *(name, f"{many.seconds:.1f}", f"{many.cpu:.1f}", round(many.mib)),
        *(ratio([cost.seconds for cost in ours], [cost.seconds for cost in usual]), round(peak)),
        ratio(speeds["theirs"], speeds["ours"]),
    ]


def wordllama(folder: Path) -> tuple[str, Encode]:  # noqa: ARG001 (it is in its package)
    """The table in the package."""
    from wordllama import WordLlama
    from wordllama.inference import WordLlamaInference

    encoder = loading.load(TABLE)
    tokenizer = WordLlama.load_tokenizer(encoder.model.folder / TABLE_TOKENIZER)
    return TABLE, WordLlamaInference(np.asarray(encoder._table.rows), tokenizer).embed


def static_embedding(folder: Path) -> tuple[str, Encode]:
    """A random table of BERT's vocabulary, as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = WORDS()._tokenizer
    module = StaticEmbedding(tokenizer, embedding_weights=rows(tokenizer.get_vocab_size()))
    model = SentenceTransformer(modules=[module], device="cpu")
    model.save(str(folder))
    return str(folder), partial(model.encode, show_progress_bar=False)


def model2vec(folder: Path) -> tuple[str, Encode]:
    """A random table of BERT's vocabulary, as model2vec saves it."""
    from model2vec import StaticModel

    tokenizer = WORDS()._tokenizer
    model = StaticModel(rows(tokenizer.get_vocab_size()), tokenizer)
    model.save_pretrained(folder)
    return str(folder), model.encode


def rows(count: int) -> np.ndarray:
    """So many random rows."""
    return np.random.default_rng(count).standard_normal((count, WIDTH), np.float32)


if __name__ == "__main__":
    main()
