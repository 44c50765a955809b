"""Word pieces of texts → vectors by a loaded torch model, in batches of texts of similar length.

Axis letters: n = texts, t = word pieces, d = width.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.encoding.encoder import batch_by_length

if TYPE_CHECKING:
    import torch

BATCH = 1_024  # word pieces that a processor reads at once, with padding: more would leave its caches
GPU_BATCH = 65_536  # word pieces that a GPU reads at once

_SHARED = {"modality", "prompt_length", "logits_to_keep"}  # features that all texts have together

Features = Mapping[str, Any]
"""What sentence-transformers makes of n texts: the numbers (n, t) of their word pieces, a mask (n, t), and the like."""


def are_word_pieces(features: Features, n: int) -> bool:
    """Whether the features are those of n texts, a row each, and a mask says which of them are padding."""
    shapes = {getattr(value, "shape", None) for name, value in features.items() if name not in _SHARED}
    shape = tuple(shapes.pop() or ()) if len(shapes) == 1 else ()
    return "attention_mask" in features and len(shape) == 2 and shape[0] == n


def run(
    model: Callable[[Features], Features],
    features: Features,
    device: torch.device,
    computing: Callable[[], AbstractContextManager[None]],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """The rows of n more texts, and their vectors (n, d); the model computes in the context `computing()`.

    On a processor, several batches run at once, each in one thread. Threads that share a batch wait for each other
    after every step, and spin meanwhile: on a busy machine, that is most of what they do.
    """
    import torch

    is_cpu, caller = device.type == "cpu", threading.get_ident()

    def embed(batch: list[int]) -> NDArray[np.float32]:
        with computing(), torch.inference_mode():
            if is_cpu and (threading.get_ident() != caller or threads.count() == 1):
                torch.set_num_threads(1)  # of this thread, and of those that are new
            part = {name: value.to(device) if isinstance(value, torch.Tensor) else value
                    for name, value in _take_rows(features, batch).items()}  # fmt: skip
            vectors: NDArray[np.float32] = model(part)["sentence_embedding"].float().cpu().numpy()
            return vectors

    counts = features["attention_mask"].sum(dim=1).tolist()
    batches = list(batch_by_length(counts, BATCH if is_cpu else GPU_BATCH))
    with _THREADS_OF_TORCH:
        yield from zip(batches, threads.each(embed, batches) if is_cpu else map(embed, batches), strict=True)


def _take_rows(features: Features, rows: list[int]) -> Features:
    """The features of some texts, without the columns where all of them are padding."""
    columns = features["attention_mask"][rows].any(dim=0).nonzero()
    part = slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(None)
    return {name: value if name in _SHARED else value[rows, part] for name, value in features.items()}


@contextmanager
def _keep_threads() -> Iterator[None]:
    """Torch has as many threads afterwards as before."""
    import torch

    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)


_THREADS_OF_TORCH = threads.Shared(_keep_threads)
