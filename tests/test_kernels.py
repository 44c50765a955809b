"""The numeric tests again under each OpenBLAS kernel that this processor can run: each rounds differently."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # each kernel runs a hundred tests in a process of its own

ROOT = Path(__file__).resolve().parents[1]

# The tests to run: in these files, all without the real encoder, except slow ones and those that load torch; and a few
# quick ones of the real encoder.
FAST = [
    "tests/attention/test_products.py",
    "tests/attention/test_softmax.py",
    "tests/engines/test_bias.py",
    "tests/engines/test_local.py",
    "tests/engines/test_ties.py",
    "tests/search/test_neighbors.py",
    "tests/search/test_setting.py",
    "tests/search/test_scoring.py",
    "tests/learning/test_bilinear.py",
    "tests/explanation/test_steps.py",
    "tests/attention/test_null_key.py",
    "tests/attention/test_projections.py",
    "tests/explanation/test_reasons.py",
    "tests/search/test_search.py",
    "tests/encoding/test_pieces.py",
    "tests/learning/test_trained.py::test_each_logit_is_a_sum_of_what_was_learned",
    "tests/networks/test_bert.py",
    "tests/learning/test_cross_validation.py",
]
SLOW = [
    "tests/attention/test_softmax.py::test_torch_says_the_same",
    "tests/search/test_setting.py::test_hiding_items_is_removing_them",
    "tests/explanation/test_reasons.py::test_all_sums_are_the_logit",
    "tests/networks/test_bert.py::test_transformers_says_the_same",
]
REAL = [
    "tests/encoding/test_fast.py::test_more_than_a_batch_keeps_its_order",
    "tests/explanation/test_reasons.py::test_a_few_items_add_up",
]

# The features that a processor needs, by numpy's names, for each kernel that OPENBLAS_CORETYPE can name. OpenBLAS does
# not check them: on a processor without them, a kernel dies of an illegal instruction.
KERNELS = {
    "Prescott": {"SSE3"},
    "Nehalem": {"SSE42"},
    "Sandybridge": {"AVX"},
    "Haswell": {"AVX2", "FMA3"},
    "Zen": {"AVX2", "FMA3"},
    "SkylakeX": {"AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL"},
    "Cooperlake": {"AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512BF16"},
    "ARMV8": {"ASIMD"},
    "NEOVERSEN1": {"ASIMDHP", "ASIMDDP"},
    "NEOVERSEV1": {"ASIMDHP", "ASIMDDP", "SVE"},
}
ALIASES = {"katmai": "prescott"}  # what OpenBLAS calls its oldest
ASK = "import numpy, threadpoolctl; print([x.get('architecture') for x in threadpoolctl.threadpool_info()][0])"


def features() -> set[str]:
    """The processor's features, by numpy's names."""
    return {name for name, has in np._core._multiarray_umath.__cpu_features__.items() if has}


def python(*argv: str, kernel: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a process whose OpenBLAS is asked for a kernel."""
    environment = {**os.environ, **({"OPENBLAS_CORETYPE": kernel} if kernel else {})}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


def kernel_used(kernel: str | None = None) -> str:
    """The kernel that OpenBLAS really uses when it is asked for one."""
    name = python("-c", ASK, kernel=kernel).stdout.strip().lower()
    return ALIASES.get(name, name)


@pytest.mark.skipif(
    "openblas" not in np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"],
    reason="numpy's BLAS is not OpenBLAS",
)
@pytest.mark.parametrize("kernel", KERNELS)
def test_numbers_hold_under_every_kernel(kernel, tmp_path):
    pytest.importorskip("threadpoolctl")
    if missing := KERNELS[kernel] - features():
        pytest.skip(f"this processor has no {', '.join(sorted(missing))}")
    if kernel_used() == kernel.lower():
        pytest.skip("all other tests use this kernel")
    if (used := kernel_used(kernel)) != kernel.lower():
        pytest.skip(f"this OpenBLAS uses {used} instead")
    for tests in (["-m", "not real", *FAST, *(f"--deselect={test}" for test in SLOW)], REAL):
        ran = python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}", *tests,
                     kernel=kernel)  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
