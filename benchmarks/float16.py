"""Keys of two bytes: what the scan gains, and which ranks and weights change.

A product of numpy needs float32, so strips of keys that fit the cache are made longer first: by numpy, by a table of
all 65,536 numbers, or by shifting their bits. torch multiplies such keys itself, as does numkong, which comes with
usearch; both take the query in two bytes, too. Everything else of the scan is ours, on all cores.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from attnsearch import threads
from attnsearch.attention.products import multiply_fast
from attnsearch.attention.softmax import State, best_of_each
from attnsearch.engines.pieces import DEFAULT
from attnsearch.opening.index import Index
from attnsearch.sources.judgments import Judged
from benchmarks.indexing import costed
from benchmarks.learning import opened, requests
from benchmarks.measure import heading, in_turn, judged_sets, ratio, table

WIDTH = 384
STRIP = 512  # keys that are made longer at once: 768 KB of float32
TOP = 10
NUMBERS = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)  # all of float16

Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 8])
    with tempfile.TemporaryDirectory() as folder:
        arguments = parser.parse_known_args()[0]
        heading("Keys of two bytes", "torch")
        for size in arguments.sizes:
            files = write_keys(Path(folder), size)
            for count in arguments.queries:
                compare(files, size, count, arguments.rounds)
    with judged_sets(parser, "Ranks with keys of two bytes") as arguments:
        rows = []
        for name in arguments.sets:
            with opened(name, arguments.home / f"{name}.jsonl") as index:
                rows += [(name, len(index.store.living()), *row) for row in rank(index, requests(name))]
    head = "requests", "first changes", "top 10 changes", "order changes", "nDCG@10, float32", "nDCG@10"
    table(("set", "keys", "as", *head, "largest change of a weight", "of its size"), rows)


def write_keys(folder: Path, size: int) -> dict[str, Path]:
    """Write random unit vectors in each type; the files, which stay in the page cache."""
    rng = np.random.default_rng(1)
    files = {name: folder / f"{name}-{size}.npy" for name in ("float32", "float16", "bfloat16")}
    types = dict(zip(files, (np.float32, np.float16, np.uint16), strict=True))
    written = {name: np.lib.format.open_memmap(files[name], "w+", types[name], (size, WIDTH)) for name in files}
    for start in range(0, size, DEFAULT.block):
        rows = slice(start, min(start + DEFAULT.block, size))
        x = rng.standard_normal((rows.stop - start, WIDTH), np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        written["float32"][rows], written["float16"][rows], written["bfloat16"][rows] = x, x, round_to_bfloat16(x)
    return files


def round_to_bfloat16(x: np.ndarray) -> np.ndarray:
    """The upper halves of finite float32 numbers, rounded to the nearest, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bfloat16(upper: np.ndarray) -> np.ndarray:
    """The float32 numbers with these upper halves."""
    return (upper.astype(np.uint32) << 16).view(np.float32)


def compare(files: dict[str, Path], size: int, count: int, rounds: int) -> None:
    """Print how long each takes to read all keys for so many queries at once, from the page cache."""
    keys = {name: np.load(file, mmap_mode="r") for name, file in files.items()}
    q = np.random.default_rng(2).standard_normal((count, WIDTH), np.float32)
    q *= np.float32(20) / np.linalg.norm(q, axis=1, keepdims=True)
    runs = {
        name: costed(functools.partial(scan, product, q, keys[kind])) for name, (kind, product) in products().items()
    }
    expected = scan(multiply_fast, q, keys["float32"])
    for name, (kind, product) in products().items():
        if not np.allclose(scan(product, q, keys[kind]).log_normalizer(), expected.log_normalizer(), atol=0.01):
            raise SystemExit(f"{name} has another normalizer")
    costs = in_turn(runs, rounds)
    ours = costs["float32, the engine's"]
    print(f"### {size:,} keys, {count} {'query' if count == 1 else 'queries at once'}\n")
    table(
        ("", "ms", "least", "CPU ms, least", "times float32", "times its CPU"),
        [
            (name, 1e3 * statistics.median(seconds for seconds, _ in each), 1e3 * min(seconds for seconds, _ in each),
             1e3 * min(cpu for _, cpu in each), *(ratio([pair[n] for pair in each], [pair[n] for pair in ours])
             for n in (0, 1)))
            for name, each in costs.items()
        ],
    )  # fmt: skip


def scan(product: Product, q: np.ndarray, keys: np.ndarray) -> State:
    """The state after all keys, with the ten best: as the engine has it, but for the product."""
    starts = range(0, len(keys), min(DEFAULT.block, max(len(keys) // DEFAULT.parts, 1)))

    def attend(start: int) -> State:
        return State.from_logits(product(q, keys[start : start + starts.step]), k=TOP, first=start)

    return functools.reduce(State.merge, threads.each(attend, starts))


def products() -> dict[str, tuple[str, Product]]:
    """The ways to multiply queries and keys, and of which type keys are."""
    import torch

    def by_torch(kind: torch.dtype) -> Product:
        def multiply(q: np.ndarray, keys: np.ndarray) -> np.ndarray:
            of_keys = torch.from_numpy(keys if kind != torch.bfloat16 else keys.view(np.int16)).view(kind)
            with torch.inference_mode():
                return (of_keys @ torch.from_numpy(q).to(kind).T).float().T.contiguous().numpy()

        return multiply

    torch.set_num_threads(1)  # as BLAS: blocks are what cores share
    ways = {
        "float32, the engine's": ("float32", multiply_fast),
        "float16, by numpy": ("float16", by_strips(lambda part, longer: np.copyto(longer, part))),
        "float16, by a table": ("float16", by_strips(look_up)),
        "float16, by shifts": ("float16", by_strips(shift, 2.0**112)),
        "bfloat16, by shifts": ("bfloat16", by_strips(shift_bfloat16)),
        "float32, by torch": ("float32", by_torch(torch.float32)),
        "float16, by torch": ("float16", by_torch(torch.float16)),
        "bfloat16, by torch": ("bfloat16", by_torch(torch.bfloat16)),
    }
    if importlib.util.find_spec("numkong"):
        ways |= {f"{kind}, by numkong": (kind, by_numkong(kind)) for kind in ("float32", "float16", "bfloat16")}
    return ways


def by_numkong(kind: str) -> Product:
    """The products of keys of this type by numkong, which has a kernel for each processor."""
    import numkong

    def multiply(q: np.ndarray, keys: np.ndarray) -> np.ndarray:
        short = {"float32": q, "float16": q.astype(np.float16), "bfloat16": round_to_bfloat16(q)}[kind]
        z = np.asarray(numkong.cdist(keys, short, "dot", dtype=kind, out_dtype="float32"))
        return np.ascontiguousarray(z.reshape(len(keys), len(q)).T)

    return multiply


def by_strips(lengthen: Callable[[np.ndarray, np.ndarray], None], scale: float = 1.0) -> Product:
    """The products of keys that `lengthen` writes as float32, a strip at a time, but for a factor `scale`."""

    def multiply(q: np.ndarray, keys: np.ndarray) -> np.ndarray:
        q = q * np.float32(scale)
        z, strip = np.empty((len(q), len(keys)), np.float32), np.empty((STRIP, keys.shape[1]), np.float32)
        for start in range(0, len(keys), STRIP):
            part = keys[start : start + STRIP]
            longer = strip[: len(part)]
            lengthen(part, longer)
            z[:, start : start + len(part)] = multiply_fast(q, longer)
        return z

    return multiply


def look_up(part: np.ndarray, longer: np.ndarray) -> None:
    """Float16 → float32, by the table."""
    np.take(NUMBERS, part.view(np.uint16), out=longer, mode="clip")  # without it, numpy makes a copy


def shift(part: np.ndarray, longer: np.ndarray) -> None:
    """Float16 → float32, 2^-112 of each: the sign stays in front, exponent and fraction go where float32 has them."""
    bits = longer.view(np.int32)
    np.copyto(bits, part.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, -0x70002000, out=bits)


def shift_bfloat16(part: np.ndarray, longer: np.ndarray) -> None:
    """Bfloat16 → float32: the lower half is 0."""
    bits = longer.view(np.uint32)
    np.copyto(bits, part)
    np.left_shift(bits, 16, out=bits)


def rank(index: Index, judged: Sequence[Judged]) -> Iterator[Sequence[object]]:
    """With keys of each type: how many requests change their first item, the ten, the whole order; and the weights.

    A change is one of two items whose logits differ in float32, by more than its rounding.
    """
    store = index.store
    keys = store.living()
    x = store.embeddings(keys)
    first_keys = keys if store.first_keys is None else store.first_keys[keys]
    items, number = np.unique(first_keys, return_inverse=True)
    joined = np.append(False, number[1:] == number[:-1])
    q = index.encoder.encode([request.query for request in judged], "query") / np.float32(index.info.temperature)
    keys_of = store.keys_of([ident for request in judged for ident in request.grades])
    grades = np.zeros((len(judged), len(items)))
    for row, request in zip(grades, judged, strict=True):
        for ident, grade in request.grades.items():
            if ident in keys_of:
                row[np.searchsorted(items, keys_of[ident][0])] = grade
    z, weights = score(q, x, joined)
    tie = np.float32(1e-6) * np.linalg.norm(q, axis=1)
    order = np.argsort(-z, axis=1, kind="stable")
    for kind, shorter in (("float16", x.astype(np.float16)), ("bfloat16", from_bfloat16(round_to_bfloat16(x)))):
        z_short, weights_short = score(q, shorter.astype(np.float32), joined)
        order_short = np.argsort(-z_short, axis=1, kind="stable")
        before, after = (np.take_along_axis(z, ranked, axis=1) for ranked in (order, order_short))
        is_other = np.abs(before - after) > tie[:, None]
        changed = np.abs(weights_short - weights)
        relative = changed / weights
        yield (kind, len(judged), *(int(is_other[:, :ranks].any(axis=1).sum()) for ranks in (1, TOP, len(items))),
               *(f"{measure(ranked, grades):.4f}" for ranked in (order, order_short)),
               float(changed.max()), f"{relative.max():.2%}")  # fmt: skip


def score(q: np.ndarray, x: np.ndarray, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits of each item's best key and their softmax, (queries, items)."""
    z = multiply_fast(q, x)
    z = np.maximum.reduceat(best_of_each(z, joined) if joined.any() else z, np.flatnonzero(~joined), axis=1)
    weights = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    return z, weights / weights.sum(axis=1, keepdims=True)


def measure(order: np.ndarray, grades: np.ndarray) -> float:
    """nDCG@10 of the items in this order, the mean over the requests with a right item."""
    from attnsearch.evaluation.metrics import ndcg

    gains = [ndcg(row[ranked], row) for ranked, row in zip(order, grades, strict=True) if row.any()]
    return statistics.mean(gains)


if __name__ == "__main__":
    main()
