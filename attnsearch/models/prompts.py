"""A model's folder → the prompts that its files ask for, as sentence-transformers 6 reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnsearch.errors import ModelError
from attnsearch.models import trust
from attnsearch.models.use import PLAIN, Use

_FILE = "config_sentence_transformers.json"


def use_of_files(folder: Path) -> Use:
    """How a model's files ask to be used: with the prompts that `encode_query` and `encode_document` put before texts.

    Raises ModelError for a file that sentence-transformers would not read, and for prompts that are not text.
    """
    file = folder / _FILE
    if not file.is_file():
        return PLAIN
    prompts = _read_prompts(file)
    # Not "passage" or "corpus": `encode_document` finds its own "document" first, even if that is empty.
    return Use(prompts.get("query") or "", prompts.get("document") or "")


def _read_prompts(file: Path) -> dict[str, str | None]:
    try:
        config: Any = trust.read_config(file)
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not valid JSON: {error}", where=str(file)) from None
    prompts = config.get("prompts", {}) if isinstance(config, dict) else None
    if not isinstance(prompts, dict) or not all(prompt is None or _is_text(prompt) for prompt in prompts.values()):
        raise ModelError("its prompts are not texts by name", where=str(file))
    default = config.get("default_prompt_name")
    if default not in [None, "query", "document", *prompts]:
        raise ModelError(f"it has no prompt called {str(default)[:60]}, its default", where=str(file))
    return prompts


def _is_text(value: object) -> bool:
    """Whether a value is a text that UTF-8 can hold."""
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False
