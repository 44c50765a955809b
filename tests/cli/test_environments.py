"""Hostile environments: each ends in an answer or in one line, never in a traceback, never in exit code 1."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.encoding.tiny import bert

# As a user whom permissions bind, even where the tests run as root.
BOUND = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search"

ASK = "attnsearch query moon -c shop -q -k 1"
PYTHON = f'"{sys.executable}" -m attnsearch'  # not by a shell, which has something to say itself
GONE = "mkdir d; cd d; rmdir ../d"
THEIRS = "Permission denied; it belongs to [^;]+; set ATTNSEARCH_HOME to a folder of your own"
NO_PLACE = "[^\n]*can't be written: [^\n]+"


# What a process lacks that the tests can't take away: run by Python at its start.
PATCHES = """
import os
if os.environ.get("WITHOUT") == "names":
    import pwd
    pwd.getpwuid = {}.__getitem__
elif os.environ.get("WITHOUT") == "threads":
    import threading
    def refuse(thread):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = refuse
"""


class Case(NamedTuple):
    """A line of bash, in a folder of its own; its exit code, the pattern of its stderr, and a word of its stdout.

    `$HOME_` is a home with the catalog `shop`, `$FRESH` has nothing yet. Where the system decides how far a limit lets
    us come, there are several codes.
    """

    line: str
    code: int | tuple[int, ...] = 0
    err: str = ""
    out: str = ""


CASES = {
    # Homes
    "no HOME": Case(f"unset HOME; {ASK}", out="moon"),
    "an empty environment": Case(f"env -i PATH=$PATH ATTNSEARCH_HOME=$HOME_ {ASK}", out="moon"),
    "a relative XDG path": Case(
        "unset ATTNSEARCH_HOME; HOME=$FRESH XDG_DATA_HOME=rel attnsearch list && test ! -e rel", out="library"
    ),
    "the home of nobody": Case(
        f"ATTNSEARCH_HOME=~nosuch/x {ASK}", 2, "ATTNSEARCH_HOME=~nosuch/x: there is no home folder ~nosuch; set .+"
    ),
    "a home that is a file": Case(f"touch f; ATTNSEARCH_HOME=f {ASK}", 3, ".+"),
    "a home below a file": Case("touch f; ATTNSEARCH_HOME=f/x attnsearch index shop.yaml -q", 3, NO_PLACE),
    "/proc as a home": Case("ATTNSEARCH_HOME=/proc attnsearch index shop.yaml -q", 3, NO_PLACE),
    "/dev/null as a home": Case("ATTNSEARCH_HOME=/dev/null attnsearch index shop.yaml -q", 3, NO_PLACE),
    "a home with a name that is too long": Case(f"ATTNSEARCH_HOME=/{'x' * 300} {ASK}", 3, ".+"),
    "a home that is not UTF-8": Case("ATTNSEARCH_HOME=$(printf '/nowhere\\xff') attnsearch list", out="library"),
    "a home that others can't read": Case(f"chmod 0 $HOME_; {BOUND} {ASK}", 3, f".+: can't be opened: {THEIRS}"),
    "a list of that": Case(f"chmod 0 $HOME_; {BOUND} attnsearch list", 3, f".+: can't be read: {THEIRS}"),
    "no catalog named, in that": Case(f"chmod 0 $HOME_; {BOUND} attnsearch query moon", 3, f".+ be read: {THEIRS}"),
    "a home that can't be written": Case(f"chmod 555 $HOME_; {BOUND} {ASK}", out="moon"),
    "a catalog that can't be written": Case(f"chmod 555 $HOME_ $HOME_/shop; {BOUND} {ASK}", out="moon"),
    "one with an empty log": Case(
        f"cd $HOME_/shop; rm -f *-shm; : > index.sqlite-wal; chmod 555 . ..; {BOUND} {ASK}", out="moon"
    ),
    "an index in that": Case(
        f"chmod 555 $HOME_; {BOUND} attnsearch index new.yaml -q", 3, f".+: can't be written: {THEIRS}"
    ),
    "lost+found in the home": Case(f"mkdir -m 0 $HOME_/lost+found; {BOUND} attnsearch query moon -q", out="moon"),
    "a mask without permissions": Case(
        f"umask 777; ATTNSEARCH_HOME=$FRESH/other {BOUND} attnsearch index new.yaml -q", 3, f".+{THEIRS}"
    ),
    # Working folders
    "a folder that is gone": Case(f"{GONE}; {ASK.replace('attnsearch', PYTHON)}", out="moon"),
    "a file in that": Case(f"{GONE}; {PYTHON} index x.yaml", 2, "(the working folder|x.yaml): [Nn]o such file.*"),
    "a home in that": Case(f"{GONE}; ATTNSEARCH_HOME=rel {ASK.replace('attnsearch', PYTHON)}", (2, 3), ".+"),
    "a folder that can't be read": Case(f"mkdir -m 0 d; cd d; {BOUND} {ASK}", out="moon"),
    # Streams
    "no stdin": Case("attnsearch query -c shop <&-", 2, "no query on standard input; write one on each line"),
    "a stdin that can't be read": Case(
        "attnsearch query -c shop 0>/dev/null", 2, "standard input: Bad file descriptor"
    ),
    "no stdout": Case(f"{ASK} >&-", 2, "the output: Bad file descriptor"),
    "no stderr": Case("attnsearch query moon -c zzz 2>&-", 3),
    "no streams": Case(f"{ASK} <&- >&- 2>&-", 2),
    "a full disk": Case(f"{ASK} >/dev/full", 2, "the output: No space left on device"),
    "a full disk for lines": Case(
        "yes moon | head -3000 | attnsearch query -c shop -f csv >/dev/full", 2, "the output: No space left on device"
    ),
    "a full disk for help": Case("attnsearch query --help >/dev/full", 2, "the output: No space left on device"),
    "a full disk for errors": Case("attnsearch query moon -c zzz 2>/dev/full", 3),
    "a reader who has gone": Case("attnsearch query --help | true; exit ${PIPESTATUS[0]}"),
    "a reader who goes": Case(
        "yes moon | head -3000 | attnsearch query -c shop -f csv | head -1; exit ${PIPESTATUS[2]}", out="query"
    ),
    "no signal for that": Case(f"trap '' PIPE; {ASK} | true; exit ${{PIPESTATUS[0]}}"),
    # Encodings and languages
    "the C locale": Case(f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {ASK}", out="moon"),
    "help in the C locale": Case(
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 attnsearch query --help", out="softmax(QK^T/sqrt d_k)"
    ),
    "a query in the C locale": Case(
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 attnsearch query café -c shop", 2, "the query is not valid UTF-8"
    ),
    "an unknown language": Case(f"LANG=xx LC_ALL=xx_YY.foo {ASK}", out="moon"),
    "ASCII": Case("PYTHONIOENCODING=ascii attnsearch explain moon -c shop", out="exp(logit)"),
    "an encoding that is none": Case(f"PYTHONIOENCODING=idna {ASK}", out="moon"),
    # Limits
    "files of no bytes": Case("ulimit -f 0; ATTNSEARCH_HOME=$FRESH attnsearch index shop.yaml -q", 3, NO_PLACE),
    "an output of no bytes": Case(f"ulimit -f 0; {ASK} -o out.txt", (2, 3), ".+"),
    "few open files": Case(f"ulimit -n 8; {ASK}", (0, 2, 3, 4), ".*"),
    # Variables that libraries read
    "no TERM": Case(f"unset TERM; {ASK}", out="moon"),
    "a dumb terminal": Case(f"TERM=dumb {ASK}", out="moon"),
    "an unknown terminal": Case(f"TERM=$'\\e[31m' {ASK}", out="moon"),
    "no columns": Case(f"COLUMNS=0 LINES=0 {ASK}", out="moon"),
    "fewer columns": Case(f"COLUMNS=-5 LINES=-5 {ASK}", out="moon"),
    "columns in words": Case(f"COLUMNS=abc LINES=² {ASK}", out="moon"),
    "a million columns": Case(f"COLUMNS=1000000000 {ASK}", out="moon"),
    "a number without end": Case(f"COLUMNS={'9' * 5000} {ASK}", out="moon"),
    "one column": Case(f"COLUMNS=1 {ASK} --explain"),
    "help in one column": Case("COLUMNS=1 attnsearch query --help", out="Usage"),
    "a width in words": Case("TERMINAL_WIDTH=abc TYPER_USE_RICH=abc attnsearch query --help", out="Usage"),
    "an unknown time zone": Case(f"TZ=nowhere/x {ASK}", out="moon"),
    "no folder for temporary files": Case(f"TMPDIR=/nowhere SQLITE_TMPDIR=/nowhere {ASK}", out="moon"),
    "threads in words": Case(f"OPENBLAS_NUM_THREADS=abc RAYON_NUM_THREADS=abc {ASK}", out="moon"),
    "other folders in /proc": Case(f"HF_HOME=/proc XDG_CONFIG_HOME=/proc XDG_CACHE_HOME=/proc {ASK}", out="moon"),
    "a catalog that is a folder": Case("ATTNSEARCH_CATALOG=/ attnsearch query moon", 2, "/: is a folder; .+"),
    "a completion that is none": Case(f"_ATTNSEARCH_COMPLETE=abc {ASK}", 2, ".*"),
    "no docstrings": Case(f"PYTHONOPTIMIZE=2 {ASK}", out="moon"),
    # A user without a name, and a limit of processes
    "a user without a name": Case(
        "unset ATTNSEARCH_HOME HOME; WITHOUT=names attnsearch list --json", 3, ".*your home folder is not known: .+"
    ),
    "no threads": Case(f"export WITHOUT=threads; {ASK} && yes moon | head -300 | attnsearch query -c shop", out="moon"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A home with the catalog `shop`, and an executable `attnsearch`."""
    folder = tmp_path_factory.mktemp("environments")
    command = folder / "bin" / "attnsearch"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m attnsearch "$@"\n')
    command.chmod(0o755)
    (folder / "patches").mkdir()
    (folder / "patches" / "sitecustomize.py").write_text(PATCHES)
    (folder / "shop.yaml").write_text("- title: moon\n- title: the sea\n- title: a robot\n")
    argv = [command, "index", folder / "shop.yaml", "--model", bert(folder / "model"), "-q"]
    subprocess.run(argv, env={**os.environ, "ATTNSEARCH_HOME": str(folder / "home")}, check=True)
    return folder


@pytest.fixture
def shell(whole, tmp_path):
    """Run a line of bash in an empty folder, with a copy of the home."""
    shutil.copytree(whole / "home", tmp_path / "home")
    shutil.copy(whole / "shop.yaml", tmp_path / "new.yaml")
    shutil.copy(whole / "shop.yaml", tmp_path)

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        home = str(tmp_path / "home")
        env = {**os.environ, "PATH": f"{whole / 'bin'}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(whole / "patches"), *sys.path])
        env |= {"ATTNSEARCH_HOME": home, "HOME_": home, "FRESH": str(tmp_path)}
        return subprocess.run(
            ["bash", "-c", line], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    yield shell
    for folder in (tmp_path / "home", *(tmp_path / "home").glob("*")):
        folder.chmod(0o755)


def skip_unless_possible(line: str) -> None:
    """Skip a case for which this machine lacks a right, or a tool."""
    if BOUND in line and os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root is bound by no permission, and there is no setpriv")
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_ends_in_an_answer_or_in_one_line(case, shell):
    skip_unless_possible(case.line)
    ran = shell(case.line if os.geteuid() == 0 else case.line.replace(f"{BOUND} ", ""))
    assert ran.returncode in (case.code if isinstance(case.code, tuple) else (case.code,)), ran.stderr
    assert ran.returncode != 1
    assert "Traceback" not in ran.stderr
    assert re.fullmatch(f"(attnsearch: |{{)?{case.err}\n?", ran.stderr), ran.stderr
    assert case.out in ran.stdout
