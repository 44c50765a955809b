"""`publish`: the segments of a catalog at a URL, and last the manifest; and what workers are then asked for."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from attnsearch.cluster import address, urls
from attnsearch.cluster.publication import MANIFEST, parse_manifest
from attnsearch.errors import Exit
from attnsearch.opening import remote
from attnsearch.storage.files import PUBLISHED
from attnsearch.storage.segment import load_segment
from attnsearch.storage.store import Store
from tests.engines.test_conformance import ask_here

fsspec = pytest.importorskip("fsspec", reason="needs the extra [dask]")

ROOT = Path(__file__).parents[2]
TCP = ("--on", "tcp://127.0.0.1:1")


class Shop:
    """A catalog whose every state has segments of its own, and a folder where it is published."""

    def __init__(self, write, run, tmp_path) -> None:
        self._write, self._run = write, run
        self.folder = Path(os.environ["ATTNSEARCH_HOME"]) / "shop"
        self.url = tmp_path / "there"

    def index(self, *words: str, keep: bool = True) -> None:
        items = [{"id": word, "title": word, "description": word} for word in words]
        path = self._write("shop.json", json.dumps(items))
        assert self._run("index", path, *["--keep"] * keep).code == 0

    def publish(self, *argv: str):
        return self._run("publish", "shop", *(argv or [str(self.url)]))

    @property
    def state(self) -> tuple[str, set[str]]:
        """The commit, and the files of its segments."""
        with Store(self.folder) as store:
            return store.info.commit, {row.file for row in store.segments}

    @property
    def manifest(self) -> dict:
        return json.loads((self.url / MANIFEST).read_text())

    @property
    def published(self) -> tuple[str, set[str]]:
        """The commit that is published, all of whose segments are verified, and their files."""
        manifest = self.manifest
        for row in manifest["segments"]:
            sums = base64.b64decode(row["sums"])
            load_segment(self.url, row["file"], (row["rows"], manifest["d"]), sums)
        return manifest["commit"], {row["file"] for row in manifest["segments"]}

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.url.iterdir()} - {MANIFEST}


@pytest.fixture
def shop(write, small, run, tmp_path):
    made = Shop(write, run, tmp_path)
    made.index("moon", "sea", "robot")
    return made


@pytest.fixture
def on(run, monkeypatch):
    """A query on a cluster, which is this process: tasks and answers are noted."""
    asked = []

    class Here:
        def __init__(self, address: str, **_: object) -> None:
            pass

        def ask(self, tasks):
            asked.extend(piece["file"] for task in tasks for piece in task["pieces"])
            return ask_here(tasks)

        def close(self) -> None:
            pass

    monkeypatch.setattr(remote, "Cluster", Here)
    monkeypatch.setattr(address, "check_address", lambda address: None)

    def query(*argv: str):
        asked.clear()
        ran = run("query", "moon", "-c", "shop", "--json", *argv)
        return ran, [*asked]

    return query


def test_what_is_published(shop):
    ran = shop.publish(str(shop.url), "--json")
    report = json.loads(ran.out)
    commit, files = shop.state
    size = sum((shop.url / file).stat().st_size for file in files)
    assert report == {
        "schema": 1, "catalog": "shop", "url": str(shop.url), "commit": commit, "segments": 1, "written": 1,
        "bytes": size, "removed": 0,
    }  # fmt: skip
    assert shop.published == shop.state
    assert shop.files == files
    manifest = shop.manifest
    with Store(shop.folder) as store:
        info, (row,) = store.info, store.segments
    (segment,) = manifest.pop("segments")
    assert manifest == {
        "attnsearch": "a published catalog", "version": 1, "name": "shop", "form": 6, "commit": commit,
        "model": info.model, "sha256": info.sha256, "identity": info.identity, "d": info.d,
        "temperature": info.temperature, "before": [],
    }  # fmt: skip
    assert (segment["first"], segment["rows"], segment["dead"], segment["joined"]) == (row.first, 3, None, None)


def test_only_what_is_new_is_written_and_the_state_before_stays(shop):
    shop.publish()
    states = [shop.state]
    for words in (["moon moon"], ["sea sea"], ["robot robot"], ["moon sea"], ["robot"], ["sea"], ["moon"]):
        shop.index(*words, keep=len(states) < 5)
        states.append(shop.state)
        old = shop.files
        ran = shop.publish()
        before, (commit, files) = states[-2:]
        removed = old - shop.files
        assert shop.published == (commit, files)
        assert files | before[1] == shop.files
        assert removed == old - before[1] - files
        note = f"; {len(removed)} file{'s' * (len(removed) > 1)} removed" if removed else ""
        assert f"{len(files - before[1])} of {len(files)} segment" in ran.out
        assert ran.out.endswith(f" bytes{note}\n")
        assert len(files - before[1]) == 1 or not files & before[1]  # which a merge of small segments wrote


def test_again_without_a_change_nothing_is_written(shop, monkeypatch):
    shop.publish()
    shop.index("moon sea", keep=False)
    shop.publish()
    before = shop.manifest["before"], shop.files
    assert len(before[0]) == 1
    monkeypatch.setattr(urls._Folder, "write", None)
    monkeypatch.setattr(urls._Folder, "remove", None)
    assert "0 of 1 segment written" in shop.publish().out
    assert (shop.manifest["before"], shop.files) == before


def test_what_killed_runs_left_goes_if_asked(shop):
    shop.publish()
    old = shop.files
    shop.index("moon sea", keep=False)
    shop.publish()
    left = {f"{uuid.uuid4().hex}.npy", f".{uuid.uuid4().hex}-{uuid.uuid4().hex}", f".manifest.json-{uuid.uuid4().hex}"}
    for name in (*left, "notes.txt"):
        (shop.url / name).write_bytes(b"")
    shop.publish()
    assert left < shop.files
    spoiled = next(iter(shop.state[1]))
    (shop.url / spoiled).write_bytes(b"?" * (shop.url / spoiled).stat().st_size)
    report = json.loads(shop.publish("--again", "--json").out)
    assert (report["written"], report["removed"]) == (1, 3)
    assert shop.files == {*old, spoiled, "notes.txt"}
    assert shop.published == shop.state


@pytest.mark.parametrize("how", ["shorter", "other sums"])
def test_a_segment_that_is_there_with_another_size_or_sums_is_written_anew(shop, how):
    shop.publish()
    (file,) = shop.state[1]
    if how == "shorter":
        (shop.url / file).write_bytes((shop.url / file).read_bytes()[:-1])
    else:
        manifest = shop.manifest
        manifest["segments"][0]["sums"] = base64.b64encode(b"?" * 16).decode()
        (shop.url / MANIFEST).write_text(json.dumps(manifest))
    assert "1 of 1 segment written" in shop.publish().out
    assert shop.published == shop.state


DIE = """
import os, signal, sys
from pathlib import Path
from attnsearch.cluster import urls, publication
from attnsearch.storage import files
folder, url, stop = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def step(frame, event, arg):
    global left
    if frame.f_code.co_name in STEPS and event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return step
STEPS = ("_publish", "write", "remove", "replacing", "replace_file", "sync", "create")
state = {path.name: path.read_bytes() for path in Path(url).iterdir()}
record = (folder / "published.json").read_bytes()
for steps in range(1, 1000):
    child = os.fork()
    if not child:
        left = steps
        sys.settrace(step)
        publication.publish(folder, url)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    manifest = publication.parse_manifest((Path(url) / "manifest.json").read_bytes())
    names = {path.name for path in Path(url).iterdir()}
    whole = all((Path(url) / file).read_bytes() == (folder / "segments" / file).read_bytes()
                if (folder / "segments" / file).exists() else state[file] == (Path(url) / file).read_bytes()
                for file in manifest.sums)
    noted = publication.read_publication(folder).commit
    print(status, manifest.commit, whole, noted, flush=True)
    if status != -signal.SIGKILL:
        break
    for path in Path(url).iterdir():
        path.unlink()
    for name, raw in state.items():
        (Path(url) / name).write_bytes(raw)
    (folder / "published.json").write_bytes(record)
"""


def test_killed_between_any_two_steps(shop):
    """The old state is published, or the new one, each whole; and nothing asks for a state that is not there."""
    shop.publish()
    for words in (["moon moon"], ["sea sea"]):  # so that there is something to remove
        shop.index(*words)
        shop.publish()
    old = shop.state[0]
    shop.index("robot robot")
    new = shop.state[0]
    ran = subprocess.run(
        [sys.executable, "-c", DIE, shop.folder, shop.url, "0"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    *killed, at_last = [line.split() for line in ran.stdout.decode().splitlines()]
    assert {status for status, *_ in killed} == {str(-signal.SIGKILL)}
    assert at_last == ["0", new, "True", new]
    states = [(commit, noted) for _, commit, whole, noted in killed]
    assert all(whole == "True" for _, _, whole, _ in killed)
    assert list(dict.fromkeys(states)) == [(old, old), (new, old), (new, new)]


@pytest.mark.parametrize("step", ["list_files", "create", "write", "remove"])
def test_two_at_once(shop, monkeypatch, step):
    """Another one publishes a newer state at any step of the first: one of the two is published, whole."""
    shop.publish()
    for words in (["moon moon"], ["sea sea"]):
        shop.index(*words)
        shop.publish()
    shop.index("robot")
    calls = 0
    number = 0
    honest = getattr(urls._Folder, step)

    def interrupt(self, *given):
        nonlocal calls
        calls += 1
        if calls == number + 1:
            monkeypatch.setattr(urls._Folder, step, honest)
            shop.index(f"robot robot {number}")
            assert shop.publish().code == 0
        return honest(self, *given)

    while True:
        calls = 0
        shop.index(f"moon sea {number}")
        monkeypatch.setattr(urls._Folder, step, interrupt)
        first = shop.state
        ran = shop.publish()
        assert ran.code in (Exit.DONE, Exit.CATALOG), ran.err
        monkeypatch.setattr(urls._Folder, step, honest)
        assert shop.published in (first, shop.state)
        if calls <= number:
            break
        number += 1
    assert number >= 1
    assert shop.publish().code == 0
    assert shop.published == shop.state


class TestRefused:
    def test_own_folders(self, shop, run, tmp_path):
        home = shop.folder.parent
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "index.sqlite").write_bytes(b"")
        (tmp_path / "link").symlink_to(home)
        for url in (home, shop.folder, shop.folder / "x", home / "new", copy / "segments", tmp_path / "link" / "new"):
            ran = shop.publish(str(url))
            assert ran.code == Exit.USAGE
            assert ran.err.endswith(": catalogs lie there; publish to another folder\n")

    def test_a_folder_with_other_files(self, shop):
        shop.url.mkdir()
        (shop.url / "letter.txt").write_text("dear")
        ran = shop.publish()
        assert ran.code == Exit.USAGE
        assert ran.err == f"attnsearch: {shop.url}: has other files, such as letter.txt; publish to another folder\n"
        assert shop.files == {"letter.txt"}

    def test_another_catalog(self, shop, run, write):
        shop.publish()
        run("index", write("books.json", '[{"title": "moon"}]'))
        ran = run("publish", "books", str(shop.url))
        assert ran.code == Exit.USAGE
        assert "the catalog 'shop' is published there; publish to another folder" in ran.err

    def test_no_folder(self, shop, tmp_path):
        ran = shop.publish(str(tmp_path / "a" / "b"))
        assert ran.code == Exit.CATALOG
        assert f"can't publish there: there is no such folder or bucket; see that {tmp_path / 'a'} is there" in ran.err

    def test_no_url(self, shop):
        ran = shop.publish("--quiet")
        assert ran.code == Exit.USAGE
        assert ran.err == "attnsearch: 'shop' is not published yet; say where: attnsearch publish shop URL\n"

    def test_none_and_a_url(self, shop):
        assert shop.publish(str(shop.url), "--none").code == Exit.USAGE

    def test_what_is_damaged(self, shop):
        (file,) = shop.state[1]
        raw = bytearray((shop.folder / "segments" / file).read_bytes())
        raw[-1] ^= 1
        (shop.folder / "segments" / file).write_bytes(raw)
        ran = shop.publish()
        assert ran.code == Exit.CATALOG
        assert "the catalog is damaged" in ran.err
        assert shop.files == set()

    def test_what_does_not_arrive(self, shop, monkeypatch):
        monkeypatch.setattr(urls._Folder, "write", lambda *_: None)
        ran = shop.publish()
        assert ran.code == Exit.CATALOG
        assert "did not arrive whole" in ran.err
        assert not (shop.folder / PUBLISHED).exists()

    def test_a_catalog_that_keeps_changing(self, shop, monkeypatch):
        def vanish(*_, **__):
            raise FileNotFoundError

        monkeypatch.setattr("attnsearch.cluster.publication.load_listed", vanish)
        ran = shop.publish()
        assert ran.code == Exit.CATALOG
        assert "the catalog changed while it was published; publish it again" in ran.err


HOSTILE = {
    "no JSON": lambda m: "{",
    "no object": lambda m: [],
    "deep": lambda m: "[" * 100_000,
    "no version": lambda m: {**m, "version": "1"},
    "newer": lambda m: {**m, "version": 2},
    "no name": lambda m: {name: value for name, value in m.items() if name != "name"},
    "a number as name": lambda m: {**m, "name": 1},
    "no width": lambda m: {**m, "d": 0},
    "too wide": lambda m: {**m, "d": 1 << 40},
    "true as width": lambda m: {**m, "d": True},
    "no temperature": lambda m: {**m, "temperature": float("nan")},
    "no list": lambda m: {**m, "segments": 5},
    "no segment": lambda m: {**m, "segments": [5]},
    "twice": lambda m: {**m, "segments": [m["segments"][0], {**m["segments"][0], "first": 9}]},
    "overlap": lambda m: {**m, "segments": [{**m["segments"][0], "first": -1}]},
    "far": lambda m: {**m, "segments": [{**m["segments"][0], "first": 1 << 32}]},
    "no rows": lambda m: {**m, "segments": [{**m["segments"][0], "rows": 0}]},
    "many rows": lambda m: {**m, "segments": [{**m["segments"][0], "rows": 1 << 30}]},
    "a path": lambda m: {**m, "segments": [{**m["segments"][0], "file": "../../etc/passwd"}]},
    "a path before": lambda m: {**m, "before": ["../shop.json"]},
    "before of another type": lambda m: {**m, "before": [5]},
    "no sums": lambda m: {**m, "segments": [{**m["segments"][0], "sums": None}]},
    "short sums": lambda m: {**m, "segments": [{**m["segments"][0], "sums": "AAAA"}]},
    "no base64": lambda m: {**m, "segments": [{**m["segments"][0], "sums": "?"}]},
    "long marks": lambda m: {**m, "segments": [{**m["segments"][0], "dead": "AAAAAAAA"}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifests(shop, name):
    shop.publish()
    assert parse_manifest(json.dumps(shop.manifest).encode()).name == "shop"
    hostile = HOSTILE[name](shop.manifest)
    text = hostile if isinstance(hostile, str) else json.dumps(hostile)
    (shop.url / MANIFEST).write_text(text)
    ran = shop.publish()
    assert ran.code == Exit.CATALOG, ran.err
    assert f"{shop.url}/{MANIFEST}: is not a manifest of attnsearch: " in ran.err
    assert ran.err.count("\n") == 1
    assert (shop.url / MANIFEST).read_text() == text


class TestAsked:
    @pytest.fixture(params=["folder", "memory"])
    def url(self, request, shop, tmp_path, monkeypatch):
        monkeypatch.setenv("ATTNSEARCH_CACHE", str(tmp_path / "cache"))
        return str(shop.url) if request.param == "folder" else f"memory://{uuid.uuid4().hex}/shop"

    def test_the_workers_read_what_is_published(self, shop, on, url):
        shop.index("moon sea")
        alone = json.loads(on()[0].out)
        shop.publish(url)
        ran, asked = on(*TCP)
        answer = json.loads(ran.out)
        assert answer.pop("parts") == {"segments": 2, "workers": 1}
        assert {**answer, "elapsed_ms": 0} == {**alone, "elapsed_ms": 0}
        assert sorted(asked) == sorted(f"{url}/{file}" for file in shop.state[1])

    def test_processes_here_read_the_folder(self, shop, on, url):
        shop.publish(url)
        assert on("--on", "local:2")[1] == [str(shop.folder / "segments" / file) for file in shop.state[1]]

    def test_a_catalog_that_changed_is_published_again(self, shop, on, url):
        shop.publish(url)
        shop.index("moon sea")
        ran, asked = on(*TCP)
        assert (ran.code, asked) == (Exit.CATALOG, [])
        error = json.loads(ran.err)["error"]
        assert error["message"] == f"shop: the catalog changed since it was published at {url}"
        assert error["hint"] == "publish it again: attnsearch publish shop"
        assert shop.publish("--quiet").out == ""
        ran, asked = on(*TCP)
        assert (ran.code, len(asked)) == (0, 2)

    def test_not_any_more(self, shop, on, url):
        shop.publish(url)
        assert shop.publish("--none").out == "shop: workers read its folder\n"
        assert on(*TCP)[1] == [str(shop.folder / "segments" / file) for file in shop.state[1]]
        assert shop.publish("--none").code == 0

    def test_nothing_is_asked_after_a_record_that_is_damaged(self, shop, on, url):
        shop.publish(url)
        for raw in ("", "[]", "[" * 9_000, "5", '{"url": 5, "commit": ""}', '{"url": "s3://a", "commit": 5}',
                    '{"url": "s3://a/../b", "commit": "x"}', '{"url": "relative", "commit": "x"}'):  # fmt: skip
            (shop.folder / PUBLISHED).write_text(raw)
            ran, asked = on(*TCP)
            assert (ran.code, asked) == (Exit.CATALOG, [])
            assert json.loads(ran.err)["error"]["message"] == "shop: its published.json is damaged"
        shop.publish(url)
        assert on(*TCP)[0].code == 0

    def test_info(self, shop, run, url):
        def read() -> dict:
            return json.loads(run("info", "shop", "--json").out)["published"]

        assert read() is None
        assert "published" not in run("info", "shop").out
        shop.publish(url)
        assert read() == {"url": url, "is_current": True}
        shop.index("moon sea")
        assert read() == {"url": url, "is_current": False}
        assert "(an earlier state)" in " ".join(run("info", "shop").out.split())  # the address may be long

    def test_a_repaired_catalog_is_published_still(self, shop, run, url):
        shop.publish(url)
        (shop.folder / "index.seal").write_bytes(b"")
        (file,) = shop.state[1]
        (shop.folder / "segments" / file).write_bytes(b"")
        assert run("check", "shop", "--repair").code == 0
        assert json.loads(run("info", "shop", "--json").out)["published"] == {"url": url, "is_current": False}
        assert "1 of 1 segment written" in shop.publish("--again").out

    def test_two_catalogs(self, shop, on, url, run, write):
        run("index", write("other.json", '[{"title": "moon robot"}]'))
        shop.publish(url)
        ran, asked = on(*TCP, "-c", "other")
        assert ran.code == 0, ran.err
        assert [file.startswith(f"{url}/") for file in asked] == [True, False]
