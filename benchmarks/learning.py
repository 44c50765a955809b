"""What `train` gains on unseen requests: in two folds, from few requests, from none; and what it rejects."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from attnsearch.attention.memory import careful_recall
from attnsearch.evaluation import report
from attnsearch.evaluation.report import Evaluation
from attnsearch.indexing.update import update
from attnsearch.learning.acceptance import accept_unseen
from attnsearch.learning.bilinear import item_logits
from attnsearch.learning.cross_validation import measure_answers
from attnsearch.learning.examples import gather_examples
from attnsearch.learning.training import train, train_self
from attnsearch.opening.index import Index
from attnsearch.search.setting import Setting
from attnsearch.sources.judgments import Judged
from attnsearch.storage.learned import Learned, Remembered
from attnsearch.storage.segment import whole_identity
from benchmarks.measure import DATA, judged, judged_sets, table
from benchmarks.quality import write

SIZES = (10, 20, 40, 80, 160, 250)  # judged requests
FEW = 10
SPLITS = 3
SEEDS = 5


def main() -> None:
    """Print the tables that --parts names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--draws", type=int, default=50, help="how often to draw few requests, or to shuffle")
    parser.add_argument("--plot", type=Path, help="draw the gain against the number of judged requests")
    with judged_sets(parser, "what is learned", "scipy", "sentence-transformers", "torch") as arguments:
        for part in arguments.parts:
            columns, measure = PARTS[part]
            rows: list[Sequence[object]] = []
            for name in arguments.sets:
                with opened(name, arguments.home / f"{name}.jsonl") as index:
                    rows.extend(measure(index, requests(name), arguments.draws))
                print(rows[-1], flush=True)
            print(f"\n{(measure.__doc__ or '').splitlines()[0]}\n")
            table(("set", *columns), rows)
            if part == "curve" and arguments.plot:
                plot(arguments.plot, rows)


def opened(name: str, source: Path) -> Index:
    """Index a set, or bring its index up to date; the open index."""
    write(name, source)
    update([str(source)], name=name)
    return Index.open(name)


def requests(name: str) -> list[Judged]:
    """The judged requests of a set; an id that its index lacks counts as never found."""
    data = judged(name)
    ids = [json.loads(line)["id"] for line in (DATA / name / "corpus.jsonl").read_text().splitlines()]
    return [
        Judged(data.queries[query], {ids[item]: grade for item, grade in grades.items()})
        for query, grades in sorted(data.grades.items())
    ]


def halves(judged_requests: Sequence[Judged], seed: int = 0) -> list[tuple[list[Judged], list[Judged]]]:
    """Two folds: the requests to learn from and the held-out ones, and the reverse."""
    is_first = np.random.default_rng(seed).permutation(len(judged_requests)) % 2 == 0
    first = [request for request, chosen in zip(judged_requests, is_first, strict=True) if chosen]
    second = [request for request, chosen in zip(judged_requests, is_first, strict=True) if not chosen]
    return [(first, second), (second, first)]


def evaluate(index: Index, held_out: Sequence[Judged], learned: Learned | None, *, lexical: bool = False) -> Evaluation:
    """The evaluation of requests with what was learned, or untrained; with `lexical` as with --lexical."""
    setting = Setting(learned=learned, untrained=learned is None, lexical="auto" if lexical else None)
    return report.evaluate(index, held_out, setting)


def folds(index: Index, judged_requests: list[Judged], _: int) -> Iterator[Sequence[object]]:
    """Two folds, each evaluated with what was learned from the other: mean, least and largest gain of three splits."""
    untrained_splits: dict[bool, list[list[Evaluation]]] = {False: [], True: []}  # by lexical
    trained_splits: dict[bool, list[list[Evaluation]]] = {False: [], True: []}
    accepted, seconds = 0, []
    for seed in range(SPLITS):
        trained = []
        for training, held_out in halves(judged_requests, seed):
            start = time.perf_counter()
            learned = train(index, training).learned
            seconds.append(time.perf_counter() - start)
            accepted += learned is not None
            trained.append((held_out, learned))
        for lexical in (False, True):
            untrained_splits[lexical].append(
                [evaluate(index, held_out, None, lexical=lexical) for held_out, _ in trained]
            )
            trained_splits[lexical].append(
                [evaluate(index, held_out, learned, lexical=lexical) for held_out, learned in trained]
            )
    cells = []
    for lexical, metric in ((False, "ndcg"), (False, "kl"), (False, "calibration_error"), (True, "ndcg")):
        before = [mean(evaluations, metric) for evaluations in untrained_splits[lexical]]
        after = [mean(evaluations, metric) for evaluations in trained_splits[lexical]]
        gains = [late - early for early, late in zip(before, after, strict=True)]
        means = f"{statistics.fmean(before):.3f} → {statistics.fmean(after):.3f}"
        cells.append(f"{means} ({min(gains):+.3f} to {max(gains):+.3f})")
    yield [
        *(index.info.name, index.info.items, len(judged_requests), *cells),
        *(accepted, f"{max(seconds):.0f}", f"{_peak_mib():.0f}"),
    ]


def mean(evaluations: Sequence[Evaluation], metric: str) -> float:
    """The mean of a metric over the requests of both folds; the calibration error of all of them together."""
    rows = [row for evaluation in evaluations for row in evaluation.answerable]
    if metric == "calibration_error":
        pairs = [(row.top_weight, row.precision_at_1) for row in rows if row.top_weight is not None]
        bins = report.metrics.bin_by_confidence(*(np.array(part, np.float64) for part in zip(*pairs, strict=True)))
        return report.metrics.calibration_error(bins)
    values = [getattr(row, metric) for row in rows]
    return float(np.mean([value for value in values if value is not None]))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def change(index: Index, held_out: Sequence[Judged], learned: Learned | None, before: dict[str, float]) -> float:
    """The mean change of the requests' nDCG through training; `before` has each query's nDCG untrained."""
    if learned is None:
        return 0.0
    rows = evaluate(index, held_out, learned).answerable
    return statistics.fmean(row.ndcg - before[row.query] for row in rows if row.ndcg is not None)


def untrained(index: Index, judged_requests: Sequence[Judged]) -> dict[str, float]:
    """The nDCG of each query without training."""
    rows = evaluate(index, judged_requests, None).answerable
    return {row.query: row.ndcg for row in rows if row.ndcg is not None}


def few(index: Index, judged_requests: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """Training on ten judged requests drawn at random: the change of nDCG@10 on all others."""
    before = untrained(index, judged_requests)
    changes, accepted = [], 0
    for draw in range(draws):
        chosen = set(np.random.default_rng(draw).choice(len(judged_requests), FEW, replace=False).tolist())
        learned = train(index, [judged_requests[number] for number in sorted(chosen)]).learned
        accepted += learned is not None
        held_out = [request for number, request in enumerate(judged_requests) if number not in chosen]
        changes.append(change(index, held_out, learned, before))
    summary = (statistics.fmean(changes), min(changes), max(changes))
    yield [index.info.name, draws, accepted, *(f"{value:+.4f}" for value in summary)]


def feedback(index: Index, judged_requests: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """Ten judged requests that are remembered as feedback is, without training: nDCG@10 of all others."""
    before = untrained(index, judged_requests)
    answered = [request for request in judged_requests if request.relevant]
    changes = []
    for draw in range(draws):
        numbers = np.random.default_rng(draw).choice(len(answered), FEW, replace=False).tolist()
        chosen = [answered[number] for number in numbers]
        texts = [request.query for request in chosen]
        right = [{ident: request.grades[ident] for ident in request.relevant} for request in chosen]
        memory = Remembered(texts, index.encoder.encode(texts, "query"), right, careful_recall(index.info.sha256))
        identity = whole_identity(index.info)
        learned = Learned(index.info.model, index.info.sha256, None, None, identity=identity, memory=memory)
        changes.append(
            change(index, [request for request in judged_requests if request not in chosen], learned, before)
        )
    yield [
        index.info.name,
        draws,
        *(f"{value:+.4f}" for value in (statistics.fmean(changes), min(changes), max(changes))),
    ]


def shuffled(index: Index, judged_requests: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """Training on sixty meaningless judgments: how often the result is accepted."""
    ids = [item.id for _, item in index.store.items()]
    accepted = [0, 0, 0]
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        numbers = rng.choice(len(judged_requests), min(len(judged_requests), 60), replace=False)
        requests = [judged_requests[number] for number in numbers]
        order = rng.permutation(len(requests))
        renamed = dict(zip(ids, rng.permutation(ids).tolist(), strict=True))
        meaningless = (
            [request._replace(grades=requests[n].grades) for request, n in zip(requests, order, strict=True)],
            [request._replace(grades=_draw_grades(request, ids, rng)) for request in requests],
            [request._replace(grades={renamed.get(i, i): grade for i, grade in request.grades.items()})
             for request in requests],
        )  # fmt: skip
        for kind, requests in enumerate(meaningless):
            accepted[kind] += train(index, requests, seed=draw).learned is not None
    yield [index.info.name, draws, *accepted]


def _draw_grades(request: Judged, ids: list[str], rng: np.random.Generator) -> dict[str, float]:
    """The grades of a request, for items drawn at random."""
    chosen = rng.choice(len(ids), len(request.grades), replace=False)
    return {ids[number]: grade for number, grade in zip(chosen, request.grades.values(), strict=True)}


def by_itself(index: Index, judged_requests: list[Judged], draws: int) -> Iterator[Sequence[object]]:
    """`train --self` with five seeds, kept by force: the change of nDCG@10 and KL; and what a gate of few lets through.

    Each draw measures one W by some judged requests: how often it is accepted, and what it changes for all others.
    """
    before = untrained(index, judged_requests)
    all_examples = gather_examples(index, [request for request in judged_requests if request.relevant])
    training_set, requests = all_examples.training_set, all_examples.requests
    changes, seconds, divergences = [], [], []
    accepted: dict[int, list[float | None]] = {few: [] for few in (20, 50) if few < len(requests) - FEW}
    for seed in range(SEEDS):
        start = time.perf_counter()
        learned = train_self(index, seed=seed, force=True).learned
        seconds.append(time.perf_counter() - start)
        assert learned is not None
        assert learned.w is not None
        changes.append(change(index, judged_requests, learned, before))
        divergences.append(accept_unseen(training_set, learned.w).kl.change)
        plain, trained = (item_logits(training_set.keys, training_set.x, w) for w in (None, learned.w))
        gain = measure_answers(training_set, trained).ndcg - measure_answers(training_set, plain).ndcg
        for few, others in accepted.items():
            for draw in range(draws // SEEDS):
                order = np.random.default_rng(draw).permutation(len(requests))
                verdict = accept_unseen(training_set.take(np.sort(order[:few])), learned.w)
                others.append(float(gain[order[few:]].mean()) if verdict.accepted else None)
    cells = [f"{statistics.fmean(changes):+.4f}", f"{min(changes):+.4f}", f"{statistics.fmean(divergences):+.3f}"]
    for few in (20, 50):
        taken = [other for other in accepted.get(few, []) if other is not None]
        cells.append(f"{len(taken)} of {len(accepted.get(few, []))}")
        cells.append(f"{sum(taken) / max(len(accepted.get(few, [])), 1):+.4f}")
    yield [index.info.name, *cells, f"{max(seconds):.0f}"]


def curve(index: Index, judged_requests: list[Judged], _: int) -> Iterator[Sequence[object]]:
    """The change of nDCG@10 on held-out requests by the number of judged ones, the mean of three draws."""
    before = untrained(index, judged_requests)
    half = len(judged_requests) // 2
    for size in SIZES:
        if size > half:
            return
        changes = []
        for draw in range(3):
            order = np.random.default_rng(draw).permutation(len(judged_requests))
            training, held_out = ([judged_requests[n] for n in part] for part in (order[:size], order[half:]))
            changes.append(change(index, held_out, train(index, training).learned, before))
        yield [index.info.name, size, f"{statistics.fmean(changes):+.4f}"]


def plot(file: Path, rows: Sequence[Sequence[object]]) -> None:
    """Draw the rows of `curve`."""
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
        ("items", "requests", "nDCG@10", "KL", "calibration error", "with --lexical", "folds accepted", "s", "MiB"),
        folds,
    ),
    "few": (("draws", "accepted", "mean", "worst", "best"), few),
    "feedback": (("draws", "mean", "worst", "best"), feedback),
    "shuffled": (("draws", "answers of others", "any item", "items renamed"), shuffled),
    "self": (("mean", "worst", "KL", "20: accepted", "mean", "50: accepted", "mean", "s"), by_itself),
    "curve": (("judged", "gain"), curve),
}

if __name__ == "__main__":
    main()
