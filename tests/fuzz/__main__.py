"""The runner: libFuzzer over one target, by atheris."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

SECONDS_PER_INPUT = 10
MEMORY = 1024  # MiB
LENGTH = 20_000  # bytes of an input
SEEDS = Path(__file__).parent / "seeds"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(folder.name for folder in SEEDS.iterdir()))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--found", type=Path, default=Path(".fuzz"), help="where inputs worth keeping go")
    told = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit('fuzzing needs atheris: pip install "attnsearch[fuzz]"')
    import atheris

    with atheris.instrument_imports(include=["attnsearch", "tests.fuzz", "json", "yaml"]):
        from tests.fuzz.targets import TARGETS

    corpus = told.found / told.target
    corpus.mkdir(parents=True, exist_ok=True)
    argv = [
        sys.argv[0],
        str(corpus),
        str(SEEDS / told.target),
        f"-max_total_time={told.seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={LENGTH}",
        f"-artifact_prefix={told.found}/{told.target}-",
        "-print_final_stats=1",
    ]
    atheris.Setup(argv, TARGETS[told.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
