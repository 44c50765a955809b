"""The boundary of the process: standard streams that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnsearch import cli


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in bash, where `attnsearch` is this one."""
    script = f'attnsearch() {{ {sys.executable} -m attnsearch "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)


class TestClosedStreams:
    """A daemon, or cron, may start a program without standard streams."""

    @pytest.mark.parametrize(
        ("line", "code", "err"),
        [
            ("attnsearch list >&-", 0, ""),
            ("attnsearch list --json >&- <&-", 0, ""),
            ("attnsearch --help >&-", 0, ""),
            ("attnsearch query <&-", 2, "attnsearch: no query on standard input; write one on each line\n"),
            ("attnsearch query moon -c nowhere 2>&-", 3, ""),
            ("attnsearch query moon -c nowhere >&- 2>&- <&-", 3, ""),
            ("attnsearch query moon -c nowhere 2>/dev/full", 3, ""),
            ("attnsearch list >/dev/full", 2, "attnsearch: the output: No space left on device\n"),
            ("attnsearch list >/dev/full 2>/dev/full", 2, ""),
        ],
    )
    def test_no_traceback(self, line, code, err):
        ran = shell(line)
        assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", err)

    def test_no_other_file_gets_their_numbers(self, monkeypatch):
        """Or what is printed would be written into it."""
        monkeypatch.setattr(sys, "stdout", None)
        monkeypatch.setattr(sys, "stderr", None)
        cli._open_closed_streams()
        with sys.stdout, sys.stderr:
            sys.stdout.write("nobody reads this\n")
            sys.stderr.write("nor this\n")
            assert os.fstat(sys.stdout.fileno()).st_rdev == Path(os.devnull).stat().st_rdev

    def test_a_warning_that_nobody_reads_ends_nothing(self, home):
        home.mkdir()
        ran = shell("attnsearch list 2>/dev/full")
        assert ran.returncode == 0
        assert "library" in ran.stdout
