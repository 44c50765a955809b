"""What a mask, a bias and a readout add to a whole `attnsearch query`, whose postings were made by an earlier one."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

from attnsearch.storage import home
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table

SIZES = (1_000, 1_000_000)
OPTIONS = {
    "no option": (),
    "--where 'year >= 1960', half of them": ("--where", "year >= 1960"),
    "--where 'shelf = 7', one in a hundred": ("--where", "shelf = 7"),
    "--where 'number < N/2', each its own": ("--where", "number < {half}"),
    "--lexical": ("--lexical",),
    "--lexical --where 'year >= 1960'": ("--lexical", "--where", "year >= 1960"),
    "--prior year": ("--prior", "year"),
    "--value year": ("--value", "year"),
    "--top-p 0.5 -k 10": ("--top-p", "0.5", "-k", "10"),
}


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--home", type=Path, help="keep the indexes there, for another run")
    asked = parser.parse_args()
    heading("Options of a cold query")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str((asked.home or Path(folder)).resolve())
        for size in asked.sizes:
            if not home.catalog_exists(home.catalog_folder(f"n{size}")):
                made.index(f"n{size}", size)
            query = (BIN / "attnsearch", "query", "the ocean at night", "--json", "-c", f"n{size}")
            runs = {
                name: partial(process, (*query, *(word.format(half=size // 2) for word in words)))
                for name, words in OPTIONS.items()
            }
            took = in_turn(runs, asked.rounds)
            plain = [one.seconds for one in took["no option"]]
            rows = [
                (name, statistics.median(one.seconds for one in runs), ratio([one.seconds for one in runs], plain),
                 round(statistics.median(one.mib for one in runs)))
                for name, runs in took.items()
            ]  # fmt: skip
            print(f"{size:,} items:\n")
            table(("query", "s", "times no option", "MiB"), rows)


if __name__ == "__main__":
    main()
