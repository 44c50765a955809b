"""A model's folder → how the fast path reads it, if it covers all that the model's files ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from attnsearch.models import trust
from attnsearch.models.model import ENDLESS, MARKS
from attnsearch.networks.kin import KINDS

if TYPE_CHECKING:
    from attnsearch.networks.network import Network

_OLDER_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


class Coverage(NamedTuple):
    """How the fast path reads a model.

    Its `network`, named by the `model_type` of its configuration, reads `window` tokens of a text, and `pooling` makes
    a vector of their states, those of a prompt among them if `include_prompt`.
    """

    network: str
    window: int
    pooling: Literal["mean", "cls"]
    include_prompt: bool = True


class _Gap(Exception):  # noqa: N818 (no error)
    """What a model's files ask for that the fast path does not do."""


def coverage_of(folder: Path) -> Coverage | None:
    """How the fast path reads the model in `folder`; None if it does not cover all that the model's files ask for."""
    coverage = _examine(folder)
    return None if isinstance(coverage, str) else coverage


def find_gap(folder: Path) -> str:
    """What a model's files ask for that the fast path does not do, as in "its pooling is max"; empty if nothing."""
    coverage = _examine(folder)
    return coverage if isinstance(coverage, str) else ""


def find_network(kind: object) -> type[Network] | None:
    """The network of the models with this `model_type`; None if there is none."""
    if kind in KINDS:
        from attnsearch.networks.bert import Bert

        return Bert
    if kind == "modernbert":
        from attnsearch.networks.modernbert import ModernBert

        return ModernBert
    return None


def load_network(kind: str, folder: Path) -> Network:
    """The network of a covered model. Raises ModelError as `Network.load` does."""
    network = find_network(kind)
    if network is None:
        raise LookupError(kind)
    return network.load(folder)


def _examine(folder: Path) -> Coverage | str:
    """How the fast path reads the model in `folder`, or why it does not."""
    try:
        return _read_coverage(folder)
    except _Gap as gap:
        return str(gap)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "its configuration is unusual"  # sentence-transformers may cope, or says what is wrong


def _read_coverage(folder: Path) -> Coverage:
    for name in ("model.safetensors", "tokenizer.json"):
        _require((folder / name).is_file(), f"it has no {name}")
    config, modules = trust.read_config(folder / "config.json"), trust.read_config(folder / "modules.json")
    limits, tokens = (_read_if_any(folder / f"{name}_config.json") for name in ("sentence_bert", "tokenizer"))
    _require(not limits.get("do_lower_case"), "it puts texts in lower case first")
    _check_modules(modules)
    pooling = trust.read_config(folder / modules[1]["path"] / "config.json")
    mode, include_prompt = _pooling_mode(pooling), pooling.get("include_prompt", True)
    _require(mode in ("mean", "cls"), f"its pooling is {mode or 'unknown'}")
    _require(type(include_prompt) is bool, "its include_prompt is neither true nor false")
    kind = config.get("model_type")
    network = find_network(kind)
    if network is None:
        raise _Gap(f"its network is {kind}")
    if gap := network.gap(config):
        raise _Gap(gap)
    window = min(limits.get("max_seq_length") or tokens.get("model_max_length") or ENDLESS, network.reach(config))
    _require(type(window) is int and window > MARKS, "its window is no number of tokens")
    return Coverage(kind, window, mode, include_prompt)


def _read_if_any(file: Path) -> Any:
    """The content of a configuration; of one that is not there, an empty one."""
    return trust.read_config(file) if file.exists() else {}


def _require(condition: bool, gap: str) -> None:
    """Raise _Gap unless the condition holds."""
    if not condition:
        raise _Gap(gap)


def _check_modules(modules: Any) -> None:
    """Raise _Gap unless the modules are a network in the model's folder, a pooling and, perhaps, a normalization."""
    for problem in trust.module_problems(modules):
        raise _Gap(problem)
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    usual = kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    _require(usual and modules[0]["path"] == "", f"its modules are {', '.join(kinds)}")


def _pooling_mode(config: Mapping[str, Any]) -> Any:
    """The pooling that a configuration names, or that it alone switches on, as older ones do; else None."""
    switched_on = [name for name, is_on in config.items() if name.startswith("pooling_mode_") and is_on]
    older = _OLDER_MODES.get(switched_on[0]) if len(switched_on) == 1 else None
    return config.get("pooling_mode", older)
