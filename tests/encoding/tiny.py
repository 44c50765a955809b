"""A model of BERT's architecture, as small as can be: three words, two layers of width 4."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from attnsearch.networks import safetensors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "moon", "sea", "robot")
WIDTH, WIDER, LAYERS, POSITIONS = 4, 8, 2, 16
CONFIG = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": WIDER,
          "vocab_size": len(WORDS), "max_position_embeddings": POSITIONS, "type_vocab_size": 1,
          "num_hidden_layers": LAYERS, "num_attention_heads": 2, "layer_norm_eps": 1e-12}  # fmt: skip


def bert(folder: Path) -> Path:
    """Write the whole model, which the fast path covers, to a folder, over what is there."""
    for name, content in _contents().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@functools.cache
def _contents() -> dict[str, bytes]:
    """The bytes of each file."""
    marks = {mark: {"id": mark, "ids": [WORDS.index(mark)], "tokens": [mark]} for mark in ("[CLS]", "[SEP]")}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    configurations = {
        "config.json": CONFIG,
        "modules.json": [{"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
                         for n, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])],
        "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True},
        "tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
            "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": marks},
            "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
        },
    }  # fmt: skip
    files = {name: json.dumps(content).encode() for name, content in configurations.items()}
    return files | {"model.safetensors": safetensors.pack(tensors(), {"format": "pt"})}


def tensors(prefix: str = "") -> dict[str, np.ndarray]:
    """The model's weights, at random, by their names after the prefix."""
    rng = np.random.default_rng(8)
    shapes = {"embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
              "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
              "embeddings.token_type_embeddings.weight": (1, WIDTH), "embeddings.LayerNorm.weight": (WIDTH,),
              "embeddings.LayerNorm.bias": (WIDTH,)}  # fmt: skip
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}{part}.weight": (WIDTH, WIDTH), f"{layer}{part}.bias": (WIDTH,)}
        shapes |= {f"{layer}intermediate.dense.weight": (WIDER, WIDTH), f"{layer}intermediate.dense.bias": (WIDER,)}
        shapes |= {f"{layer}output.dense.weight": (WIDTH, WIDER), f"{layer}output.dense.bias": (WIDTH,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}{part}.weight": (WIDTH,), f"{layer}{part}.bias": (WIDTH,)}
    return {prefix + name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def change_json(file: Path, **members) -> None:
    """Set members of a JSON file, which need not exist."""
    stored = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**stored, **members}))
