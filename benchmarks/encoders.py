"""What a query costs with a model of each kind that runs in numpy, and whether it agrees with sentence-transformers.

Every model has MiniLM's size, random weights, and a tokenizer with as many pieces as models of its kind have. A query
is a whole process, in turn with one of MiniLM over the same items.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attnsearch.encoding import loading
from attnsearch.encoding.sbert import SentenceEncoder
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table
from tests.networks import made as models
from tests.networks.made import Kind

ITEMS = 1_000
WINDOW = 256
ALPHABETS = (
    *("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω"),
    *("가나다라마바사아자차카타파하", "日本語中文学生車馬山川海月火水木金土", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"),
)
SIZES = {
    "hidden_size": 384,
    "intermediate_size": 1_536,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "max_position_embeddings": 514,
}
DISTILLED = {"dim": 384, "hidden_dim": 1_536, "n_layers": 6, "n_heads": 12, "max_position_embeddings": 514}


def filled(make: Callable[[], Any], size: int) -> Callable[[], Any]:
    """A tokenizer of the workshop with so many pieces: those that it has, and random ones."""

    def fill() -> Any:
        tokenizer = make()
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        pieces, rng = model["vocab"], random.Random(1)
        options = {"model_max_length": WINDOW}
        if model["type"] == "BPE":
            options["merges"] = merges = [tuple(merge) for merge in model["merges"]]
            short = [piece for piece in pieces if not piece.startswith("<") and len(piece) < 6]
            while len(pieces) < size:
                pair = (rng.choice(short), rng.choice(short))
                if "".join(pair) not in pieces:
                    merges.append(pair)
                    pieces["".join(pair)] = len(pieces)
        elif model["type"] == "Unigram":
            known = {piece for piece, _ in pieces}
            *pieces, mask = map(tuple, pieces)
            while len(pieces) < size - 1:
                piece = rng.choice(("▁", "")) + made_up(rng)
                if piece not in known:
                    known.add(piece)
                    pieces.append((piece, -10 - len(pieces) / size))
            pieces.append(mask)
        else:
            while len(pieces) < size:
                pieces.setdefault(rng.choice(("##", "")) + made_up(rng), len(pieces))
        return type(tokenizer)(vocab=pieces, **options)

    return fill


def made_up(rng: random.Random) -> str:
    """A word of one of several scripts."""
    letters = rng.choice(ALPHABETS)
    return "".join(rng.choice(letters) for _ in range(rng.randint(2, 9)))


WORDS, BYTES, UNIGRAMS = (
    filled(models.word_pieces, 30_522),
    filled(models.bytes_in_pairs, 50_265),
    filled(models.unigrams, 250_002),
)
MAPS = (("Pooling", {}), ("Dense", {"out_features": 768}), ("Dense", {"out_features": 384}), ("Normalize", {}))
KINDS = {
    "BERT": Kind("BertConfig", SIZES, WORDS),
    "BERT, two Dense modules": Kind("BertConfig", SIZES, WORDS, MAPS),
    "BERT, all poolings": Kind(
        "BertConfig",
        SIZES,
        WORDS,
        (("Pooling", {"pooling_mode": models.POOLINGS}), ("Dense", {"out_features": 384})),
    ),
    "BERT in bfloat16": Kind("BertConfig", SIZES, WORDS, dtype="bfloat16"),
    "BERT in float16": Kind("BertConfig", SIZES, WORDS, dtype="float16"),
    "DistilBERT": Kind("DistilBertConfig", DISTILLED, WORDS),
    "MPNet": Kind("MPNetConfig", SIZES, filled(models.mpnet_pieces, 30_527)),
    "RoBERTa": Kind("RobertaConfig", SIZES, BYTES),
    "ModernBERT": Kind("ModernBertConfig", {**SIZES, **models.MARKS}, BYTES),
    "BERT, 250,002 pieces": Kind("BertConfig", SIZES, UNIGRAMS),
    "XLM-R, 250,002 pieces": Kind("XLMRobertaConfig", {**SIZES, "type_vocab_size": 1}, UNIGRAMS),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=[*KINDS])
    parser.add_argument("--models", type=Path, help="keep the models here, for another run")
    arguments = parser.parse_args()
    heading("Models that run in numpy", "sentence-transformers", "transformers", "torch", "tokenizers")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str(Path(folder) / "home")
        made.index("MiniLM", ITEMS)
        query = (BIN / "attnsearch", "query", "the ocean at night", "--json", "-c")
        rows = []
        for number, name in enumerate(arguments.kinds):
            model = (arguments.models or Path(folder)).resolve() / name
            if not (model / "model").exists():
                models.make(KINDS[name], model)
            made.index(f"kind{number}", ITEMS, model=str(model / "model"))
            runs = {catalog: partial(process, (*query, catalog)) for catalog in ("MiniLM", f"kind{number}")}
            ours, theirs = in_turn(runs, arguments.rounds).values()
            rows.append(
                (
                    name,
                    f"{disagreement(str(model / 'model'), arguments.texts):.1e}",
                    ratio([cost.seconds for cost in theirs], [cost.seconds for cost in ours]),
                    ratio([cost.cpu for cost in theirs], [cost.cpu for cost in ours]),
                    round(1_000 * statistics.median(cost.cpu for cost in theirs)),
                    round(statistics.median(cost.mib for cost in theirs)),
                )
            )
        head = ("model", "largest difference", "cold query, times MiniLM's", "CPU, times MiniLM's", "CPU ms", "MiB")
        table(head, rows)


def disagreement(model: str, count: int) -> float:
    """The largest difference of a component of texts' vectors to those of sentence-transformers, in both roles."""
    fast = loading.load(model)
    slow = SentenceEncoder(fast.model, use=fast.use)
    texts = models.texts(count)
    return max(float(np.abs(fast.encode(texts, role) - slow.encode(texts, role)).max()) for role in ("query", "key"))


if __name__ == "__main__":
    main()
