"""A model of BERT's architecture, a few numbers large, in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.encoding.test_safetensors import write_tensors
from tests.encoding.test_transformer import CONFIG, tensors


def bert(folder: Path) -> Path:
    """A whole model for the fast path: the small random BERT of test_transformer, and five words."""
    words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "moon": 3, "[UNK]": 4}
    marks = {mark: {"id": mark, "ids": [words[mark]], "tokens": [mark]} for mark in ("[CLS]", "[SEP]")}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    files = {
        "config.json": CONFIG,
        "modules.json": [{"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
                         for n, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])],
        "sentence_bert_config.json": {"max_seq_length": 7, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True},
        "tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
            "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": marks},
            "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    write_tensors(folder / "model.safetensors", tensors())
    return folder


def change_json(file: Path, **members) -> None:
    """Set members of a JSON file, which need not exist."""
    stored = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**stored, **members}))
