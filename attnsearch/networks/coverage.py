"""A model's folder → how the fast path reads it, if it covers all that the model's files ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attnsearch.models import trust
from attnsearch.models.model import ENDLESS, MARKS
from attnsearch.networks import dense, pipeline
from attnsearch.networks.dense import NORMALIZE
from attnsearch.networks.kin import KINDS
from attnsearch.networks.pooling import MODES
from attnsearch.tokens.tokenizer import AS_IN_ITS_FILE, Spelling

if TYPE_CHECKING:
    from attnsearch.networks.network import Network

_OLDER_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_KINDS = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
_LIMITS = tuple(f"sentence_{kind}_config.json" for kind in _KINDS)  # of which the first that is there counts
_ANY = object()
_LONGEST = 100  # characters of a gap: the files of a model may name anything
_USUAL_LIMITS = {
    "max_seq_length": _ANY,
    "do_lower_case": _ANY,
    "unpad_inputs": _ANY,  # only some GPUs can
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
_WITHOUT_OPTIONS = ("PreTrainedTokenizerFast", "TokenizersBackend")  # classes of tokenizers that have no options


class Coverage(NamedTuple):
    """How the fast path reads a model.

    Its `network`, named by the `model_type` of its configuration, reads `window` tokens of a text. `pooling` makes a
    vector of their states, in one way or in several, those of a prompt among them if `include_prompt`. `maps` are the
    folders of its Dense modules, and NORMALIZE, in their order.
    """

    network: str
    window: int
    pooling: tuple[str, ...]
    include_prompt: bool = True
    maps: tuple[str, ...] = ()
    spelling: Spelling = AS_IN_ITS_FILE


class _Gap(Exception):  # noqa: N818 (no error)
    """What a model's files ask for that the fast path does not do."""


def coverage_of(folder: Path) -> Coverage | None:
    """How the fast path reads the model in `folder`; None if it does not cover all that the model's files ask for."""
    coverage = _examine(folder)
    return None if isinstance(coverage, str) else coverage


def find_gap(folder: Path) -> str:
    """What a model's files ask for that the fast path does not do, as in "its network is t5"; empty if nothing."""
    coverage = _examine(folder)
    return coverage[:_LONGEST] if isinstance(coverage, str) else ""


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
    modules = trust.read_config(folder / "modules.json")
    _check_modules(modules)
    for name in ("model.safetensors", "tokenizer.json"):
        _require((folder / name).is_file(), f"it has no {name}")
    config = trust.read_config(folder / "config.json")
    pooled = trust.read_config(folder / modules[1]["path"] / "config.json")
    pooling, include_prompt = _pooling_modes(pooled), pooled.get("include_prompt", True)
    _require(pooling and set(pooling) <= set(MODES), f"its pooling is {', '.join(map(str, pooling))}")
    _require(type(include_prompt) is bool, "its include_prompt is neither true nor false")
    kind = config.get("model_type")
    network = find_network(kind)
    if network is None:
        raise _Gap(f"its network is {kind}")
    if gap := network.gap(config):
        raise _Gap(gap)
    limits, tokens = _read_limits(folder), _read_if_any(folder / "tokenizer_config.json")
    for side in ("truncation_side", "padding_side"):
        _require(tokens.get(side, "right") == "right", f"its {side} is {tokens.get(side)}")
    used = _read_if_any(folder / "config_sentence_transformers.json")
    _require(not used.get("truncate_dim"), "it cuts its vectors")
    if gap := pipeline.find_gap(folder / "tokenizer.json", tokens, _read_if_any(folder / "special_tokens_map.json")):
        raise _Gap(gap)
    sizes = (limits.get("max_seq_length"), tokens.get("model_max_length"), tokens.get("max_len"))
    longest = next((size for size in sizes if size is not None), ENDLESS)
    window = min(longest, network.reach(config))
    _require(type(window) is int and window > MARKS, "its window is not a number of tokens")
    _require(kind in KINDS or window == (limits.get("max_seq_length") or window), "its window exceeds its positions")
    maps, spelling = _find_maps(folder, modules[2:]), _find_spelling(kind, limits, tokens)
    return Coverage(kind, window, pooling, include_prompt, maps, spelling)


def _read_limits(folder: Path) -> Mapping[str, Any]:
    """What sentence-transformers is to do before the network, if it asks for nothing unusual."""
    limits: Mapping[str, Any] = next(filter(None, (_read_if_any(folder / name) for name in _LIMITS)), {})
    for name, value in limits.items():
        usual = _USUAL_LIMITS.get(name)
        is_usual = value is None or value is False or value == {} or usual is _ANY or usual == value
        _require(is_usual, f"its sentence_bert_config.json has {name}")
    return limits


def _find_spelling(kind: str, limits: Mapping[str, Any], tokens: Mapping[str, Any]) -> Spelling:
    """What the configuration of a tokenizer of a class of its own says: then it counts, not the tokenizer's file."""
    first_lower = bool(limits.get("do_lower_case"))
    if tokens.get("tokenizer_class", "" if kind in KINDS else _WITHOUT_OPTIONS[0]) in _WITHOUT_OPTIONS:
        return Spelling(first_lower)
    own = tokens.get("tokenizer_class", "BertTokenizer")
    _require(pipeline.is_known(own), f"its tokenizer is a {own}")
    return Spelling(
        first_lower,
        lowercase=tokens.get("do_lower_case", True),
        strip_accents=tokens.get("strip_accents"),
        handle_chinese_chars=tokens.get("tokenize_chinese_chars", True),
        add_prefix_space=tokens.get("add_prefix_space", False),
    )


def _find_maps(folder: Path, modules: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The folders of the Dense modules among those that follow the pooling, and NORMALIZE, except at the end."""
    maps = []
    for module in modules:
        is_dense, path = _class_of(module) == "Dense", module["path"]
        _require(path, "two of its modules share a folder")
        maps.append(path if is_dense else NORMALIZE)
        if gap := dense.find_gap(_read_if_any(folder / path / "config.json")):
            raise _Gap(gap)
        has_weights = (folder / path / "model.safetensors").is_file()
        _require(has_weights or not is_dense, "a Dense module has no model.safetensors")
    while maps and maps[-1] == NORMALIZE:  # as every vector is
        maps.pop()
    return tuple(maps)


def _read_if_any(file: Path) -> Any:
    """The content of a configuration; of one that is not there, an empty one."""
    return trust.read_config(file) if file.exists() else {}


def _require(condition: object, gap: str) -> None:
    """Raise _Gap unless the condition holds."""
    if not condition:
        raise _Gap(gap)


def _check_modules(modules: Any) -> None:
    """Raise _Gap unless the modules are a network in the model's own folder, a pooling, and maps."""
    for problem in trust.module_problems(modules):
        raise _Gap(problem)
    kinds = [_class_of(module) for module in modules]
    usual = kinds[:2] == ["Transformer", "Pooling"] and set(kinds[2:]) <= {"Dense", "Normalize"}
    _require(usual and modules[0]["path"] == "", f"its modules are {', '.join(kinds)}")


def _class_of(module: Mapping[str, Any]) -> str:
    """The name of a module's class."""
    name: str = module["type"].rpartition(".")[2]
    return name


def _pooling_modes(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """The poolings that a configuration names, or that it switches on, as older ones do; else the mean."""
    modes = config.get("pooling_mode", [mode for name, mode in _OLDER_MODES.items() if config.get(name)] or "mean")
    return (modes,) if isinstance(modes, str) else tuple(modes)
