"""BERT and its kin: networks that differ from it by names, and by a few lines.

RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692), of which XLM-R is one for many languages, counts positions
from its padding token on. MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297) does so too, and adds a bias to
each logit by the distance of the tokens. DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108) is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from attnsearch.networks.layers import ACTIVATIONS
from attnsearch.networks.weights import COUNTS

BUCKETS = 32  # of MPNet's distances: how many have a bias of their own


class Names(NamedTuple):
    """What a kind of network calls the parts of a layer, which is called `layer` and a number itself."""

    layer: str = "encoder.layer."
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attended: str = "attention.output.dense"
    attended_norm: str = "attention.output.LayerNorm"
    wider: str = "intermediate.dense"
    narrower: str = "output.dense"
    norm: str = "output.LayerNorm"


class Kind(NamedTuple):
    """How a kind of network differs from BERT: the prefix and names of its tensors, and what it has."""

    prefix: str
    names: Names = Names()
    has_types: bool = True
    counts_from_padding: bool = False
    has_distances: bool = False


_ROBERTA = Kind("roberta.", counts_from_padding=True)
KINDS = {
    "bert": Kind("bert."),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "mpnet": Kind(
        "mpnet.",
        Names(
            query="attention.attn.q",
            key="attention.attn.k",
            value="attention.attn.v",
            attended="attention.attn.o",
            attended_norm="attention.LayerNorm",
        ),
        has_types=False,
        counts_from_padding=True,
        has_distances=True,
    ),
    "distilbert": Kind(
        "distilbert.",
        Names(
            layer="transformer.layer.",
            query="attention.q_lin",
            key="attention.k_lin",
            value="attention.v_lin",
            attended="attention.out_lin",
            attended_norm="sa_layer_norm",
            wider="ffn.lin1",
            narrower="ffn.lin2",
            norm="output_layer_norm",
        ),
        has_types=False,
    ),
}
_DISTILBERT = {  # its names of what other configurations have
    "hidden_size": "dim",
    "intermediate_size": "hidden_dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "hidden_act": "activation",
}
_FIXED = {"layer_norm_eps": 1e-12}  # in DistilBERT, whatever its configuration says


def by_usual_names(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration by the names that BERT's has."""
    if config.get("model_type") != "distilbert":
        return config
    usual = {name: config[own] for name, own in _DISTILBERT.items() if own in config}
    return {**config, **usual, **_FIXED}


def list_numbers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the numbers that a configuration must have: counts, and last the epsilon of its norms."""
    counts = (*COUNTS, "type_vocab_size") if KINDS[config["model_type"]].has_types else COUNTS
    return *counts, "layer_norm_eps"


def padding_of(config: Mapping[str, Any]) -> int | None:
    """The number of the padding token, if positions are counted from it."""
    if not KINDS[config["model_type"]].counts_from_padding:
        return None
    padding: int = config.get("pad_token_id", 1)
    return padding


def first_position(padding: int | None) -> int:
    """The first position."""
    return 0 if padding is None else padding + 1


def find_gap(config: Mapping[str, Any]) -> str:
    """What a configuration asks for that BERT and its kin do not compute; empty if there is nothing."""
    if config["model_type"] == "distilbert" and (others := _DISTILBERT.keys() & config.keys()):
        return f"its config.json has {min(others)}"  # which counts in some versions of transformers
    config = by_usual_names(config)
    for name in list_numbers(config):
        if name not in config:  # transformers has its own for it
            return f"its config.json has no {name}"
    if config.get("hidden_act") not in ACTIVATIONS:
        return f"its activation is {config.get('hidden_act')}"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are {config['position_embedding_type']}"
    usual = (config.get("relative_attention_num_buckets", BUCKETS), config.get("pad_token_id", 1))
    if config["model_type"] == "mpnet" and usual != (BUCKETS, 1):
        return "it counts distances or positions otherwise than MPNet"
    return "it is a decoder" if config.get("is_decoder") or config.get("is_causal") else ""
