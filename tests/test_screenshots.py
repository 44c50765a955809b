"""The script that takes pictures of what the commands draw: it takes them, and names what does not fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.documents import ROOT

SCRIPT = ROOT / ".ci" / "screenshots.py"
BROWSER = os.environ.get("CHROMIUM", "chromium")


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(shutil.which(BROWSER) is None, reason="Chromium is not installed")
def test_pictures(tmp_path):
    """A terminal of 40 columns in 256 colors on a light background, and a page on a phone."""
    argv = [sys.executable, SCRIPT, tmp_path, "query-explain", "page-query"]
    process = subprocess.run(
        [*argv, "--columns", "40", "--colors", "256", "--light"], capture_output=True, text=True, check=True
    )
    assert process.stderr == ""
    pictures = [tmp_path / f"{name}.png" for name in ("query-explain-40-256-light", "page-query-40-light")]
    assert process.stdout.splitlines() == [str(picture) for picture in pictures]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
