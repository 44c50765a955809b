"""A home of its own for every test, and an encoder that a person can compute by hand."""

from __future__ import annotations

import copy
import importlib.util
import io
import itertools
import os
import re
import signal
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"  # before any library reads it
os.environ["XDG_CONFIG_HOME"] = os.devnull  # no file with defaults, in processes of a test neither
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line sets it: two pools of threads compete for the cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background, and in all that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from hypothesis import settings

from attnsearch.calibration import calibrate
from attnsearch.encoding import loading
from attnsearch.encoding.encoder import OnTexts
from attnsearch.encoding.pieces import Pieces
from attnsearch.models.model import Model
from attnsearch.models.use import PLAIN, Use

# The same examples each time, on any machine: a test turns red only when the code changes.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

AXES = ("moon", "sea", "robot")

SHOP_FILE = "- {id: a, title: moon, description: Up there}\n- {id: b, title: sea}\n- {id: c, title: robot moon}\n"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """What a test printed, as text that can go between processes, which half a surrogate pair can't."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


class Terminal(io.StringIO):
    """A terminal in the place of a standard stream."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class SmallEncoder:
    """Counts three words, and all others on a fourth axis: "moon sea" is (1, 1, 0, 0)/√2.

    `read` collects the texts that it encodes.
    """

    window = query_window = 100
    use = PLAIN
    precision = "float32"
    quick = True
    is_known = True

    made = Model.made
    describe_change = Model.describe_change

    def __init__(self, name: str = "small", sha256: str = "5" * 64) -> None:
        self.folder = Path(os.devnull)
        self.name = name
        self.sha256 = sha256
        self.read: list[str] = []
        self.vocabulary: Sequence[str] | None = None

    @property
    def stamp(self) -> str:
        return self.sha256

    @property
    def identity(self) -> str:
        return self.sha256

    @property
    def model(self) -> SmallEncoder:
        """The encoder itself, which has a model's name, hash and stamp."""
        return self

    def encode(self, texts: Sequence[str], role: str = "key", progress: OnTexts | None = None):
        self.read += texts
        x = np.zeros((len(texts), len(AXES) + 1), np.float32)
        for row, text in zip(x, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or ["?"]:
                row[AXES.index(word) if word in AXES else len(AXES)] += 1
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        if progress:
            progress(range(len(texts)), x)
        return x

    def suited(self, length: int, precision: str | None = None) -> SmallEncoder:
        return self

    def tokens(self, text: str) -> list[str]:
        return ["<", *text.split(), ">"]

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [word.span() for word in re.finditer(r"\S+", text)]

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Without a `vocabulary`, every word: then nothing is misspelled."""
        return sorted(words) if self.vocabulary is None else [word for word in self.vocabulary if word in {*words}]

    def pieces(self, texts: Sequence[str], role: str = "key") -> list[Pieces]:
        """A piece a word: its axis, divided by the length of the text's sum. In "moon sea", each adds 1/√2."""
        pieces = []
        for text in texts:
            words = list(re.finditer(r"\w+", text.lower())) or [None]
            axes = [AXES.index(word[0]) if word and word[0] in AXES else len(AXES) for word in words]
            x = np.eye(len(AXES) + 1)[axes]
            spans = [word and word.span() for word in words]
            pieces.append(
                Pieces(spans, x / np.linalg.norm(x.sum(axis=0)), [word[0] if word else "?" for word in words])
            )
        return pieces


class VowelEncoder(SmallEncoder):
    """Counts five vowels, and one for each text, on six axes: the small encoder's fellow in a catalog of two heads."""

    def __init__(self, name: str = "vowels", sha256: str = "6" * 64) -> None:
        super().__init__(name, sha256)

    def encode(self, texts: Sequence[str], role: str = "key", progress: OnTexts | None = None):
        self.read += texts
        x = np.array([[text.lower().count(vowel) for vowel in "aeiou"] + [1] for text in texts], np.float32)
        x = x.reshape(-1, 6) / np.linalg.norm(x.reshape(-1, 6), axis=1, keepdims=True)
        if progress:
            progress(range(len(texts)), x)
        return x

    def pieces(self, texts: Sequence[str], role: str = "key") -> list[Pieces | None]:
        """None: they are not a sum over words."""
        return [None for _ in texts]


class WordsEncoder(SmallEncoder):
    """Adds up a random vector for each word: texts are alike if they share words."""

    def __init__(self) -> None:
        super().__init__("words", "7" * 64)

    def encode(self, texts: Sequence[str], role: str = "key", progress: OnTexts | None = None):
        self.read += texts
        words = [re.findall(r"\w+", text.lower()) or ["?"] for text in texts]
        rows = {
            word: np.random.default_rng(zlib.crc32(word.encode())).normal(size=96) / (9 if len(word) < 4 else 1)
            for word in {word for some in words for word in some}
        }
        x = np.array([sum(rows[word] for word in {*some}) for some in words], np.float32).reshape(-1, 96)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        if progress:
            progress(range(len(texts)), x)
        return x


class Ran(NamedTuple):
    """How a command ended: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home for each test, never the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ATTNSEARCH_HOME", str(folder))
    monkeypatch.delenv("ATTNSEARCH_CATALOG", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return folder


CALIBRATE_IF_NEW = calibrate.calibrate_if_new


@pytest.fixture(autouse=True)
def unfitted(monkeypatch):
    """No encoder is fitted when it first indexes something, which takes a quarter of a second; see `fitting`."""
    monkeypatch.setattr(calibrate, "calibrate_if_new", lambda *_: None)


@pytest.fixture
def fitting(monkeypatch, unfitted) -> WordsEncoder:
    """An encoder that tells catalogs apart, in place of every model; it is fitted when it first indexes something."""
    encoder = WordsEncoder()

    def load(name: str | None = None, use: Use | None = None, **options: object) -> WordsEncoder:
        used = copy.copy(encoder)
        used.use = use or PLAIN
        return used

    monkeypatch.setattr(calibrate, "calibrate_if_new", CALIBRATE_IF_NEW)
    monkeypatch.setattr(loading, "load", load)
    return encoder


@pytest.fixture
def small(monkeypatch) -> SmallEncoder:
    """The small encoder in place of every model."""
    encoder = SmallEncoder()
    monkeypatch.setattr(loading, "load", lambda name=None, **options: encoder)
    return encoder


@pytest.fixture
def two(monkeypatch) -> list[SmallEncoder]:
    """The small encoder, and beside it that of vowels, by the name `vowels`."""
    encoders = [SmallEncoder(), VowelEncoder()]
    monkeypatch.setattr(loading, "load", lambda name=None, **options: encoders[name == "vowels"])
    return encoders


def scores_of(index, texts: Sequence[str], setting=None):
    """The scores of queries in a setting."""
    from attnsearch.search.scoring import score
    from attnsearch.search.setting import DEFAULT

    resolved = (setting or DEFAULT).resolve(index, texts)
    return score(index.engine, resolved, index.encoder.encode(texts, "query"))


def logits_of(index, texts: Sequence[str], setting=None):
    """The scores of queries in a setting, and every logit."""
    from attnsearch.search.scoring import score_all
    from attnsearch.search.setting import DEFAULT

    resolved = (setting or DEFAULT).resolve(index, texts)
    return score_all(index.engine, resolved, index.encoder.encode(texts, "query"))


SHOP = "- {id: a, title: moon}\n- {id: b, title: sea, price: 3}\n- {id: c, title: robot}\n"


@pytest.fixture
def shop(write, small) -> Path:
    """The source of a catalog of three items, which is indexed."""
    from attnsearch.indexing.update import update

    path = write("shop.yaml", SHOP)
    update([str(path)])
    return path


def titles(ref: str | None = None) -> set[str]:
    """The titles of a catalog's items."""
    from attnsearch.opening.index import Index
    from tests.asking import query

    with Index.open(ref) as index:
        return {hit.title for hit in query(index, "moon", k=99).hits}


class Synced(NamedTuple):
    """A file or folder that was synced, what a folder held then, and the inode of the catalog `flipped` or `shop`."""

    path: Path
    names: set[str]
    catalog: int | None


@pytest.fixture
def synced(home, monkeypatch) -> list[Synced]:
    """Everything that is synced, in order."""
    events, fsync = [], os.fsync

    def note(handle):
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").resolve()
        names = {child.name for child in path.iterdir()} if path.is_dir() else set()
        catalog = next((folder.stat().st_ino for folder in (home / "flipped", home / "shop") if folder.exists()), None)
        events.append(Synced(path, names, catalog))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", note)
    return events


@pytest.fixture
def run(capsys, monkeypatch):
    """The command line in this process: argv and stdin → exit code, stdout, stderr."""
    from attnsearch.cli import main

    def run(*argv: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(word) for word in argv])
        return Ran(int(code), *capsys.readouterr())

    return run


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def shared() -> Path:
    """The folder of judged data; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the judged data (../shared/data) is not here")
    return SHARED


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Pages without pictures, for each of which matplotlib takes a second."""
    from attnsearch.pages import figures

    for name in ("picture_map", "picture_evaluation", "picture_training"):
        monkeypatch.setattr(figures, name, lambda *parts: None)
    monkeypatch.setattr(figures, "can_draw", lambda: False)


@pytest.fixture(scope="session")
def real():
    """The default model, loaded once."""
    return loading.load()


@pytest.fixture(scope="session")
def table():
    """The table of the package wordllama, loaded once; tests that need it are skipped without the package."""
    if not importlib.util.find_spec("wordllama"):
        pytest.skip("needs the extra [heads]")
    return loading.load("wordllama")


COUNTS = [counts for counts in itertools.product(range(4), repeat=3) if sum(counts) and max(counts) < 4]


def words(moon: int, sea: int, robot: int) -> str:
    return " ".join(["moon"] * moon + ["sea"] * sea + ["robot"] * robot)


@pytest.fixture
def world(write, small):
    """A catalog of all mixtures of three words, and requests that mean "sea" by "robot" and "robot" by "sea"."""
    mixtures = {tuple(np.round(np.array(c) / np.linalg.norm(c), 6)): c for c in COUNTS}.values()
    lines = [f"- {{id: {'-'.join(map(str, c))}, title: {words(*c)}}}\n" for c in mixtures]
    from attnsearch.indexing.update import update
    from attnsearch.opening.index import Index
    from attnsearch.sources.judgments import Judged

    update([str(write("world.yaml", "".join(lines)))])
    judged = [
        Judged(words(moon, sea, robot), {f"{moon}-{robot}-{sea}": 1.0})
        for moon, sea, robot in mixtures
        if (moon, robot, sea) in mixtures
    ]
    with Index.open("world") as index:
        yield index, judged


@pytest.fixture
def shop_file(write, small, monkeypatch, tmp_path) -> Path:
    """A file of three items that nobody has indexed yet, `shop.yaml` in the working folder."""
    path = write("shop.yaml", SHOP_FILE)
    monkeypatch.chdir(tmp_path)
    return path
