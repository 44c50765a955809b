"""Texts → word pieces, by the tokenizer in a model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.models.faults import SILENCE, model_errors
from attnsearch.models.model import Model

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class Spelling(NamedTuple):
    """How a tokenizer changes letters before it looks for pieces, where a model's configuration says so.

    `first_lower` has all letters in lower case, whatever the tokenizer does. The others are for a tokenizer like BERT's
    or like RoBERTa's, and None leaves it as it is in its file.
    """

    first_lower: bool = False
    lowercase: bool | None = None
    strip_accents: bool | None = None
    handle_chinese_chars: bool | None = None
    add_prefix_space: bool | None = None


AS_IN_ITS_FILE = Spelling()


@contextmanager
def tokenizing(model: Model) -> Iterator[None]:
    """Turn whatever a model's tokenizer raises into a ModelError."""
    with SILENCE, model_errors("its tokenizer fails", model.name):
        yield


def load_tokenizer(file: Path, window: int | None, spelling: Spelling = AS_IN_ITS_FILE) -> Tokenizer:
    """The tokenizer in a file, which cuts texts at `window` tokens, or not at all; it never pads."""
    tokenizer = open_tokenizer(file)
    with SILENCE, model_errors(f"its {file.name} can't be read", str(file.parent)):
        set_up(tokenizer, window, spelling)
    return tokenizer


def set_up(tokenizer: Tokenizer, window: int | None, spelling: Spelling) -> None:
    """Let a tokenizer cut texts at `window` tokens, or not at all, and change letters as its model's files say."""
    if window:
        tokenizer.enable_truncation(window)
    else:
        tokenizer.no_truncation()
    _spell(tokenizer, spelling)


def open_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer in a file, which cuts texts as the file says, but never pads."""
    from tokenizers import Tokenizer

    with SILENCE, model_errors(f"its {file.name} can't be read", str(file.parent)):
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
    return tokenizer


def copy_uncut(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, which cuts no text. It shares the vocabulary, which may take a second to load."""
    from tokenizers import Tokenizer

    whole = Tokenizer(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor"):
        if getattr(tokenizer, part) is not None:
            setattr(whole, part, getattr(tokenizer, part))
    for _, token in sorted(tokenizer.get_added_tokens_decoder().items()):
        (whole.add_special_tokens if token.special else whole.add_tokens)([token])
    return whole


def _spell(tokenizer: Tokenizer, spelling: Spelling) -> None:
    """Let a tokenizer change letters as its model's configuration says: transformers goes by that, not by its file."""
    from tokenizers.normalizers import BertNormalizer, Lowercase, Sequence
    from tokenizers.pre_tokenizers import ByteLevel

    normalizer, pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    if spelling.lowercase is not None and isinstance(normalizer, BertNormalizer):
        for name in ("lowercase", "strip_accents", "handle_chinese_chars"):
            setattr(normalizer, name, getattr(spelling, name))
        tokenizer.normalizer = normalizer
    if spelling.add_prefix_space is not None and isinstance(pre_tokenizer, ByteLevel):
        pre_tokenizer.add_prefix_space = spelling.add_prefix_space
        tokenizer.pre_tokenizer = pre_tokenizer
    if spelling.first_lower:
        tokenizer.normalizer = Sequence([Lowercase(), *([] if normalizer is None else [normalizer])])


def encode_texts(tokenizer: Tokenizer, texts: list[str], *, marks: bool = True) -> list[Encoding]:
    """The word pieces of texts; of several, by the tokenizer's own threads, if the system starts threads.

    `marks` says whether [CLS] and the like are among them.
    """
    if len(texts) > 1:
        try:
            return tokenizer.encode_batch(texts, add_special_tokens=marks)
        except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException:  # noqa: BLE001, S110 (a panic in Rust: no thread could be started)
            pass
    return [tokenizer.encode(text, add_special_tokens=marks) for text in texts]


def name_tokens(tokenizer: Tokenizer, encoding: Encoding) -> list[str]:
    """The word pieces of a text as the vocabulary has them: some tokenizers give the text of an unknown piece."""
    return [tokenizer.id_to_token(number) or "" for number in encoding.ids]
