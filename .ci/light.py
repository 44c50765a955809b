"""The folder of attnsearch-light: the same package, documents, catalogs and man pages, without torch.

    python .ci/light.py build/light
    pip install build/light        # or: python -m build build/light

An extra can only add to what a package depends on, so that this has to be a package of its own.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = "attnsearch-light"
HEAVY = ("sentence-transformers", "torch")  # what it does without
EXTRAS = ("excel", "heads", "parquet", "plots", "zstd")  # the others are for development, or need what is heavy


def convert(text: str) -> str:
    """The pyproject.toml of attnsearch-light, from that of attnsearch."""
    for extra in tomllib.loads(text)["project"]["optional-dependencies"]:
        if extra not in EXTRAS:
            text = re.sub(rf"^{extra} = \[(\n(  .*\n)+)?.*\].*\n", "", text, flags=re.MULTILINE)
    text = re.sub(rf'^  "({"|".join(HEAVY)})\b.*\n', "", text, flags=re.MULTILINE)
    return text.replace('name = "attnsearch"\n', f'name = "{NAME}"\n', 1)


def write(folder: Path) -> None:
    """Write all that the package is built from to a folder, instead of what is there."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(convert(text), encoding="utf-8")
    includes = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for name in ("README.md", "LICENSE", *includes):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
