"""What `train` gains on requests that it has not seen: in two folds, from few, by itself; and what it refuses."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from attnsearch.attention.projections import identity
from attnsearch.evaluation import report
from attnsearch.evaluation.report import Evaluation
from attnsearch.indexing.update import update
from attnsearch.learning.training import train, train_self
from attnsearch.search.index import Index
from attnsearch.search.setting import Setting
from attnsearch.sources.judgments import Judged
from attnsearch.storage.learned import Learned
from benchmarks.measure import DATA, SETS, heading, judged, table
from benchmarks.quality import write

LEXICAL = 0.3  # of the untrained, with --lexical
SIZES = (10, 20, 40, 80, 160, 250)  # judged requests
FEW = 10
SPLITS = 3


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--draws", type=int, default=50, help="of few requests; of shuffled ones")
    parser.add_argument("--home", type=Path, help="keep the indexes there, for another run")
    parser.add_argument("--plot", type=Path, help="draw the gain by the number of judged requests")
    asked = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading("what is learned", "scipy", "sentence-transformers", "torch")
    with tempfile.TemporaryDirectory() as folder:
        home = (asked.home or Path(folder)).resolve()
        home.mkdir(exist_ok=True)
        os.environ["ATTNSEARCH_HOME"] = str(home)
        for part in asked.parts:
            columns, measure = PARTS[part]
            rows: list[Sequence[object]] = []
            for name in asked.sets:
                with opened(name, home / f"{name}.jsonl") as index:
                    rows.extend(measure(index, requests(name), asked.draws))
                print(rows[-1], flush=True)
            print(f"\n{(measure.__doc__ or '').splitlines()[0]}\n")
            table(("set", *columns), rows)
            if part == "curve" and asked.plot:
                plot(asked.plot, rows)


def opened(name: str, source: Path) -> Index:
    """The index of a set."""
    write(name, source)
    update([str(source)], name=name)
    return Index.open(name)


def requests(name: str) -> list[Judged]:
    """The judged requests of a set; ids that its index lacks are missed."""
    told = judged(name)
    ids = [json.loads(line)["id"] for line in (DATA / name / "corpus.jsonl").read_text().splitlines()]
    return [Judged(query, {ids[item]: grade for item, grade in told.grades[at].items()}) for at, query in
            enumerate(told.queries) if at in told.grades]  # fmt: skip


def halves(asked: Sequence[Judged], seed: int = 0) -> list[tuple[list[Judged], list[Judged]]]:
    """What is learned from and what is asked, twice."""
    first = np.random.default_rng(seed).permutation(len(asked)) % 2 == 0
    one = [request for request, chosen in zip(asked, first, strict=True) if chosen]
    other = [request for request, chosen in zip(asked, first, strict=True) if not chosen]
    return [(one, other), (other, one)]


def answer(index: Index, asked: Sequence[Judged], learned: Learned | None, *, lexical: bool = False) -> Evaluation:
    """How the requests are answered by what was learned, or without."""
    projections = identity(index.info.d) if learned is None else learned.projections
    weight = LEXICAL if learned is None or learned.lexical is None else learned.lexical
    return report.evaluate(index, asked, Setting(projections, lexical=weight if lexical else None))


def folds(index: Index, asked: list[Judged], _: int) -> Iterator[Sequence[object]]:
    """Two folds, each answered by what the gate let be learned from the other: mean, least, most of three splits."""
    pairs: dict[str, list[list[tuple[Evaluation, Evaluation]]]] = {"": [], "lexical": []}
    taken, seconds = 0, []
    for seed in range(SPLITS):
        for found in pairs.values():
            found.append([])
        for known, held_out in halves(asked, seed):
            began = time.perf_counter()
            learned = train(index, known).learned
            seconds.append(time.perf_counter() - began)
            taken += learned is not None
            for name, found in pairs.items():
                found[-1].append(tuple(answer(index, held_out, one, lexical=bool(name)) for one in (None, learned)))  # type: ignore[arg-type]
    cells = []
    for name, metrics in (("", ("ndcg", "kl", "calibration_error")), ("lexical", ("ndcg",))):
        for metric in metrics:
            before, after = ([_mean(split, side, metric) for split in pairs[name]] for side in (0, 1))
            gains = [late - early for early, late in zip(before, after, strict=True)]
            means = " → ".join(f"{statistics.fmean(side):.3f}" for side in (before, after))
            cells.append(f"{means} ({min(gains):+.3f} to {max(gains):+.3f})")
    yield [index.info.name, index.info.items, len(asked), *cells, taken, f"{max(seconds):.0f}", f"{_mib():.0f}"]


def _mean(pairs: Sequence[tuple[Evaluation, Evaluation]], side: int, metric: str) -> float:
    """Of the requests of both folds; the calibration error is that of all of them together."""
    reports = [pair[side] for pair in pairs]
    if metric == "calibration_error":
        rows = [row for report in reports for row in report.answerable]
        found = [(row.top_weight, row.precision_at_1) for row in rows if row.top_weight is not None]
        return report.metrics.calibration_error(*(np.array(part, np.float64) for part in zip(*found, strict=True)))
    values = [getattr(row, metric) for report in reports for row in report.answerable]
    return float(np.mean([value for value in values if value is not None]))


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def change(index: Index, held_out: Sequence[Judged], learned: Learned | None, before: dict[str, float]) -> float:
    """By how much the mean nDCG of requests is better for what was learned; `before` has that of each untrained."""
    if learned is None:
        return 0.0
    rows = answer(index, held_out, learned).answerable
    return statistics.fmean(row.ndcg - before[row.query] for row in rows if row.ndcg is not None)


def untrained(index: Index, asked: Sequence[Judged]) -> dict[str, float]:
    """The nDCG of each request."""
    return {row.query: row.ndcg for row in answer(index, asked, None).answerable if row.ndcg is not None}


def few(index: Index, asked: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """Ten judged requests, drawn at random; the change of nDCG@10 of all others."""
    before = untrained(index, asked)
    found, taken = [], 0
    for draw in range(draws):
        chosen = set(np.random.default_rng(draw).choice(len(asked), FEW, replace=False).tolist())
        learned = train(index, [asked[at] for at in sorted(chosen)]).learned
        taken += learned is not None
        held_out = [request for at, request in enumerate(asked) if at not in chosen]
        found.append(change(index, held_out, learned, before))
    yield [index.info.name, draws, taken, f"{statistics.fmean(found):+.4f}", f"{min(found):+.4f}", f"{max(found):+.4f}"]


def shuffled(index: Index, asked: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """Sixty judgments that are about nothing: how often they are taken, of so many draws."""
    ids = [item.id for _, item in index.store.items()]
    taken = [0, 0, 0]
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        some = [asked[at] for at in rng.choice(len(asked), min(len(asked), 60), replace=False)]
        order = rng.permutation(len(some))
        other = dict(zip(ids, rng.permutation(ids).tolist(), strict=True))
        ways = (
            [request._replace(grades=some[at].grades) for request, at in zip(some, order, strict=True)],
            [request._replace(grades=_drawn(request, ids, rng)) for request in some],
            [request._replace(grades={other.get(i, i): g for i, g in request.grades.items()}) for request in some],
        )
        for at, way in enumerate(ways):
            taken[at] += train(index, way, seed=draw).learned is not None
    yield [index.info.name, draws, *taken]


def _drawn(request: Judged, ids: list[str], rng: np.random.Generator) -> dict[str, float]:
    chosen = rng.choice(len(ids), len(request.grades), replace=False)
    return {ids[at]: grade for at, grade in zip(chosen, request.grades.values(), strict=True)}


def by_itself(index: Index, asked: list[Judged], _: int) -> Iterator[Sequence[object]]:
    """`train --self`, three seeds: the change of nDCG@10 of all requests, which it has not seen."""
    before = untrained(index, asked)
    found, seconds = [], []
    for seed in range(3):
        began = time.perf_counter()
        learned = train_self(index, seed=seed).learned
        seconds.append(time.perf_counter() - began)
        found.append(change(index, asked, learned, before))
    yield [index.info.name, *(f"{one:+.4f}" for one in found), f"{statistics.fmean(found):+.4f}", f"{max(seconds):.0f}"]


def curve(index: Index, asked: list[Judged], _: int) -> Iterator[Sequence[object]]:
    """The change of nDCG@10 of the requests not judged, by how many are; the mean of three draws."""
    before = untrained(index, asked)
    for size in SIZES:
        if size > len(asked) // 2:
            return
        found = []
        for draw in range(3):
            order = np.random.default_rng(draw).permutation(len(asked))
            known, held_out = ([asked[at] for at in part] for part in (order[:size], order[len(asked) // 2 :]))
            found.append(change(index, held_out, train(index, known).learned, before))
        yield [index.info.name, size, f"{statistics.fmean(found):+.4f}"]


def plot(file: Path, rows: Sequence[Sequence[object]]) -> None:
    """Draw what `curve` found."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "attnsearch", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for name in dict.fromkeys(row[0] for row in rows):
        points = [(int(str(row[1])), float(str(row[2]))) for row in rows if row[0] == name]
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.minorticks_off()
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.set_xlabel("judged requests")
    axes.set_ylabel("gain in nDCG@10 on others")
    axes.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})


Measure = Callable[[Index, list[Judged], int], Iterator[Sequence[object]]]
PARTS: dict[str, tuple[Sequence[str], Measure]] = {
    "folds": (
        ("items", "requests", "nDCG@10", "KL", "calibration error", "with --lexical", "folds taken", "s", "MiB"),
        folds,
    ),
    "few": (("draws", "taken", "mean", "worst", "best"), few),
    "shuffled": (("draws", "answers of others", "any item", "items renamed"), shuffled),
    "self": (("seed 0", "seed 1", "seed 2", "mean", "s"), by_itself),
    "curve": (("judged", "gain"), curve),
}

if __name__ == "__main__":
    main()
