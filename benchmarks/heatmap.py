"""A heatmap as a whole process, by the number of requests and of items, beside a query of the same requests.

The items are embedded before. Their keys are random, so requests have little in common, and a heatmap has about as many
columns as it can: three for each request.
"""

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

SIZES = (1_000, 10_000, 1_000_000)
REQUESTS = (1, 100, 1_000)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--requests", type=int, nargs="+", default=REQUESTS)
    parser.add_argument("--home", type=Path, help="keep the indexes here, for another run")
    arguments = parser.parse_args()
    heading("Heatmaps", "scipy")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = str((arguments.home or Path(folder)).resolve())
        path = Path(folder) / "requests.txt"
        for size in arguments.sizes:
            if not home.catalog_exists(home.catalog_folder(f"n{size}")):
                made.index(f"n{size}", size)
            rows = []
            for count in arguments.requests:
                texts = list(made.texts(count))
                path.write_text("".join(f"{text}\n" for text in texts))
                catalog = ("-c", f"n{size}")
                runs = {
                    "query": partial(process, (BIN / "attnsearch", "query", *texts, "--jsonl", "-k", "3", *catalog)),
                    "heatmap": partial(process, (BIN / "attnsearch", "heatmap", "--requests", path, *catalog)),
                    "heatmap -f csv": partial(
                        process, (BIN / "attnsearch", "heatmap", "--requests", path, "-f", "csv", *catalog)
                    ),
                }
                costs = in_turn(runs, arguments.rounds)
                seconds = {name: [cost.seconds for cost in costs[name]] for name in runs}
                rows += [
                    (f"{count:,}", name, statistics.median(seconds[name]), ratio(seconds[name], seconds["query"]),
                     round(statistics.median(cost.mib for cost in costs[name])))
                    for name in runs
                ]  # fmt: skip
            print(f"{size:,} items:\n")
            table(("requests", "command", "s", "times query", "MiB"), rows)


if __name__ == "__main__":
    main()
