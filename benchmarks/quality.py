"""How well it finds: nDCG@10 of the judged sets, as `query` ranks, beside plain cosine and BM25 alone."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from attnsearch.indexing.update import update
from attnsearch.search import search
from attnsearch.search.index import Index
from attnsearch.search.setting import Setting
from benchmarks.indexing import ndcg
from benchmarks.measure import DATA, SETS, Judged, heading, judged, table

WEIGHTS = (0.1, 0.2, 0.3, 0.5)  # of the lexical bias


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--home", type=Path, help="keep the indexes there, for another run")
    asked = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading("nDCG@10 of the judged sets", "bm25s", "PyStemmer", "sentence-transformers", "torch")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = (asked.home or Path(folder)).resolve()
        home.mkdir(exist_ok=True)
        os.environ["ATTNSEARCH_HOME"] = str(home)
        for name in asked.sets:
            rows.append(measure(name, home / f"{name}.jsonl"))
            print(rows[-1], flush=True)
    biased = (f"--lexical {weight}" for weight in WEIGHTS)
    table(("set", "items", "queries", "BM25 alone", "plain cosine", "attnsearch", *biased), rows)


def measure(name: str, source: Path) -> list[object]:
    """The row of a set, which is indexed from a file of its items."""
    told = judged(name)
    places = write(name, source)
    update([str(source)], name=name)
    with Index.open(name) as index:
        settings = [Setting(), *(Setting(lexical=weight) for weight in WEIGHTS)]
        found = [bm25(told), cosine(index, told, places)]
        found += [answers(index, told, places, setting) for setting in settings]
    return [name, len(places), len(told.grades), *(f"{ndcg(scores, told.grades):.3f}" for scores in found)]


def write(name: str, path: Path) -> dict[str, int]:
    """A file of the set's items, but for those without a word, which are refused; the place of each in the set."""
    lines = (DATA / name / "corpus.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines]
    places = {item["id"]: at for at, item in enumerate(items) if (item["title"] + item["description"]).strip()}
    path.write_text("".join(f"{lines[at]}\n" for at in places.values()))
    return places


def answers(index: Index, told: Judged, places: dict[str, int], setting: Setting) -> np.ndarray:
    """The logits (queries, items) of the hits that each query shows, -inf for all other items."""
    scores = np.full((len(told.queries), len(told.items)), -np.inf)
    for row, result in zip(scores, search.search(index, told.queries, setting, k=10), strict=True):
        for hit in result.hits:
            row[places[hit.id]] = hit.logit
    return scores


def cosine(index: Index, told: Judged, places: dict[str, int]) -> np.ndarray:
    """The cosines (queries, items) of whole texts, the long ones cut where the model stops reading."""
    x = np.zeros((len(told.items), index.info.d), np.float32)
    keys = range(index.info.keys)
    whole = {places[item.id]: key for key, (item, passage) in zip(keys, index.store.items_at(keys), strict=True)
             if passage is None}  # fmt: skip
    x[list(whole)] = index.store.embeddings(list(whole.values()))
    long = sorted(set(places.values()) - set(whole))
    if long:
        x[long] = index.encoder.encode([told.items[at] for at in long])
    return index.encoder.encode(told.queries, "query") @ x.T


def bm25(told: Judged) -> np.ndarray:
    """BM25 (queries, items), all by bm25s: its tokens, its defaults, Snowball's stems."""
    import bm25s
    from Stemmer import Stemmer

    items, queries = (
        bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer("english"), return_ids=False, show_progress=False)
        for texts in (told.items, told.queries)
    )
    model = bm25s.BM25()
    model.index(items, show_progress=False)
    known = [[term for term in terms if term in model.vocab_dict] for terms in queries]
    return np.stack([model.get_scores(terms) if terms else np.zeros(len(items)) for terms in known])


if __name__ == "__main__":
    main()
