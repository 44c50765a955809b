"""The folder of a BERT that is as small as can be: five words, two layers of width 4."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from attnsearch.encoding import safetensors

WIDTH, WIDER, LAYERS, POSITIONS = 4, 8, 2, 16
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "moon", "sea", "robot")
FILES = {
    "config": "config.json",
    "modules": "modules.json",
    "pooling": "1_Pooling/config.json",
    "limits": "sentence_bert_config.json",
    "tokenizer": "tokenizer.json",
    "weights": "model.safetensors",
}


def make(folder: Path) -> Path:
    """Write the model to a folder, over what is there."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for file, content in contents().items():
        (folder / file).write_bytes(content)
    return folder


@functools.cache
def contents() -> dict[str, bytes]:
    """The bytes of each file."""
    parts: dict[str, Any] = {
        "config.json": {
            "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": WIDER,
            "vocab_size": len(WORDS), "max_position_embeddings": POSITIONS, "type_vocab_size": 1,
            "num_hidden_layers": LAYERS, "num_attention_heads": 2, "layer_norm_eps": 1e-12,
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": WIDTH, "pooling_mode": "mean"},
        "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        "tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
        },
    }  # fmt: skip
    files = {name: json.dumps(content).encode() for name, content in parts.items()}
    return files | {"model.safetensors": safetensors.pack(_weights(), {"format": "pt"})}


def _weights() -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (1, WIDTH),
    }
    linear = {}
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear[f"{layer}.{part}"] = (WIDTH, WIDTH)
        linear |= {f"{layer}.intermediate.dense": (WIDER, WIDTH), f"{layer}.output.dense": (WIDTH, WIDER)}
    norms = ["embeddings.LayerNorm"]
    norms += [f"encoder.layer.{n}.{part}.LayerNorm" for n in range(LAYERS) for part in ("attention.output", "output")]
    shapes |= {f"{name}.weight": shape for name, shape in linear.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in linear.items()}
    chance = np.random.default_rng(1)
    weights = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.weight": np.ones(WIDTH, np.float32), f"{name}.bias": np.zeros(WIDTH, np.float32)}
    return weights
