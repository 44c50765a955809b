"""The script that takes pictures of what the commands draw: it takes them, and names what does not fit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from attnsearch.cli.app import COMMANDS
from tests.documents import ROOT

SCRIPT = ROOT / ".ci" / "screenshots.py"
BROWSER = os.environ.get("CHROMIUM", "chromium")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("screenshots", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_are_ours(script):
    names = {argv[0] for argv in (*script.COMMANDS.values(), *script.PAGES.values())}
    assert names <= set(COMMANDS)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(shutil.which(BROWSER) is None, reason="Chromium is not installed")
def test_pictures(tmp_path):
    """A terminal of 40 columns in 256 colors on a light background, a page on a phone, and one that is served."""
    argv = [sys.executable, SCRIPT, tmp_path, "query-explain", "page-query", "serve-item"]
    process = subprocess.run(
        [*argv, "--columns", "40", "--colors", "256", "--light"], capture_output=True, text=True, check=True
    )
    assert process.stderr == ""
    names = ("query-explain-40-256-light", "page-query-40-light", "serve-item-40-light")
    pictures = [tmp_path / f"{name}.png" for name in names]
    assert process.stdout.splitlines() == [str(picture) for picture in pictures]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
