"""How well `query` ranks: nDCG@10 on the judged sets, beside the plain cosine and BM25 alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from attnsearch.indexing.update import update
from attnsearch.models.model import DEFAULT
from attnsearch.opening.index import Index
from attnsearch.search import search
from attnsearch.search.setting import Setting
from benchmarks.indexing import ndcg
from benchmarks.measure import DATA, Judged, judged, judged_sets, table

WEIGHTS = (0.1, 0.2, 0.3, 0.5)  # of the lexical bias


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=DEFAULT)
    rows = []
    with judged_sets(
        parser, "nDCG@10 of the judged sets", "bm25s", "PyStemmer", "sentence-transformers", "torch"
    ) as arguments:
        for name in arguments.sets:
            rows.append(measure(name, arguments.home / f"{name}.jsonl", arguments.model))
            print(rows[-1], flush=True)
    biased = (f"--lexical {weight}" for weight in WEIGHTS)
    table(("set", "items", "queries", "BM25 alone", "plain cosine", "attnsearch", *biased), rows)


def measure(name: str, source: Path, model: str) -> list[object]:
    """Index a set from a file of its items with a model; the set's row of the table."""
    data = judged(name)
    numbers = write(name, source)
    update([str(source)], name=name, model=model)
    with Index.open(name) as index:
        settings = [Setting(), *(Setting(lexical=weight) for weight in WEIGHTS)]
        rankings = [score_bm25(data), score_cosine(index, data, numbers)]
        rankings += [score_hits(index, data, numbers, setting) for setting in settings]
    return [name, len(numbers), len(data.grades), *(f"{ndcg(scores, data.grades):.3f}" for scores in rankings)]


def write(name: str, path: Path) -> dict[str, int]:
    """Write a file of the set's items, except those without text, which are refused; each id's number in the set."""
    lines = (DATA / name / "corpus.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines]
    numbers = {item["id"]: n for n, item in enumerate(items) if (item["title"] + item["description"]).strip()}
    path.write_text("".join(f"{lines[number]}\n" for number in numbers.values()))
    return numbers


def score_hits(index: Index, data: Judged, numbers: dict[str, int], setting: Setting) -> np.ndarray:
    """The logits of each query's hits, (queries, items); -inf for all other items."""
    scores = np.full((len(data.queries), len(data.items)), -np.inf)
    for row, result in zip(scores, search.search(index, data.queries, setting, k=10), strict=True):
        for hit in result.hits:
            row[numbers[hit.id]] = hit.logit
    return scores


def score_cosine(index: Index, data: Judged, numbers: dict[str, int]) -> np.ndarray:
    """The cosines of queries and whole texts, (queries, items), long texts cut at the model's window."""
    x = np.zeros((len(data.items), index.info.d), np.float32)
    keys = range(index.info.keys)
    whole = {numbers[item.id]: key for key, (item, passage) in zip(keys, index.store.items_at(keys), strict=True)
             if passage is None}  # fmt: skip
    x[list(whole)] = index.store.embeddings(list(whole.values()))
    long = sorted(set(numbers.values()) - set(whole))
    if long:
        x[long] = index.encoder.encode([data.items[number] for number in long])
    return index.encoder.encode(data.queries, "query") @ x.T


def score_bm25(data: Judged) -> np.ndarray:
    """BM25 scores by bm25s with its defaults, its stop words and Snowball's stems, (queries, items)."""
    import bm25s
    from Stemmer import Stemmer

    items, queries = (
        bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer("english"), return_ids=False, show_progress=False)
        for texts in (data.items, data.queries)
    )
    model = bm25s.BM25()
    model.index(items, show_progress=False)
    indexed = [[term for term in terms if term in model.vocab_dict] for terms in queries]
    return np.stack([model.get_scores(terms) if terms else np.zeros(len(items)) for terms in indexed])


if __name__ == "__main__":
    main()
