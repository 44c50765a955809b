"""Models as small as can be: one of BERT's architecture, three words, two layers of width 4; and a table of 4 words."""

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

TABLE_WORDS = ("[UNK]", "moon", "sea", "robot")
TABLE_ROWS = np.array([[4, 4], [1, 0], [0, 1], [3, 4]], np.float32)


def bert(folder: Path) -> Path:
    """Write the whole model, which the fast path covers, to a folder, over what is there."""
    for name, content in _contents().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def table(folder: Path, **tokenizer) -> Path:
    """Write a static model in model2vec's form to a folder, with other members of its tokenizer's file if given."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]
    model = {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(TABLE_WORDS)}, "unk_token": "[UNK]"}
    split = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None, "model": model,
    }  # fmt: skip
    contents = {"modules.json": modules, "tokenizer.json": split | tokenizer, "config.json": {"max_length": 512}}
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    weights = {"embeddings": TABLE_ROWS, "weights": np.array([1, 3, 4, 0.5], np.float32)}
    (folder / "model.safetensors").write_bytes(safetensors.pack(weights, {}))
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


def add_module(folder: Path, kind: str, *, prefix: str = "sentence_transformers.models.") -> Path:
    """One more module behind the others of a model, in a folder of its own, which is returned."""
    modules = json.loads((folder / "modules.json").read_text())
    path = folder / f"{len(modules)}_{kind}"
    path.mkdir(exist_ok=True)
    modules.append({"idx": len(modules), "name": str(len(modules)), "path": path.name, "type": f"{prefix}{kind}"})
    (folder / "modules.json").write_text(json.dumps(modules))
    return path


def add_dense(folder: Path, d_in: int = WIDTH, d_out: int = 3, **members) -> Path:
    """A module Dense whose weights are all 1, with these widths and members in its configuration."""
    path = add_module(folder, "Dense")
    change_json(path / "config.json", in_features=d_in, out_features=d_out, bias=True, **members)
    weights = {"linear.weight": np.ones((3, WIDTH), np.float32), "linear.bias": np.ones(3, np.float32)}
    (path / "model.safetensors").write_bytes(safetensors.pack(weights, {}))
    return path
