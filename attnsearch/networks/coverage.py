"""A model's folder → how the fast path reads it, if it covers all that the model's files ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from attnsearch.models import trust
from attnsearch.models.model import ENDLESS, MARKS
from attnsearch.networks import bert

_OLDER_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


class Coverage(NamedTuple):
    """How the fast path reads a model: how many tokens of a text, and which pooling makes a vector of their states."""

    window: int
    pooling: Literal["mean", "cls"]


def coverage_of(folder: Path) -> Coverage | None:
    """How the fast path reads the model in `folder`; None if it does not cover all that the model's files ask for."""
    try:
        return _read_coverage(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # sentence-transformers may cope, or says what is wrong


def _read_coverage(folder: Path) -> Coverage | None:
    config, modules = trust.read_config(folder / "config.json"), trust.read_config(folder / "modules.json")
    limits = trust.read_config(folder / "sentence_bert_config.json")
    mode = _pooling_mode(trust.read_config(folder / modules[1]["path"] / "config.json"))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    extra = folder / "config_sentence_transformers.json"
    prompts = trust.read_config(extra).get("prompts", {}) if extra.is_file() else {}
    window = min(limits.get("max_seq_length") or ENDLESS, config["max_position_embeddings"])
    fits = (
        bert.covers(config)
        and not any(trust.module_problems(modules))
        and kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and modules[0]["path"] == ""
        and mode in ("mean", "cls")
        and not limits.get("do_lower_case")
        and not any(prompts.values())
        and all((folder / name).is_file() for name in ("model.safetensors", "tokenizer.json"))
        and type(window) is int
        and window > MARKS
    )
    return Coverage(window, mode) if fits else None


def _pooling_mode(config: Mapping[str, Any]) -> Any:
    """The pooling that a configuration names, or that it alone switches on, as older ones do; else None."""
    switched_on = [name for name, is_on in config.items() if name.startswith("pooling_mode_") and is_on]
    older = _OLDER_MODES.get(switched_on[0]) if len(switched_on) == 1 else None
    return config.get("pooling_mode", older)
