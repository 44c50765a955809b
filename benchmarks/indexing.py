"""Embedding many texts, against `SentenceTransformer.encode` with its defaults.

With `--again`, indexing a catalog again instead; with `--quality`, what bfloat16 costs in nDCG.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np

from attnsearch.encoding import loading, sbert
from benchmarks import made
from benchmarks.measure import BIN, DATA, SETS, heading, in_turn, judged, process, ratio, table, timed

TEXTS = {"recipe_mpr": 1200, "cranfield": 160}  # of about 9 and 170 words


def main() -> None:
    """Print the tables that the options name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument(
        "--again", type=int, metavar="ITEMS", help="index this many, change one in a hundred, index again"
    )
    parser.add_argument("--quality", nargs="*", metavar="SET", help="nDCG@10 in both precisions, on any processor")
    arguments = parser.parse_args()
    if arguments.again:
        index_again(arguments.again)
    elif arguments.quality is None:
        compare_speed(arguments.rounds)
    else:
        compare_precisions(arguments.quality or SETS)


def compare_speed(rounds: int) -> None:
    """Texts per second of loaded encoders: ours as a large job chooses it, and the peer with its defaults."""
    from sentence_transformers import SentenceTransformer

    fast = loading.load()
    ours = fast.suited(sbert.CROSSOVER + 1)
    peer = SentenceTransformer(str(fast.model.folder))
    heading(f"Embedding, ours in {ours.precision}", "sentence-transformers", "torch")
    rows = []
    for name, count in TEXTS.items():
        texts = judged(name).items[:count] if DATA.is_dir() else list(made.texts(count))
        runs = {"ours": partial(ours.encode, texts), "peer": partial(peer.encode, texts, show_progress_bar=False)}
        seconds = in_turn({name: timed(run) for name, run in runs.items()}, rounds)
        words = round(statistics.mean(len(text.split()) for text in texts))
        speeds = (round(count / statistics.median(seconds[name])) for name in ("ours", "peer"))
        rows.append((f"{count} of {words} words", *speeds, ratio(seconds["peer"], seconds["ours"])))
    table(("texts", "ours, texts/s", "encode(), texts/s", "times as fast"), rows)


def index_again(count: int) -> None:
    """Whole processes: a new catalog, nothing changed, one item in a hundred changed."""
    heading(f"Indexing {count:,} items again")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "items.jsonl"

        def index(label: str, changed: int) -> tuple[str, float, int]:
            made.jsonl(source, count, changed)
            cost = process([BIN / "attnsearch", "index", source, "-q"], ATTNSEARCH_HOME=folder)
            return label, cost.seconds, round(cost.mib)

        runs = [index("all", 0), index("nothing changed", 0), index(f"{count // 100:,} changed", count // 100)]
    table(("what", "s", "MiB", "% of all"), [(*run, 100 * run[1] / runs[0][1]) for run in runs])


def compare_precisions(sets: list[str]) -> None:
    """What bfloat16 costs in quality: nDCG@10 (Järvelin & Kekäläinen 2002, linear gain) in both precisions."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    from benchmarks.halves import WideSums

    fast = loading.load()
    halves = fast.suited(0, "bfloat16")
    has_halves = fast.suited(sbert.CROSSOVER + 1).precision == "bfloat16"
    heading("nDCG@10 by precision", "sentence-transformers", "torch")
    if not has_halves:
        print("This processor has no bfloat16: rounded factors are multiplied in float32 instead.\n")
    rows = []
    for name in sets:
        items, _, queries, grades = judged(name)
        x, keys = fast.encode(queries, "query"), fast.encode(items)
        with nullcontext() if has_halves else WideSums():
            rounded = halves.encode(items)
        full, half = (ndcg(x @ k.T, grades) for k in (keys, rounded))
        cosine = np.vecdot(keys, rounded).min()
        rows.append((name, f"{full:.4f}", f"{half:.4f}", f"{half - full:+.4f}", f"{cosine:.5f}"))
        print(rows[-1], flush=True)
    table(("set", "float32", "bfloat16", "difference", "smallest cosine of the two"), rows)


def ndcg(scores: np.ndarray, grades: dict[int, dict[int, float]], k: int = 10) -> float:
    """nDCG@k of scores (queries, items), the mean over the judged queries."""
    discount = [1 / math.log2(rank + 2) for rank in range(k)]
    values = []
    for query, judged_items in grades.items():
        top = np.argsort(-scores[query], kind="stable")[:k].tolist()
        gain = sum(judged_items.get(item, 0) * d for item, d in zip(top, discount, strict=True))
        best = sum(g * d for g, d in zip(sorted(judged_items.values(), reverse=True), discount, strict=False))
        if best:
            values.append(gain / best)
    return statistics.mean(values)


if __name__ == "__main__":
    main()
