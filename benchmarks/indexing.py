"""Embedding: loaded encoders and their peers, whole runs in each precision, what bfloat16 costs, indexing again.

The peers are sentence-transformers with its defaults and, if they are installed, fastembed, onnxruntime and OpenVINO,
which all run the same network, exported to ONNX. OpenBLAS should choose its kernel itself: see its name in the output.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attnsearch import threads
from attnsearch.encoding import loading, sbert
from attnsearch.encoding.fast import FastEncoder
from benchmarks import made
from benchmarks.measure import BIN, DATA, SETS, heading, in_turn, judged, process, ratio, table, timed

ENCODE = "SentenceTransformer.encode"
TEXTS = {"recipe_mpr": 1200, "cranfield": 160}  # of about 9 and 170 words


Encode = Callable[[Sequence[str]], np.ndarray]

_BUSY = "while True: pass"


def main() -> None:
    """Print the tables that the options name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--whole", nargs="*", type=int, metavar="ITEMS", help="whole runs over so many short items")
    parser.add_argument("--busy", action="store_true", help="while another process computes on every core")
    parser.add_argument(
        "--again", type=int, metavar="ITEMS", help="index this many, change one in a hundred, index again"
    )
    parser.add_argument("--quality", nargs="*", metavar="SET", help="nDCG@10 in both precisions, on any processor")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        for _ in range(threads.count() if arguments.busy else 0):
            stack.callback(subprocess.Popen([sys.executable, "-c", _BUSY]).kill)
        if arguments.again:
            index_again(arguments.again)
        elif arguments.whole is not None:
            compare_runs(arguments.whole or [1_000, 3_000, 10_000, 30_000])
        elif arguments.quality is None:
            compare_speed(arguments.rounds)
        else:
            compare_precisions(arguments.quality or SETS)


def compare_speed(rounds: int) -> None:
    """Loaded encoders in turn: ours in each precision, and the peers."""
    from threadpoolctl import threadpool_info

    fast = loading.load()
    assert isinstance(fast, FastEncoder)
    packages = [name for name in ("fastembed", "onnxruntime", "openvino") if importlib.util.find_spec(name)]
    heading("Embedding", "sentence-transformers", "torch", *packages)
    kernels = {pool["architecture"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    print(f"BLAS: {', '.join(sorted(kernels))}\n")
    runs: dict[str, Encode] = {"attnsearch, float32 in numpy": fast.encode}
    if sbert.is_bfloat16_fast():
        runs["attnsearch, bfloat16 in torch"] = fast.suited(0, "bfloat16").encode
    with peers(fast) as others:
        runs |= others
        for name, count in TEXTS.items():
            compare(judged(name).items[:count] if DATA.is_dir() else list(made.texts(count)), runs, rounds)


def compare(texts: list[str], runs: dict[str, Encode], rounds: int) -> None:
    """Print texts per second, how much faster than `encode()` that is, and the smallest cosine to its vectors."""
    vectors = {name: run(texts) for name, run in runs.items()}
    costs = in_turn({name: costed(partial(run, texts)) for name, run in runs.items()}, rounds)
    words = round(statistics.mean(len(text.split()) for text in texts))
    rows = []
    for name, times in costs.items():
        seconds, cpu = zip(*times, strict=True)
        theirs, their_cpu = zip(*costs[ENCODE], strict=True)
        cosine = np.vecdot(unit(vectors[name]), unit(vectors[ENCODE])).min()
        speed = round(len(texts) / statistics.median(seconds))
        rows.append((name, speed, ratio(theirs, seconds), ratio(their_cpu, cpu), f"{cosine:.6f}"))
    table((f"{len(texts):,} texts of {words} words", "texts/s", "times encode()", "in CPU seconds", "cosine"), rows)


def costed(run: Callable[[], object]) -> Callable[[], tuple[float, float]]:
    """Wrap a call so that it returns the seconds that it took, and those of processors."""

    def cost() -> tuple[float, float]:
        cpu, seconds = time.process_time(), timed(run)()
        return seconds, time.process_time() - cpu

    return cost


def unit(x: np.ndarray) -> np.ndarray:
    """The rows of x at length 1."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@contextmanager
def peers(fast: FastEncoder) -> Iterator[dict[str, Encode]]:
    """How peers embed texts: `encode()`, and those of the others that are installed."""
    from sentence_transformers import SentenceTransformer

    folder = fast.model.folder
    model = SentenceTransformer(str(folder), device="cpu")
    runs: dict[str, Encode] = {ENCODE: partial(model.encode, show_progress_bar=False)}
    with tempfile.TemporaryDirectory() as name:
        exported = Path(name) / "model.onnx"
        if importlib.util.find_spec("onnxruntime"):
            export(model, exported)
            runs["onnxruntime, sorted batches of 32"] = by_onnxruntime(fast, exported)
        if importlib.util.find_spec("fastembed") and exported.exists():
            for file in folder.glob("*.json"):
                shutil.copy(file, exported.parent)
            runs["fastembed"] = by_fastembed(exported)
        if importlib.util.find_spec("openvino") and exported.exists():
            for precision in ("f32", "bf16") if sbert.is_bfloat16_fast() else ("f32",):
                runs[f"OpenVINO, {precision}, sorted batches of 32"] = by_openvino(fast, exported, precision)
        yield runs


def export(model: Any, file: Path) -> None:
    """The network alone, word pieces → states, as ONNX."""
    import torch

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids, mask = torch.randint(1000, 2000, (2, 8)), torch.ones(2, 8, dtype=torch.long)
    mask[1, 5:] = 0

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model[0].model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.network(**dict(zip(names, inputs, strict=True))).last_hidden_state

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Network().eval(), (ids, mask, ids * 0), str(file), dynamo=False, opset_version=17, input_names=names,
            output_names=["states"], dynamic_axes={name: {0: "b", 1: "t"} for name in (*names, "states")},
        )  # fmt: skip


def in_batches(fast: FastEncoder, run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Encode:
    """Embed texts by `run`, inputs → states, 32 at a time, sorted by length: what `encode()` does."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        x = np.empty((len(texts), 384), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            encodings = fast._tokenizer.encode_batch([texts[i] for i in rows])
            longest = max(len(encoding.ids) for encoding in encodings)
            ids, mask = np.zeros((2, len(rows), longest), np.int64)
            for row, encoding in enumerate(encodings):
                ids[row, : len(encoding.ids)], mask[row, : len(encoding.ids)] = encoding.ids, 1
            states = run({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0})
            x[rows] = (states * mask[..., None]).sum(axis=1)
        return unit(x)

    return encode


def by_onnxruntime(fast: FastEncoder, file: Path) -> Encode:
    """By onnxruntime with its defaults."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file))
    return in_batches(fast, lambda inputs: session.run(None, inputs)[0])


def by_fastembed(file: Path) -> Encode:
    """By fastembed with its defaults: batches of 256 texts as they come."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        "local/model", PoolingType.MEAN, normalization=True, sources=ModelSource(hf="local/model"), dim=384,
        model_file=file.name,
    )  # fmt: skip
    model = TextEmbedding("local/model", specific_model_path=str(file.parent))
    return lambda texts: np.array(list(model.embed(list(texts))))


def by_openvino(fast: FastEncoder, file: Path, precision: str) -> Encode:
    """By OpenVINO with its defaults, in one precision."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    network = core.compile_model(core.read_model(file), "CPU", settings)
    return in_batches(fast, lambda inputs: network(inputs)[0])


def compare_runs(counts: list[int]) -> None:
    """Whole processes that index short items, in each precision: where loading torch pays."""
    heading("Indexing, whole processes", "sentence-transformers", "torch")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "items.jsonl"
        for count in counts:
            made.jsonl(source, count)
            characters = sum(len(text) for text in made.texts(count))
            for precision in ("float32", "bfloat16"):
                home = Path(folder) / precision / str(count)
                home.mkdir(parents=True)
                argv = [BIN / "attnsearch", "index", source, "-q", "--precision", precision]
                cost = process(argv, ATTNSEARCH_HOME=str(home))
                rows.append((f"{count:,}", f"{characters:,}", precision, cost.seconds, cost.cpu, round(cost.mib)))
    table(("items", "characters", "precision", "s", "CPU s", "MiB"), rows)


def index_again(count: int) -> None:
    """Whole processes: a new catalog, nothing changed, one item in a hundred changed."""
    heading(f"Indexing {count:,} items again")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "items.jsonl"

        def index(label: str, changed: int) -> tuple[str, float, int]:
            made.jsonl(source, count, changed)
            cost = process([BIN / "attnsearch", "index", source, "-q"], ATTNSEARCH_HOME=folder)
            return label, cost.seconds, round(cost.mib)

        runs = [index("all", 0), index("nothing changed", 0), index(f"{count // 100:,} changed", count // 100)]
    table(("what", "s", "MiB", "% of all"), [(*run, 100 * run[1] / runs[0][1]) for run in runs])


def compare_precisions(sets: list[str]) -> None:
    """What bfloat16 costs in quality: nDCG@10 (Järvelin & Kekäläinen 2002, linear gain) in both precisions."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    from benchmarks.halves import WideSums

    fast = loading.load()
    halves = fast.suited(0, "bfloat16")
    has_halves = fast.suited(sbert.CROSSOVER + 1).precision == "bfloat16"
    heading("nDCG@10 by precision", "sentence-transformers", "torch")
    if not has_halves:
        print("This processor has no bfloat16: rounded factors are multiplied in float32 instead.\n")
    rows = []
    for name in sets:
        items, _, queries, grades = judged(name)
        x, keys = fast.encode(queries, "query"), fast.encode(items)
        with nullcontext() if has_halves else WideSums():
            rounded = halves.encode(items)
        full, half = (ndcg(x @ k.T, grades) for k in (keys, rounded))
        cosine = np.vecdot(keys, rounded).min()
        rows.append((name, f"{full:.4f}", f"{half:.4f}", f"{half - full:+.4f}", f"{cosine:.5f}"))
        print(rows[-1], flush=True)
    table(("set", "float32", "bfloat16", "difference", "smallest cosine of the two"), rows)


def ndcg(scores: np.ndarray, grades: dict[int, dict[int, float]], k: int = 10) -> float:
    """nDCG@k of scores (queries, items), the mean over the judged queries."""
    discount = [1 / math.log2(rank + 2) for rank in range(k)]
    values = []
    for query, judged_items in grades.items():
        top = np.argsort(-scores[query], kind="stable")[:k].tolist()
        gain = sum(judged_items.get(item, 0) * d for item, d in zip(top, discount, strict=True))
        best = sum(g * d for g, d in zip(sorted(judged_items.values(), reverse=True), discount, strict=False))
        if best:
            values.append(gain / best)
    return statistics.mean(values)


if __name__ == "__main__":
    main()
