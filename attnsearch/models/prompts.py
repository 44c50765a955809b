"""Which prompts a model was trained with: those in its files, else those that its card names."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, NamedTuple

from attnsearch.errors import InputError, ModelError
from attnsearch.models import trust
from attnsearch.models.model import Model, is_path
from attnsearch.models.use import AS_USUAL, LONGEST_PROMPT, PLAIN, Use, Wanted

_FILE = "config_sentence_transformers.json"
_CARD = "https://huggingface.co/"

_SEARCHING = Use("Represent this sentence for searching relevant passages: ")
_E5 = Use("query: ", "passage: ")
_NOMIC = Use("search_query: ", "search_document: ")
_SIZES = "small", "base", "large"

# The prompts of models whose files have none, or had none at first, by name: those on the model's card, which is at
# `_CARD` and that name. The cards of gte, bge-m3 and granite ask for none.
CARDS = {
    **{f"BAAI/bge-{size}-en-v1.5": _SEARCHING for size in _SIZES},
    **{f"BAAI/bge-{size}-zh-v1.5": Use("为这个句子生成表示以用于检索相关文章：") for size in _SIZES},
    **{f"intfloat/{kind}": _E5 for size in _SIZES for kind in
       (f"e5-{size}", f"e5-{size}-v2", f"multilingual-e5-{size}")},
    **{f"Snowflake/snowflake-arctic-embed-{size}": _SEARCHING for size in ("xs", "s", "m", "m-v1.5", "m-long", "l")},
    **{f"Snowflake/snowflake-arctic-embed-{size}-v2.0": Use("query: ") for size in ("m", "l")},
    "mixedbread-ai/mxbai-embed-large-v1": _SEARCHING,
    **{f"nomic-ai/{kind}-embed-{rest}": _NOMIC for kind, rest in
       (("nomic", "text-v1"), ("nomic", "text-v1.5"), ("modernbert", "base"))},
    "google/embeddinggemma-300m": Use("task: search result | query: ", "title: none | text: "),
}  # fmt: skip


class Usual(NamedTuple):
    """How a model is used unless a user wants another use, and where that is from; "" if it is plain."""

    use: Use
    source: str


def find_usual(model: Model, wanted: Wanted = AS_USUAL) -> Usual:
    """What a model's files ask for, else its card: that of its name, or of the folder's if it is a folder.

    Raises ModelError as `use_of_files` does, and InputError if the files can mean two things, unless the prompt before
    texts is `wanted`.
    """
    use = use_of_files(model.folder)
    if wanted.key_prompt is None and not use.key_prompt:
        _refuse_hidden(model)
    if use != PLAIN:
        return Usual(use, _FILE)
    is_folder = is_path(model.name)
    for name, card in CARDS.items():
        if model.name == name or (is_folder and PurePath(model.name).name == PurePath(name).name):
            return Usual(card, _CARD + name)
    return Usual(PLAIN, "")


def use_of_files(folder: Path) -> Use:
    """How a model's files ask to be used: with the prompts that `encode_query` and `encode_document` put before texts.

    That is sentence-transformers 6. Raises ModelError for a file that it would not read, and for prompts that are not
    text.
    """
    prompts = _read_prompts(folder / _FILE)
    # Not "passage" or "corpus": `encode_document` finds its own "document" first, even if that is empty.
    return Use(prompts.get("query") or "", prompts.get("document") or "")


def resolve_use(use: Use | None, model: Model) -> Use:
    """The use that a catalog's record means: None, as an older attnsearch wrote, is what the model's files ask for."""
    return use_of_files(model.folder) if use is None else use


def _refuse_hidden(model: Model) -> None:
    """Raise InputError if a prompt is clearly for texts, but not by the name under which it is looked for."""
    prompts = _read_prompts(model.folder / _FILE)
    for name in ("passage", "corpus"):
        if prompt := prompts.get(name):
            import shlex  # which a query does without

            message = (
                f"has the prompt {prompt!r} called {name!r}, which sentence-transformers does not put before texts"
            )
            hint = f"say --key-prompt {shlex.quote(prompt)} to use it, or --key-prompt '' to do without"
            raise InputError(message, where=model.name, hint=hint)


def _read_prompts(file: Path) -> dict[str, str | None]:
    """The prompts in a model's file, by their names; none if there is no such file."""
    if not file.is_file():
        return {}
    try:
        config: Any = trust.read_config(file)
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not valid JSON: {error}", where=str(file)) from None
    prompts = config.get("prompts", {}) if isinstance(config, dict) else None
    if not isinstance(prompts, dict) or not all(prompt is None or _is_text(prompt) for prompt in prompts.values()):
        raise ModelError("its prompts are not short texts by name", where=str(file))
    default = config.get("default_prompt_name")
    if default not in [None, "query", "document", *prompts]:
        raise ModelError(f"it has no prompt called {str(default)[:60]}, its default", where=str(file))
    return prompts


def _is_text(value: object) -> bool:
    """Whether a value is a text that a catalog can record: not too long, and valid in UTF-8."""
    if not isinstance(value, str) or len(value) > LONGEST_PROMPT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
