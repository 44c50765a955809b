"""A BERT in numpy: what a query needs, within milliseconds of the process's start."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.encoding.encoder import OnTexts, Precision, Role, batch_by_length, normalize_rows
from attnsearch.encoding.model import Coverage, Model, model_errors
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.encoding.transformer import Transformer
from attnsearch.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from attnsearch.encoding.encoder import Encoder
    from attnsearch.encoding.pieces import Pieces

_BATCH = 3_000  # characters, padding among them, that numpy reads at once: more would leave the processor's caches


class FastEncoder:
    """A BERT in numpy: what a query needs, within milliseconds of the process's start."""

    quick = True
    precision: Precision = "float32"

    def __init__(self, model: Model, covered: Coverage) -> None:
        self.window = covered.window
        self.model = model
        self.covered = covered

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:  # noqa: ARG002 (it has no prompts)
        """Unit vectors (n, d): those of sentence-transformers, but for float32's rounding: some 1e-7 a component."""
        parts = list(batch_by_length(texts, _BATCH))
        x = np.empty((len(texts), self._transformer.words.shape[1]), np.float32)
        _ = self._tokenizer  # like the transformer, made before there are threads
        read = threads.each(self._encode, [[texts[i] for i in at] for at in parts])
        for at, found in zip(parts, read, strict=True):
            x[at] = found
            if progress:
                progress(len(at))
        return normalize_rows(x, f"model {self.model.name}")

    def suited(self, length: int, precision: Precision | None = None) -> Encoder:
        """Itself, unless bfloat16 is asked for, or would save more than it costs to load sentence-transformers."""
        by_torch = SentenceEncoder(self.model).suited(length, precision)
        return by_torch if by_torch.precision == "bfloat16" else self

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        _, mask, hidden = self._read(texts)
        if self.covered.pooling == "cls":
            return hidden[:, 0]
        weight = mask[..., None].astype(np.float32)
        mean: NDArray[np.float32] = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        return mean

    def _read(self, texts: list[str]) -> tuple[list[Encoding], NDArray[np.bool_], NDArray[np.float32]]:
        """The word pieces of some texts, which of the places are theirs (n, t), and the hidden states (n, t, d)."""
        read = self._tokenizer.encode_batch(texts)
        longest = max(len(one.ids) for one in read)
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), longest), bool)
        for row, one in enumerate(read):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = True
        if not mask.any(axis=1).all() or ids.max() >= len(self._transformer.words):
            raise ModelError("its tokenizer is not that of its weights", where=self.model.name)
        return read, mask, self._transformer.forward(ids, mask)

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:  # noqa: ARG002 (no prompts)
        """What each word piece adds; nothing can be told of a model whose vector is that of [CLS]."""
        from attnsearch.encoding.pieces import pieces_of_mean

        def of(at: list[int]) -> list[tuple[int, Pieces]]:
            read, _, hidden = self._read([texts[i] for i in at])
            told = zip(at, read, hidden, strict=True)
            return [(i, pieces_of_mean(h[: len(one.ids)], one.offsets, one.special_tokens_mask)) for i, one, h in told]

        _ = self._tokenizer, self._transformer  # made before there are threads
        parts = batch_by_length(texts, _BATCH) if self.covered.pooling == "mean" else ()
        found = dict(itertools.chain.from_iterable(threads.each(of, parts)))
        return [found.get(i) for i in range(len(texts))]

    def tokens(self, text: str) -> list[str]:
        """The word pieces of a text, [CLS] and [SEP] among them, however long it is."""
        return list(self._whole_tokenizer.encode(text).tokens)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece lies."""
        return list(self._whole_tokenizer.encode(text, add_special_tokens=False).offsets)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _tokenizer(self.model.folder, self.window)

    @cached_property
    def _whole_tokenizer(self) -> Tokenizer:
        return _tokenizer(self.model.folder, None)

    @cached_property
    def _transformer(self) -> Transformer:
        return Transformer.load(self.model.folder)


def _tokenizer(folder: Path, window: int | None) -> Tokenizer:
    from tokenizers import Tokenizer

    with model_errors("its tokenizer.json can't be read", str(folder)):
        found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.no_padding()
    if window:
        found.enable_truncation(window)
    else:
        found.no_truncation()
    return found
