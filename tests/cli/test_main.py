"""Whole processes with the real model, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from attnsearch.pages import shades
from attnsearch.sources import items
from attnsearch.storage import home

pytestmark = pytest.mark.real

ATTNSEARCH = f"{sys.executable} -m attnsearch"


@pytest.fixture(scope="module")
def warm_home(tmp_path_factory):
    """A home in which the library is indexed already."""
    home = tmp_path_factory.mktemp("warm")
    env = {**os.environ, "ATTNSEARCH_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "attnsearch", "query", "x", "-q"], env=env, check=True, capture_output=True)
    return home


@pytest.fixture
def shell(warm_home, tmp_path):
    """Run a line in bash, where `attnsearch` is this one."""

    def shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "ATTNSEARCH_HOME": str(warm_home), **more}
        script = f'attnsearch() {{ {ATTNSEARCH} "$@"; }}; set -o pipefail; {line}'
        return subprocess.run(
            ["bash", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )

    return shell


def test_weights_are_the_softmax_of_twenty_cosines(shell, real):
    """The same numbers from a few lines of sentence-transformers and numpy."""
    from sentence_transformers import SentenceTransformer

    ran = shell('attnsearch query "science fiction" -k 1000 --json')
    assert (ran.returncode, ran.stderr) == (0, "")
    answer = json.loads(ran.stdout)

    library = list(items.read_items([str(home.built_in_file("library"))]).items)
    model = SentenceTransformer(str(real.model.folder), device="cpu")
    x = model.encode([item.text for item in library], normalize_embeddings=True).astype(float)
    cosines = x @ model.encode("science fiction", normalize_embeddings=True).astype(float)
    weights = np.exp(20 * cosines) / np.exp(20 * cosines).sum()
    expected = {item.id: weight for item, weight in zip(library, weights, strict=True)}

    assert {hit["id"]: hit["weight"] for hit in answer["hits"]} == pytest.approx(expected, abs=1e-5)
    assert sum(hit["weight"] for hit in answer["hits"]) == pytest.approx(1, abs=1e-5)
    assert answer["items"] == len(library)
    genre = {item.id: item.fields["genre"] for item in library}
    assert [genre[hit["id"]] for hit in answer["hits"][:5]] == ["science fiction"] * 5


def test_a_pipe_in_and_a_pipe_out(shell):
    ran = shell(r"printf 'a\nb\n' | attnsearch query --jsonl")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [json.loads(line)["query"] for line in ran.stdout.splitlines()] == ["a", "b"]


def test_a_reader_that_leaves_early(shell):
    ran = shell(r"for n in $(seq 300); do echo word $n; done | attnsearch query -k 99 --jsonl | head -1 | wc -l")
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "1", "")


def test_json_tool_reads_it(shell):
    ran = shell(f'attnsearch query "science fiction" --json | {sys.executable} -m json.tool')
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["hits"][0]["rank"] == 1


def test_ctrl_c(warm_home):
    """It waits for a line on stdin that never comes."""
    env = {**os.environ, "ATTNSEARCH_HOME": str(warm_home)}
    argv = [sys.executable, "-m", "attnsearch", "query"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "attnsearch: interrupted; all catalogs are intact\n"


def test_an_index_that_is_killed_leaves_what_was(shell, warm_home, tmp_path):
    lines = [json.dumps({"id": str(n), "title": f"Thing number {n}"}) for n in range(3000)]
    source = tmp_path / "things.jsonl"
    source.write_text("\n".join(lines[:2]))
    assert shell("attnsearch index things.jsonl").returncode == 0
    source.write_text("\n".join(lines))
    env = {**os.environ, "ATTNSEARCH_HOME": str(warm_home)}
    with subprocess.Popen([sys.executable, "-m", "attnsearch", "index", str(source)], env=env) as process:
        time.sleep(1.5)  # it imports, or embeds; it can't have finished
        process.kill()
    answer = json.loads(shell("attnsearch query thing -c things --json").stdout)
    assert answer["items"] == 2


def test_books_from_the_shared_data(shell, shared, tmp_path):
    """Index, ask, index again, change one line: forty of the 844 books, and the whole way."""
    lines = (shared / "catalogs" / "books_en_844.jsonl").read_text().splitlines(keepends=True)
    journey = [line for line in lines if "A Journey to the Centre of the Earth" in line]
    file = tmp_path / "books.jsonl"
    some = [*journey, *(line for line in lines[:39] if line not in journey)]
    file.write_text("".join(some))
    counts = rf"books: {len(some)} items in \d+ passages; "
    assert re.match(rf"{counts}{len(some)} new; \d+ embedded in", shell("attnsearch index books.jsonl").stdout)
    answer = json.loads(shell('attnsearch query "scientists climb down into a volcano" -c books --json').stdout)
    assert answer["hits"][0]["title"] == "A Journey to the Centre of the Earth"
    again = shell("attnsearch index books.jsonl").stdout
    assert re.fullmatch(f"{counts}nothing changed; nothing to embed\nread: title, description, .*\n", again)
    book = json.loads(some[-1])
    some[-1] = json.dumps({**book, "description": "Another description."}) + "\n"
    file.write_text("".join(some))
    assert re.match(f"{counts}1 changed; 1 embedded in", shell("attnsearch index books.jsonl").stdout)


def test_the_package_runs_without_its_development_tools(tmp_path):
    """Everything that `query` imports is a declared dependency, or comes with one."""
    program = (
        "import sys; from attnsearch.cli import main; main(['query', 'x', '-q']); print(*sys.modules, file=sys.stderr)"
    )
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert not {"pytest", "hypothesis", "mypy", "ruff"} & set(ran.stderr.split())


def test_a_query_is_quick_because_nothing_is_imported_for_nothing(warm_home):
    program = "import sys; from attnsearch.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    env = {**os.environ, "ATTNSEARCH_HOME": str(warm_home)}
    index = [sys.executable, "-m", "attnsearch", "index", str(home.built_in_file("kitchen")), "--name", "meals", "-q"]
    subprocess.run(index, env=env, check=True)
    argv = [sys.executable, "-c", program, "query", "a warm soup", "-c", "meals", "--json"]
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    loaded = set(ran.stderr.split())
    heavy = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "yaml", "rich", "hashlib", "asyncio"}
    heavy |= {"rapidfuzz", "Stemmer", "scipy", "numpy.ma", "shlex", "jinja2", "webbrowser", "matplotlib", "xml"}
    heavy |= {"attnsearch.serve", "attnsearch.wire", "pydantic", "fastapi", "starlette", "uvicorn", "mcp", "socket"}
    heavy |= {"dask", "distributed", "fsspec", "psycopg", "pgvector"}
    ours = {
        "attnsearch.cluster.dask",
        "attnsearch.cluster.remote",
        "attnsearch.postgres.connection",
        "attnsearch.postgres.store",
        "attnsearch.indexing.update",
        "attnsearch.indexing.writer",
        "attnsearch.indexing.checkpoint",
        "attnsearch.syntax.yaml12",
        "attnsearch.syntax.strict_json",
        "attnsearch.explanation.phrases",
        "attnsearch.explanation.following",
        "attnsearch.explanation.steps",
        "attnsearch.explanation.several",
        "attnsearch.explanation.saved",
        "attnsearch.explanation.reasons",
        "attnsearch.encoding.pieces",
        "attnsearch.pictures.reasons",
        "attnsearch.pages.page",
        "attnsearch.plots.figure",
        "attnsearch.explanation.map",
        "attnsearch.engines.covariance",
        "attnsearch.learning.curve",
        "attnsearch.pictures.walkthrough",
        "attnsearch.postings.filters",
        "attnsearch.postings.facets",
        "attnsearch.postings.terms",
        "attnsearch.postings.cache",
        "attnsearch.postings.vocabulary",
        "attnsearch.engines.bias",
        "attnsearch.search.readout",
        "attnsearch.sources.judgments",
        "attnsearch.sources.summary",
        "attnsearch.evaluation.report",
    }
    assert "attnsearch.networks.bert" in loaded
    assert not (heavy | ours) & loaded


def test_help_is_quick_because_nothing_heavy_is_imported(tmp_path):
    program = "import sys; from attnsearch.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    reads = ["list"], ["query", " "], ["index", str(Path("none.yaml"))]
    tells = ["--version"], ["--help"], ["query", "--help"], ["qery"], ["query", "-k", "x"]
    for argv in (*reads, *tells):
        env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path)}
        ran = subprocess.run(
            [sys.executable, "-c", program, *argv], env=env, capture_output=True, text=True, check=True
        )
        loaded = {name.split(".")[0] for name in ran.stderr.split()}
        assert "attnsearch" in loaded
        assert not {"torch", "transformers", "sentence_transformers", "huggingface_hub"} & loaded, argv
        assert not ("numpy" in loaded and argv in tells), argv


def test_the_wheel_carries_what_is_needed(tmp_path):
    """The built-in catalogs and the mark of a typed package; no tests."""
    root = Path(items.__file__).resolve().parents[2]
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"attnsearch/catalogs/{name}.yaml" for name in home.BUILT_IN} <= names
    assert {"attnsearch/py.typed", "attnsearch/cli/app.py"} <= names
    templates = {f"attnsearch/pages/templates/{path.name}" for path in shades.TEMPLATES.iterdir()}
    assert len(templates) > 3
    assert templates <= names
    assert not any(name.startswith("tests/") or "/test_" in name for name in names)


class TestTemporaryFiles:
    """SQLite's own hold texts of items, and can be as large as the catalog."""

    # The command line, with an encoder that prints which temporary files are open when all items have been compared.
    PROGRAM = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from attnsearch.cli import main
from attnsearch.encoding import loading
from attnsearch.models.use import PLAIN

def suited(length, precision=None):
    files = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    print(*(file for file in files if "etilqs" in file), sep="\\n")
    raise KeyboardInterrupt

model = SimpleNamespace(name="small", is_known=True, folder=Path(os.devnull))
encoder = SimpleNamespace(model=model, use=PLAIN, window=9999, query_window=9999, quick=True)
encoder.tokens, encoder.suited = str.split, suited
loading.load = lambda *names, **options: encoder
main(sys.argv[1:])
"""

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not show open files")
    @pytest.mark.parametrize("own", [None, "chosen"])
    def test_they_lie_in_the_home(self, tmp_path, own):
        """Or where the user wants SQLite's; not in the system's folder, which others share."""
        names = ("home", "system", "chosen")
        folders = {name: tmp_path / name for name in names}
        for folder in folders.values():
            folder.mkdir()
        items = tmp_path / "items.jsonl"
        items.write_text("".join(json.dumps({"id": f"i{n}", "title": "x" * 1000}) + "\n" for n in range(9_000)))
        env = {**os.environ, "ATTNSEARCH_HOME": str(folders["home"]), "TMPDIR": str(folders["system"])}
        env.pop("SQLITE_TMPDIR", None)
        if own:
            env["SQLITE_TMPDIR"] = str(folders[own])
        argv = [sys.executable, "-c", self.PROGRAM, "index", str(items), "-q"]
        ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        files = ran.stdout.split("\n")
        assert any(files), ran.stderr
        assert {Path(file).parent for file in files if file} == {folders[own or "home"]}

    def test_a_working_directory_that_is_gone(self, tmp_path):
        """Then nobody knows where a relative home is; but not every command needs it."""
        program = (
            "import os, sys; os.rmdir(os.getcwd()); from attnsearch.cli import main; sys.exit(main(['--version']))"
        )
        env = {**os.environ, "ATTNSEARCH_HOME": "home", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        ran = subprocess.run(
            [sys.executable, "-P", "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
