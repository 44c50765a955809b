"""What it costs that items changed: the `index` run's postings, and the next query with --lexical and --where.

Keys are 8 numbers wide, so that what is measured is the postings.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from attnsearch.storage import home
from attnsearch.storage.files import folder_size
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, table

SIZES = (10_000, 100_000, 1_000_000)
CHANGED = 1_000
WIDTH = 8
WORDS = ("--lexical", "--where", "year >= 1960")


_REFRESH = (
    "import sys, pathlib; from attnsearch.postings import cache; cache.refresh_postings(pathlib.Path(sys.argv[1]))"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--changed", type=int, default=CHANGED, help="items that change")
    parser.add_argument("--home", type=Path, help="keep the indexes here, for another run")
    arguments = parser.parse_args()
    heading("Queries after a change")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str((arguments.home or Path(folder)).resolve())
        rows = [row for size in arguments.sizes for row in measure(size, arguments.rounds, arguments.changed)]
    table(("items", "", "s", "CPU s", "times no option", "MiB", "MiB of postings"), rows)


def measure(size: int, rounds: int, number: int) -> list[tuple[object, ...]]:
    """The rows of the table for one size."""
    name = f"w{size}"
    folder = home.catalog_folder(name)
    if not home.catalog_exists(folder):
        made.index(name, size, width=WIDTH)
    plain = partial(process, (BIN / "attnsearch", "query", "the ocean at night", "--json", "-c", name))
    asked = partial(process, (BIN / "attnsearch", "query", "the ocean at night", "--json", "-c", name, *WORDS))
    refresh = partial(process, (sys.executable, "-c", _REFRESH, str(folder)))
    refresh()  # the words, as `index` does
    first = asked()
    costs = in_turn({"no option": plain, "unchanged": asked}, rounds)
    made.change(name, size, number)
    refreshed = refresh()
    changed = asked()
    after = in_turn({"no option": plain, "later": asked}, rounds)
    none = statistics.median(cost.cpu for cost in costs["no option"])
    mib = round(folder_size(folder / "postings") / 2**20)
    rows = [
        ("the first query, which makes postings", [first]),
        ("no option", costs["no option"]),
        (" ".join(WORDS), costs["unchanged"]),
        (f"postings of {number:,} changed items, by `index`", [refreshed]),
        (f"the first after {number:,} items changed", [changed]),
        ("later ones", after["later"]),
    ]
    return [
        (f"{size:,}", what, statistics.median(cost.seconds for cost in runs),
         cpu := statistics.median(cost.cpu for cost in runs), cpu / none, round(max(cost.mib for cost in runs)), mib)
        for what, runs in rows
    ]  # fmt: skip


if __name__ == "__main__":
    main()
