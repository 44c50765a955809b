"""What it can't do: weights where several items are right, long items, negation, other languages."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from attnsearch.attention.projections import identity
from attnsearch.encoding.encoder import reads
from attnsearch.evaluation.report import evaluate
from attnsearch.hints.negation import find_unwanted
from attnsearch.opening.index import Index
from attnsearch.search.scoring import score_all
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.sources.judgments import Judged
from benchmarks.learning import opened, requests
from benchmarks.measure import judged_sets, table

TOP = 10
PASSAGES = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 1_000_000))  # of an item, from and to
FEWEST = 20  # items that a row is made of


def main() -> None:
    """Print the tables that --parts names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    with judged_sets(parser, "what it can't do") as arguments:
        for part in arguments.parts:
            columns, measure = PARTS[part]
            rows: list[Sequence[object]] = []
            for name in arguments.sets:
                with opened(name, arguments.home / f"{name}.jsonl") as index:
                    rows.extend((name, *row) for row in measure(index, requests(name)))
            print(f"\n{(measure.__doc__ or '').splitlines()[0]}\n")
            table(("set", *columns), rows)


def measure_mass(index: Index, judged: Sequence[Judged]) -> Iterator[Sequence[object]]:
    """What the tops with half, and with nine tenths of the attention hold; untrained."""
    evaluation = evaluate(index, judged, Setting(identity(index.info.d)))
    mass = evaluation.mass
    if mass:
        right = float(np.mean([row.relevant for row in evaluation.answerable]))
        half, most = mass.tops[4], mass.tops[8]
        errors = evaluation.calibration_error or 0.0, mass.calibration_error
        numbers = *errors, mass.weight, half.covered, half.right, most.covered, most.right
        yield f"{right:.1f}", *(f"{number:.3f}" for number in numbers)


def measure_long(index: Index, judged: Sequence[Judged]) -> Iterator[Sequence[object]]:
    """How often items with so many passages are in the top ten, divided by their share of the catalog."""
    store = index.store
    if store.first_keys is None:
        return
    firsts, passages = np.unique(store.first_keys, return_counts=True)
    asked = Setting(identity(index.info.d)).resolve(index, ())
    _, z = score_all(index.engine, asked, index.encoder.encode([request.query for request in judged], "query"))
    keys_of = store.keys_of([ident for request in judged for ident in request.grades])
    strangers: list[int] = []
    right: list[int] = []
    for logits, request in zip(z, judged, strict=True):
        wanted = {int(store.first_keys[keys_of[ident][0]]) for ident in request.relevant if ident in keys_of}
        top = {int(key) for key in store.first_keys[np.argsort(-logits, kind="stable")[:TOP]]}
        strangers += top - wanted
        right += wanted
    count_of = dict(zip(firsts.tolist(), passages.tolist(), strict=True))
    for low, high in PASSAGES:
        share = np.mean((passages >= low) & (passages <= high))
        if share * len(firsts) >= FEWEST:
            rates = [np.mean([low <= count_of[key] <= high for key in keys]) / share for keys in (strangers, right)]
            name = f"{low}" if low == high else f"{low} and more" if high > index.info.keys else f"{low} to {high}"
            yield name, f"{share * len(firsts):.0f}", *(f"{rate:.2f}" for rate in rates)


def measure_negation(index: Index, judged: Sequence[Judged]) -> Iterator[Sequence[object]]:
    """Requests that say what they do not want, and find it in their hits; with three of the words."""
    hints = [find_unwanted(index, result) for result in search(index, [request.query for request in judged], k=TOP)]
    words = [hint.word for hint in hints if hint]
    yield len(judged), len(words), ", ".join(words[:3])


def measure_languages(index: Index, judged: Sequence[Judged]) -> Iterator[Sequence[object]]:
    """English requests that are taken for another language."""
    yield len(judged), sum(not reads(index.encoder, request.query) for request in judged)


PARTS = {
    "mass": (
        ("right", "top weight's error", "all weights'", "mass", "in top .5", "of it right", "in top .9", "of it right"),
        measure_mass,
    ),
    "long": (("passages", "items", "strangers", "right items"), measure_long),
    "negation": (("requests", "with a hint", "such as"), measure_negation),
    "languages": (("requests", "unread"), measure_languages),
}


if __name__ == "__main__":
    main()
