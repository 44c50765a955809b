"""Run libFuzzer on one target, through atheris."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

SECONDS_PER_INPUT = 10
MEMORY = 1024  # MiB
SEEDS = Path(__file__).parent / "seeds"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(folder.name for folder in SEEDS.iterdir()))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="where interesting inputs and findings go")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit('fuzzing needs atheris: pip install "attnsearch[fuzz]"')
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line sets it
    import atheris

    with atheris.instrument_imports(include=["attnsearch", "tests.fuzz", "json", "yaml"]):
        from tests.fuzz.targets import LENGTH, LENGTHS, TARGETS

    corpus = arguments.corpus / arguments.target
    corpus.mkdir(parents=True, exist_ok=True)
    argv = [
        sys.argv[0],
        str(corpus),
        str(SEEDS / arguments.target),
        f"-max_total_time={arguments.seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={LENGTHS.get(arguments.target, LENGTH)}",
        f"-artifact_prefix={arguments.corpus}/{arguments.target}-",
        "-print_final_stats=1",
    ]
    atheris.Setup(argv, TARGETS[arguments.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
