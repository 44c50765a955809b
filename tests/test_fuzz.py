"""Each target of the fuzzers over its seeds, which include all findings so far. To fuzz: `python -m tests.fuzz`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import SEEDS
from tests.fuzz.targets import LENGTHS, TARGETS

NAMES = {folder.name: sorted(file.name for file in folder.iterdir()) for folder in SEEDS.iterdir()}
FILES = [
    pytest.param(target, name, marks=[pytest.mark.real] if target == "tokenizer" else [])
    for target in sorted(NAMES)
    for name in NAMES[target]
]


@pytest.mark.parametrize(("target", "name"), FILES)
def test_seed(target, name):
    TARGETS[target]((SEEDS / target / name).read_bytes())


MANY = [pytest.param(target, name, marks=pytest.mark.slow) for target in sorted(LENGTHS) for name in NAMES[target]]


@pytest.mark.parametrize(("target", "name"), MANY)
def test_a_long_input(target, name):
    """The seed again and again, up to the target's limit; its first line stays the first."""
    head, _, rest = (SEEDS / target / name).read_bytes().partition(b"\n")
    TARGETS[target](head + b"\n" + (rest or head) * (LENGTHS[target] // len(rest or head) - 1))


def test_every_target_has_seeds():
    assert {folder.name for folder in SEEDS.iterdir() if any(folder.iterdir())} == set(TARGETS)


LATE = """
import sys
from tests.fuzz.__main__ import SEEDS
from tests.fuzz.targets import TARGETS
loaded = set(sys.modules)
for name, target in TARGETS.items():
    for file in (SEEDS / name).iterdir():
        target(file.read_bytes())
print(*sorted(name for name in set(sys.modules) - loaded if name.split(".")[0] in ("attnsearch", "yaml", "json")))
"""


@pytest.mark.real
def test_the_fuzzer_instruments_everything_that_the_targets_use():
    """libFuzzer is blind to the branches of a module that is first imported while a target runs."""
    root = Path(__file__).resolve().parents[1]
    late = subprocess.run([sys.executable, "-c", LATE], cwd=root, capture_output=True, text=True, check=True)
    assert late.stdout.split() == []
