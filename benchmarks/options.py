"""What a mask, a bias and a readout add to a whole `attnsearch query`; an earlier query made their postings."""

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
    parser.add_argument("--home", type=Path, help="keep the indexes here, for another run")
    arguments = parser.parse_args()
    heading("Options of a cold query")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str((arguments.home or Path(folder)).resolve())
        for size in arguments.sizes:
            if not home.catalog_exists(home.catalog_folder(f"n{size}")):
                made.index(f"n{size}", size)
            query = (BIN / "attnsearch", "query", "the ocean at night", "--json", "-c", f"n{size}")
            runs = {
                name: partial(process, (*query, *(word.format(half=size // 2) for word in words)))
                for name, words in OPTIONS.items()
            }
            costs = in_turn(runs, arguments.rounds)
            seconds = {name: [cost.seconds for cost in costs[name]] for name in costs}
            rows = [
                (name, statistics.median(seconds[name]), ratio(seconds[name], seconds["no option"]),
                 round(statistics.median(cost.mib for cost in costs[name])))
                for name in costs
            ]  # fmt: skip
            print(f"{size:,} items:\n")
            table(("query", "s", "times no option", "MiB"), rows)


if __name__ == "__main__":
    main()
