"""What an approximate index loses: the best ten, and the sum over all keys, without which no weight is right.

A weight is exp(z) / Σ exp(z) over all keys. An index that looks at some of them knows a part of the sum; whoever takes
the part for the whole gives weights that are too large, by the same factor for every item. Here are the parts, for
faiss's indexes and for the exactly best keys alone, and the error of two estimates of the rest.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import faiss
import numpy as np

from attnsearch.attention.products import multiply_fast
from attnsearch.encoding import loading
from attnsearch.engines.pieces import BLOCK
from attnsearch.models.model import TABLE
from benchmarks import made
from benchmarks.indexing import costed
from benchmarks.learning import opened, requests
from benchmarks.measure import judged_sets, table

TOP = 10
BEST = (10, 100, 1_000)  # keys that are summed
SAMPLE = 1_000  # other keys that the rest is estimated from
TEMPERATURE = 0.05
PROBED = (1, 8, 32, 128)  # lists of an inverted file
WIDTHS = (32, 128, 512)  # of the search in a graph: keys that it returns
TRAINED = 50_000  # keys that the lists are made from, at most


class Keys(NamedTuple):
    """Keys x (n, d), and requests q (m, d), all unit vectors."""

    name: str
    x: np.ndarray
    q: np.ndarray


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--made", type=int, default=1_000_000, help="keys of made catalogs")
    parser.add_argument("--graph", type=int, default=100_000, help="keys of a graph, at most: it takes long to build")
    parser.add_argument("--requests", type=int, default=100)
    with judged_sets(parser, "Approximate indexes", "faiss-cpu") as arguments:
        faiss.omp_set_num_threads(1)
        sums, searched = [], []
        for keys in draw_keys(arguments):
            z = np.concatenate([multiply_fast(keys.q, block) for block in blocks(keys.x)], axis=1) / TEMPERATURE
            sums.append((keys.name, f"{len(keys.x):,}", *estimate(keys, z)))
            print(sums[-1], flush=True)
            for row in search(keys, z, arguments.graph):
                searched.append((keys.name, *row))
                print(searched[-1], flush=True)
    print("\nWithout an index\n")
    shares = [f"share of the best {count:,}" for count in BEST]
    errors = [f"{of} of the error" for of in ("median", "90%")]
    table(("keys", "", *shares, *(f"with a sample: {error}" for error in errors),
           *(f"by covariance: {error}" for error in errors)), sums)  # fmt: skip
    print("With an index\n")
    table(("keys", "", "index", "CPU s to build", "CPU ms a query", "times exact", "recall@10", "share of the sum",
           "least share", "weights times"), searched)  # fmt: skip


def draw_keys(arguments: argparse.Namespace) -> Iterator[Keys]:
    """Keys of the judged sets together; of made texts by a table of word pieces; and random ones."""
    rng = np.random.default_rng(1)
    texts = [request.query for name in arguments.sets for request in requests(name)]
    texts = [texts[number] for number in rng.permutation(len(texts))[: arguments.requests]]
    x = []
    for name in arguments.sets:
        with opened(name, arguments.home / f"{name}.jsonl") as index:
            x.append(index.store.embeddings(index.store.living()))
            q = index.encoder.encode(texts, "query")
    yield Keys("judged sets", np.concatenate(x), q)
    encoder = loading.load(TABLE)
    made_texts = made.texts(arguments.made)
    x = [encoder.encode(part) for part in iter(lambda: list(itertools.islice(made_texts, BLOCK)), [])]
    yield Keys("made texts", np.concatenate(x), encoder.encode(texts, "query"))
    x = [rng.standard_normal((len(block), 384), np.float32) for block in blocks(range(arguments.made))]
    keys = np.concatenate([block / np.linalg.norm(block, axis=1, keepdims=True) for block in x])
    yield Keys("random", keys, q)


def blocks(x: Sequence) -> Iterator:
    """The rows of x, in blocks."""
    return (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))


def estimate(keys: Keys, z: np.ndarray) -> Iterator[str]:
    """The median share of the sum that the best keys hold; and how far two estimates of the whole sum are off."""
    n, rng = len(keys.x), np.random.default_rng(2)
    best = -np.sort(-z, axis=1)
    exp = np.exp(best.astype(np.float64) - best[:, :1])
    total = exp.sum(axis=1)
    yield from (f"{np.median(exp[:, :count].sum(axis=1) / total):.3f}" for count in BEST)
    middle = BEST[1]
    chosen = rng.integers(middle, n, (len(z), SAMPLE))
    rest = np.take_along_axis(exp, chosen, 1).mean(axis=1) * (n - middle)
    mean = np.mean(keys.x, axis=0, dtype=np.float64)
    covariance = sum(block.T.astype(np.float64) @ block for block in blocks(keys.x)) / n - np.outer(mean, mean)
    q = keys.q.astype(np.float64) / TEMPERATURE
    # of keys in a normal distribution, E exp(q · k) = exp(q · mean + qᵀ covariance q / 2)
    normal = n * np.exp(q @ mean + ((q @ covariance) * q).sum(axis=1) / 2 - best[:, 0])
    for estimated in (exp[:, :middle].sum(axis=1) + rest, normal):
        error = np.abs(total / estimated - 1)  # of every weight
        yield from (f"{value:.1%}" for value in np.quantile(error, [0.5, 0.9]))


def search(keys: Keys, z: np.ndarray, graph: int) -> Iterator[Sequence[object]]:
    """What indexes of different effort find, and of the sum over all keys, what part is that over those they look at.

    The graph's is over the keys that it returns, as many as its search is wide; the inverted file's over all keys of
    its lists.
    """
    n, d = keys.x.shape
    exact = 1e3 * min(costed(lambda: multiply_fast(keys.q[:1], keys.x))()[1] for _ in range(5))
    yield f"{n:,}", "all keys", "", exact, 1.0, "1.000", "1.000", "1.000", "1.00"
    top = np.argpartition(-z, TOP, axis=1)[:, :TOP]
    exp = np.exp(z - z.max(axis=1, keepdims=True))
    total = exp.sum(axis=1, dtype=np.float64)

    def describe(what: str, build: float, seconds: float, ids: np.ndarray, part: np.ndarray) -> Sequence[object]:
        recall = np.mean([len({*a} & {*b}) / TOP for a, b in zip(ids[:, :TOP].tolist(), top.tolist(), strict=True)])
        share, ms = part / total, 1e3 * seconds / len(z)
        shares = f"{np.median(share):.3f}", f"{share.min():.3f}", f"{np.median(1 / share):.2f}"
        return f"{n:,}", what, build, ms, ms / exact, f"{recall:.3f}", *shares

    lists = int(2 * n**0.5)
    quantizer = faiss.IndexFlatIP(d)
    inverted = faiss.IndexIVFFlat(quantizer, d, lists, faiss.METRIC_INNER_PRODUCT)
    start = time.process_time()
    inverted.train(keys.x[np.random.default_rng(3).permutation(n)[:TRAINED]])
    inverted.add(keys.x)
    build = time.process_time() - start
    list_of_key = np.empty(n, np.int64)
    for number in range(lists):
        size = inverted.invlists.list_size(number)
        list_of_key[faiss.rev_swig_ptr(inverted.invlists.get_ids(number), size)] = number
    order = quantizer.search(keys.q, max(PROBED))[1]
    of_lists = np.stack([np.bincount(list_of_key, row, lists) for row in exp])
    for probed in PROBED:
        inverted.nprobe = probed
        seconds, ids = answer(inverted, keys.q, TOP)
        part = np.take_along_axis(of_lists, order[:, :probed], 1).sum(axis=1)
        yield describe(f"{probed} of {lists:,} lists", build, seconds, ids, part)
    if n <= graph:
        hierarchy = faiss.IndexHNSWFlat(d, 32, faiss.METRIC_INNER_PRODUCT)
        hierarchy.hnsw.efConstruction = 100
        start = time.process_time()
        hierarchy.add(keys.x)
        build = time.process_time() - start
        for width in WIDTHS:
            hierarchy.hnsw.efSearch = width
            seconds, ids = answer(hierarchy, keys.q, width)
            part = np.take_along_axis(exp, np.maximum(ids, 0), 1).sum(axis=1, where=ids >= 0, dtype=np.float64)
            yield describe(f"a graph of 32 neighbors, {width} wide", build, seconds, ids, part)


def answer(index: faiss.Index, q: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """The CPU seconds that one request after the other takes, and the keys (m, k)."""
    index.search(q[:1], k)
    start = time.process_time()
    ids = [index.search(row[None], k)[1] for row in q]
    return time.process_time() - start, np.concatenate(ids)


if __name__ == "__main__":
    main()
