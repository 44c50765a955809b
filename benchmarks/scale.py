"""How the time and the memory of a whole `attnsearch query` grow with the catalog; `--plot FILE` draws it."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    heading("Cold query by size")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSEARCH_HOME"] = folder
        keys = {}
        for size in arguments.sizes:
            made.index(f"n{size}", size)
            files = (Path(folder) / f"n{size}" / "segments").iterdir()
            keys[size] = sum(file.stat().st_size for file in files) / 2**20

        query = (BIN / "attnsearch", "query", "science fiction", "--json", "-c")
        runs = {size: partial(process, (*query, f"n{size}")) for size in arguments.sizes}
        costs = in_turn(runs, arguments.rounds)
    seconds = {size: [cost.seconds for cost in costs[size]] for size in costs}
    least = arguments.sizes[0]
    rows = [
        (f"{size:,}", statistics.median(seconds[size]), ratio(seconds[size], seconds[least]), round(keys[size]),
         round(statistics.median(cost.mib for cost in costs[size]) - keys[size]))
        for size in arguments.sizes
    ]  # fmt: skip
    table(("items", "s", f"times {least:,}", "MiB of keys", "MiB beyond them"), rows)
    if arguments.plot:
        plot(arguments.plot, {size: statistics.median(seconds[size]) for size in seconds})


def plot(file: Path, seconds: dict[int, float]) -> None:
    """Draw the seconds of a query against the size of its catalog."""
    import matplotlib as mpl

    mpl.use("svg" if file.suffix == ".svg" else "agg")
    mpl.rcParams["svg.hashsalt"] = "attnsearch"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axes.semilogx(list(seconds), list(seconds.values()), marker="o")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("items in the catalog")
    axes.set_ylabel("one query as a whole process, s")
    axes.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
