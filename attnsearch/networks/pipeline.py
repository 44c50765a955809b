"""What a model's tokenizer.json does to texts, compared with what its other files say of its tokenizer.

Where they say different things, transformers builds its own tokenizer of the file's vocabulary, and goes by the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HEAD = 1 << 20  # bytes of a file before its vocabulary, at most; XLM-R's has 320,000
_USUAL_HEAD = 1 << 14  # and of most others, at most

_UNKNOWN = 3  # the number of XLM-R's piece for unknown text, whatever the file says
_VOCABULARY = b'"vocab"'
_BEFORE = {"truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model"}
_MARKS = ("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")


class Pipeline(NamedTuple):
    """What a class of tokenizers builds: the types of its parts, and the marks that it puts around a text.

    `marks` are the names of these in configurations, and what they are unless that says otherwise.
    """

    model: str
    normalizers: tuple[str | None, ...]
    pre_tokenizers: tuple[str, ...]
    marks: tuple[tuple[str, str], tuple[str, str]]


_PIECES = Pipeline(
    "WordPiece", ("BertNormalizer",), ("BertPreTokenizer",), (("cls_token", "[CLS]"), ("sep_token", "[SEP]"))
)
_UNIGRAMS = Pipeline("Unigram", (None, "Precompiled"), ("Sequence",), (("bos_token", "<s>"), ("eos_token", "</s>")))
_BYTES = Pipeline("BPE", (None,), ("ByteLevel",), (("cls_token", "<s>"), ("sep_token", "</s>")))
_PIPELINES = {
    "Bert": _PIECES,
    "DistilBert": _PIECES,
    "MPNet": _PIECES._replace(marks=_BYTES.marks),
    "Roberta": _BYTES,
    "XLMRoberta": _UNIGRAMS,
    "Camembert": _UNIGRAMS,
}
_UNUSUAL = {"continuing_subword_prefix", "end_of_word_suffix", "max_input_chars_per_word"}
_USUAL = {"continuing_subword_prefix": ("##", "", None), "max_input_chars_per_word": (100,)}


def find_gap(file: Path, tokens: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """What the numpy path would read otherwise than transformers; empty if nothing.

    `tokens` is the content of tokenizer_config.json, `others` that of special_tokens_map.json. Raises OSError or
    ValueError for a file that is not written as usual.
    """
    head = _read_head(file)
    if head is None:
        return ""
    for part in ("truncation", "padding"):
        if ((head.get(part) or {}).get("direction") or "Right") != "Right":
            return f"its {part} begins at the left"
    if tokens.get("split_special_tokens"):
        return "it splits its marks"
    if "attention_mask" not in tokens.get("model_input_names", ("attention_mask",)):
        return "its network gets no attention mask"
    names = {**others, **tokens}
    for name in others.keys() & tokens.keys():
        if _content(others[name]) != _content(tokens[name]):
            return f"two of its files have another {name}"
    added = {token["content"] for token in head.get("added_tokens", ())}
    if strangers := sorted(set(_list_marks(names)) - added):
        return f"its tokenizer.json has no mark {strangers[0]}"
    if head["model"].get("dropout"):
        return "its tokenizer splits at random"
    kind = tokens.get("tokenizer_class") or ""
    pipeline = _PIPELINES.get(kind.removesuffix("Fast").removesuffix("Tokenizer"))
    return "" if pipeline is None else _compare(head, pipeline, names)


def is_known(kind: str) -> bool:
    """Whether what this class of tokenizers builds is known."""
    return kind.removesuffix("Fast").removesuffix("Tokenizer") in _PIPELINES


def _read_head(file: Path) -> Mapping[str, Any] | None:
    """What a tokenizer's file says before its vocabulary, which comes last; None if it has none, and is no tokenizer's.

    What loads such a file says what is wrong.
    """
    with file.open("rb") as stream:
        data = stream.read(_USUAL_HEAD)
        if _VOCABULARY not in data:
            data += stream.read(HEAD)
        is_whole = not stream.read(1)
    head, vocabulary, _ = data.partition(_VOCABULARY)
    if not vocabulary:
        if is_whole:
            return None
        raise ValueError("its vocabulary does not come last")
    content: Mapping[str, Any] = json.loads(head.rstrip().removesuffix(b",") + b"}}")
    if not content.keys() >= _BEFORE:
        raise ValueError("its vocabulary does not come last")
    return content


def _list_marks(names: Mapping[str, Any]) -> Iterator[str]:
    """The marks that a tokenizer's configuration names."""
    for name, value in names.items():
        if name.endswith("_token"):
            values = [value]
        elif name in _MARKS:
            values = [*value.values()] if isinstance(value, dict) else [*(value or ())]
        else:
            continue
        for mark in values:
            content = mark.get("content") if isinstance(mark, dict) else mark
            if isinstance(content, str):
                yield content


def _compare(head: Mapping[str, Any], pipeline: Pipeline, names: Mapping[str, Any]) -> str:
    """How a tokenizer's file differs from what its class builds."""
    model = head["model"]
    for part, usual in (("normalizer", pipeline.normalizers), ("pre_tokenizer", pipeline.pre_tokenizers)):
        if (kind := (head.get(part) or {}).get("type")) not in usual:
            return f"its tokenizer has the {part} {kind}"
    if model["type"] != pipeline.model:
        return f"its tokenizer is a {model['type']} model"
    if not (head.get("normalizer") or {}).get("clean_text", True):
        return "its tokenizer leaves control characters"
    if pipeline is _UNIGRAMS and (gap := _compare_unigrams(head, names)):
        return gap
    for name in _UNUSUAL & model.keys():
        if model[name] not in _USUAL.get(name, ("", None)):
            return f"its tokenizer has {name}"
    marks = [_content(names.get(name)) or usual for name, usual in pipeline.marks]
    if _surround(head.get("post_processor") or {}) != marks:
        return f"its tokenizer.json does not put {' and '.join(marks)} around a text"
    unknown = model.get("unk_token")
    if unknown is not None and unknown != (_content(names.get("unk_token")) or unknown):
        return f"its tokenizer.json has the unknown piece {unknown}"
    return ""


def _compare_unigrams(head: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """What differs of a unigram model, and of the mark before each word."""
    if (unknown := head["model"].get("unk_id")) != _UNKNOWN:
        return f"its unknown piece is number {unknown}"
    parts = head["pre_tokenizer"]["pretokenizers"]
    kinds = [part["type"] for part in parts]
    scheme = parts[-1].get("prepend_scheme", "always" if parts[-1].get("add_prefix_space", True) else "never")
    is_usual = kinds == ["WhitespaceSplit", "Metaspace"] and scheme == "always"
    return "" if is_usual and names.get("add_prefix_space", True) is True else "it does not put a mark before each word"


def _content(mark: Any) -> str | None:
    """A mark as a text, which may have properties."""
    content: str | None = mark.get("content") if isinstance(mark, dict) else mark
    return content


def _surround(processor: Mapping[str, Any]) -> list[str]:
    """The marks that a post-processor puts around a text; others than these give another list."""
    if processor.get("type") == "TemplateProcessing":
        return [part["SpecialToken"]["id"] for part in processor["single"] if "SpecialToken" in part]
    return [processor[name][0] for name in ("cls", "sep") if name in processor]
