"""One query as a whole process: attnsearch, `llm similar`, ten lines of sentence-transformers, and the floor.

The floor is a process that only imports what attnsearch must import. The others query the same 1,000 items, embedded
before, with the same model.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from attnsearch.encoding import loading
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table

QUERY = "science fiction"
FLOOR = "import numpy, typer, sqlite3, json, tokenizers"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=9)
    parser.add_argument("--items", type=int, default=1000)
    arguments = parser.parse_args()
    heading("Cold query", "typer", "tokenizers", "sentence-transformers", "torch", "llm", "llm-sentence-transformers")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        argvs = prepare(home, arguments.items)
        env = {"ATTNSEARCH_HOME": folder, "LLM_USER_PATH": str(home / "llm")}
        costs = in_turn({name: partial(process, argv, **env) for name, argv in argvs.items()}, arguments.rounds)
    seconds = {name: [cost.seconds for cost in costs[name]] for name in costs}
    ours, floor = seconds["attnsearch query --json"], seconds["the floor"]
    rows = []
    for name, times in seconds.items():
        mib = round(statistics.median(cost.mib for cost in costs[name]))
        rows.append((name, statistics.median(times), mib, ratio(times, ours), ratio(times, floor)))
    table(("process", "s", "MiB", "times ours", "times the floor"), rows)


def prepare(home: Path, count: int) -> dict[str, list[str | Path]]:
    """Index the same items for each process; the command lines that query them."""
    model = loading.load().model.folder
    items, embeddings, peer = home / "items.jsonl", home / "x.npy", f"sentence-transformers/{model}"
    made.jsonl(items, count)
    env = {"ATTNSEARCH_HOME": str(home), "LLM_USER_PATH": str(home / "llm")}
    process([BIN / "attnsearch", "index", items, "-q"], **env)
    process([BIN / "llm", "sentence-transformers", "register", str(model)], **env)
    contents = home / "contents.json"
    lines = [json.loads(line) for line in items.read_text().splitlines()]
    contents.write_text(json.dumps([{"id": line["id"], "content": line["description"]} for line in lines]))
    process([BIN / "llm", "embed-multi", "items", contents, "-m", peer, "--store"], **env)
    script = Path(__file__).with_name("ten_lines.py")
    argvs: dict[str, list[str | Path]] = {
        "attnsearch query --json": [BIN / "attnsearch", "query", QUERY, "-c", "items", "--json"],
        "attnsearch query": [BIN / "attnsearch", "query", QUERY, "-c", "items"],
        "the floor": [sys.executable, "-c", f"import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; {FLOOR}"],
        "ten lines": [sys.executable, script, model, items, embeddings, QUERY],
        "llm similar": [BIN / "llm", "similar", "items", "-c", QUERY],
    }
    for argv in argvs.values():
        output = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=True).stdout
        assert output.strip() or FLOOR in str(argv[-1]), argv
    return argvs


if __name__ == "__main__":
    main()
