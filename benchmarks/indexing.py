"""Embedding many texts against `SentenceTransformer.encode` as it comes; `--again`, `--quality`: see there."""

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

TEXTS = {"recipe_mpr": 1200, "cranfield": 160}  # of some 9 and 170 words


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument(
        "--again", type=int, metavar="ITEMS", help="index so many, change one in a hundred, index again"
    )
    parser.add_argument("--quality", nargs="*", metavar="SET", help="nDCG@10 of both precisions, anywhere")
    asked = parser.parse_args()
    if asked.again:
        again(asked.again)
    elif asked.quality is None:
        speed(asked.rounds)
    else:
        quality(asked.quality or SETS)


def speed(rounds: int) -> None:
    """Texts a second of encoders that are loaded already: ours as a large job chooses it, and the peer's defaults."""
    from sentence_transformers import SentenceTransformer

    fast = loading.load()
    ours = fast.suited(sbert.CROSSOVER + 1)
    peer = SentenceTransformer(str(fast.model.folder))
    heading(f"Embedding, ours in {ours.precision}", "sentence-transformers", "torch")
    rows = []
    for name, count in TEXTS.items():
        texts = judged(name).items[:count] if DATA.is_dir() else list(made.texts(count))
        runs = {"ours": partial(ours.encode, texts), "peer": partial(peer.encode, texts, show_progress_bar=False)}
        took = in_turn({who: timed(run) for who, run in runs.items()}, rounds)
        words = round(statistics.mean(len(text.split()) for text in texts))
        mine, theirs = (count / statistics.median(took[who]) for who in ("ours", "peer"))
        rows.append((f"{count} of {words} words", round(mine), round(theirs), ratio(took["peer"], took["ours"])))
    table(("texts", "ours, texts/s", "encode(), texts/s", "times as fast"), rows)


def again(count: int) -> None:
    """Whole processes: everything, nothing changed, and one in a hundred changed."""
    heading(f"Indexing {count:,} items again")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "items.jsonl"

        def index(what: str, changed: int) -> tuple[str, float, int]:
            made.jsonl(source, count, changed)
            took = process([BIN / "attnsearch", "index", source, "-q"], ATTNSEARCH_HOME=folder)
            return what, took.seconds, round(took.mib)

        runs = [index("all", 0), index("nothing changed", 0), index(f"{count // 100:,} changed", count // 100)]
    table(("what", "s", "MiB", "% of all"), [(*run, 100 * run[1] / runs[0][1]) for run in runs])


def quality(sets: list[str]) -> None:
    """What bfloat16 costs in what is found: nDCG@10 (Järvelin & Kekäläinen 2002, linear gain) of both precisions."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    from benchmarks.halves import WideSums

    fast = loading.load()
    halves = fast.suited(0, "bfloat16")
    has_halves = fast.suited(sbert.CROSSOVER + 1).precision == "bfloat16"
    heading("nDCG@10 by precision", "sentence-transformers", "torch")
    if not has_halves:
        print("This processor has no bfloat16: its products are made of the same numbers in float32.\n")
    rows = []
    for name in sets:
        items, _, queries, grades = judged(name)
        x, keys = fast.encode(queries, "query"), fast.encode(items)
        with nullcontext() if has_halves else WideSums():
            rounded = halves.encode(items)
        found = [ndcg(x @ k.T, grades) for k in (keys, rounded)]
        cosine = np.vecdot(keys, rounded).min()
        rows.append((name, *(f"{value:.4f}" for value in found), f"{found[1] - found[0]:+.4f}", f"{cosine:.5f}"))
        print(rows[-1], flush=True)
    table(("set", "float32", "bfloat16", "difference", "smallest cosine of the two"), rows)


def ndcg(scores: np.ndarray, grades: dict[int, dict[int, float]], k: int = 10) -> float:
    """The mean over the judged queries."""
    discount = [1 / math.log2(rank + 2) for rank in range(k)]
    found = []
    for query, judged_items in grades.items():
        top = np.argsort(-scores[query], kind="stable")[:k].tolist()
        gain = sum(judged_items.get(item, 0) * d for item, d in zip(top, discount, strict=True))
        best = sum(g * d for g, d in zip(sorted(judged_items.values(), reverse=True), discount, strict=False))
        if best:
            found.append(gain / best)
    return statistics.mean(found)


if __name__ == "__main__":
    main()
