"""Every target of the fuzzers over its seeds, what they once found among them; `python -m tests.fuzz` goes on."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import SEEDS
from tests.fuzz.targets import TARGETS

FILES = [
    pytest.param(folder.name, file.name, marks=[pytest.mark.real] if folder.name == "tokenizer" else [])
    for folder in sorted(SEEDS.iterdir())
    for file in sorted(folder.iterdir())
]


@pytest.mark.parametrize(("target", "name"), FILES)
def test_seed(target, name):
    TARGETS[target]((SEEDS / target / name).read_bytes())


def test_every_target_has_seeds():
    assert {folder.name for folder in SEEDS.iterdir() if any(folder.iterdir())} == set(TARGETS)
