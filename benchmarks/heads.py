"""What a second head gains: alone, beside --lexical and beside training, by its weight; and what it costs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attnsearch.evaluation import report
from attnsearch.evaluation.report import Evaluation
from attnsearch.indexing.update import update
from attnsearch.learning.training import train
from attnsearch.models.model import TABLE
from attnsearch.opening.index import Index
from attnsearch.search.setting import LEXICAL, Setting
from attnsearch.sources.judgments import Judged
from attnsearch.storage.files import folder_size
from benchmarks.learning import halves, mean, requests
from benchmarks.measure import in_turn, judged_sets, process, ratio, table, timed
from benchmarks.quality import write

WEIGHTS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
ROUNDS = 15
QUESTION = "how to keep an unusual request from being misunderstood"


def main() -> None:
    """Print the tables that --parts names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    with judged_sets(parser, "a second head", "sentence-transformers", "torch", TABLE) as arguments:
        for name in arguments.sets:
            write(name, arguments.home / f"{name}.jsonl")
        for part in arguments.parts:
            columns, measure = PARTS[part]
            rows: list[Sequence[object]] = []
            for name in arguments.sets:
                rows.extend(measure(name, arguments.home))
                print(rows[-1], flush=True)
            print(f"\n{(measure.__doc__ or '').splitlines()[0]}\n")
            table(("set", *columns), rows)


def gains(name: str, home: Path) -> Iterator[Sequence[object]]:
    """nDCG@10 and KL without and with the head: as it is, with --lexical, trained in two folds, with both."""
    judged = requests(name)
    cells: list[list[float]] = []
    for head in ("none", TABLE):
        update([str(home / f"{name}.jsonl")], name=name, heads=[head])
        with Index.open(name) as index:
            folds = [(held_out, Setting(learned=train(index, half).learned)) for half, held_out in halves(judged)]
            untrained = [(held_out, Setting(untrained=True)) for held_out, _ in folds]
            for settings in (untrained, folds):
                for lexical in (None, LEXICAL):
                    answers = [evaluate(index, held_out, setting, lexical) for held_out, setting in settings]
                    cells.append([mean(answers, metric) for metric in ("ndcg", "kl")])
    for number, metric in enumerate(("nDCG@10", "KL")):
        before, after = cells[: len(cells) // 2], cells[len(cells) // 2 :]
        pairs = zip(before, after, strict=True)
        yield [name, metric, *(f"{old[number]:.4f} → {new[number]:.4f}" for old, new in pairs)]


def evaluate(index: Index, held_out: Sequence[Judged], setting: Setting, lexical: float | None) -> Evaluation:
    """The evaluation of requests with or without --lexical."""
    return report.evaluate(index, held_out, setting._replace(lexical=lexical))


def weights(name: str, home: Path) -> Iterator[Sequence[object]]:
    """nDCG@10 without and with --lexical, and KL without, by the weight of the head."""
    judged = requests(name)
    rows: list[list[float]] = []
    for head in ("none", *(f"{TABLE}={weight}" for weight in WEIGHTS)):
        update([str(home / f"{name}.jsonl")], name=name, heads=[head])
        with Index.open(name) as index:
            plain, biased = (evaluate(index, judged, Setting(untrained=True), lexical) for lexical in (None, LEXICAL))
        rows.append([mean([plain], "ndcg"), mean([biased], "ndcg"), mean([plain], "kl")])
    for number, metric in enumerate(("nDCG@10", "nDCG@10, --lexical", "KL")):
        yield [name, metric, *(f"{row[number]:.4f}" for row in rows)]


def costs(name: str, home: Path) -> Iterator[Sequence[object]]:
    """Seconds to add the head, MB on disk, and a cold query with the head against one without it."""
    source, other = str(home / f"{name}.jsonl"), f"{name}-without"
    update([source], name=other)
    update([source], name=name, heads=["none"])
    seconds = timed(lambda: update([source], name=name, heads=[TABLE]))()
    time.sleep(0.1)
    update([source], name=name)
    query = [sys.executable, "-m", "attnsearch", "query", QUESTION, "--json", "-c"]
    runs = in_turn({catalog: lambda catalog=catalog: process([*query, catalog]) for catalog in (other, name)}, ROUNDS)
    without, with_head = runs[other], runs[name]
    sizes = [folder_size(home / catalog) / 1e6 for catalog in (other, name)]
    times = [[cost.seconds for cost in run] for run in (without, with_head)]
    peaks = [sorted(cost.mib for cost in run)[ROUNDS // 2] for run in (without, with_head)]
    yield [
        *(name, f"{seconds:.1f}", f"{sizes[0]:.1f} → {sizes[1]:.1f}", ratio(times[1], times[0])),
        f"{peaks[0]:.0f} → {peaks[1]:.0f}",
    ]


PARTS: dict[str, tuple[tuple[str, ...], Callable[[str, Path], Iterator[Sequence[object]]]]] = {
    "gains": (("", "as it is", "--lexical", "trained", "trained, --lexical"), gains),
    "weights": (("", "0", *map(str, WEIGHTS)), weights),
    "costs": (("seconds to add it", "MB", "times the query without it", "MiB"), costs),
}


if __name__ == "__main__":
    main()
