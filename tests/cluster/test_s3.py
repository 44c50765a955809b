"""`publish` to S3, and workers that see nothing else: a server on the loopback interface, and machines of their own.

It needs s3fs and moto, which are not among the packages for development: botocore wants an older python-dateutil than
pandas brings. `pip install s3fs moto flask flask-cors` in an environment of its own runs it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from attnsearch.storage.store import Store
from tests.cluster.machines import Machines

MISSING = [name for name in ("distributed", "s3fs", "moto", "flask_cors") if find_spec(name) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]

URL = "s3://bucket/books"


@pytest.fixture(scope="module")
def server():
    """An S3 server with an empty bucket; what asks it is in the environment."""
    from moto.server import ThreadedMotoServer

    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import fsspec

        fsspec.filesystem("s3").mkdir("bucket")
        yield started
    started.stop()


@pytest.fixture(scope="module")
def machines(server, tmp_path_factory):
    """Two workers with another home, and one folder for copies."""
    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSEARCH_HOME", str(folder / "home"))
        patch.setenv("ATTNSEARCH_CACHE", str(folder / "cache"))
        started = Machines(folder, 2)
        yield started
    started.stop()


@pytest.fixture
def files(server):
    """The bucket."""
    import fsspec

    system = fsspec.filesystem("s3")
    yield system
    system.invalidate_cache()
    for path in system.find("bucket"):
        system.rm_file(path)


@pytest.fixture
def books(write, small, run, files):
    items = [{"id": str(n), "title": f"{['moon', 'sea', 'robot'][n % 3]} {n}"} for n in range(30)]
    for count in (20, 30):  # two segments
        assert run("index", write("books.json", json.dumps(items[:count]))).code == 0
    return Path(os.environ["ATTNSEARCH_HOME"]) / "books"


def names(files) -> set[str]:
    files.invalidate_cache()
    return {path.rpartition("/")[2] for path in files.ls("bucket/books", detail=False)}


def test_workers_without_the_folder(books, run, machines, files, write):
    ran = run("publish", "books", URL, "--json")
    report = json.loads(ran.out)
    with Store(books) as store:
        segments = {row.file for row in store.segments}
    assert names(files) == {*segments, "manifest.json"}
    assert report["written"] == len(segments)
    alone = json.loads(run("query", "moon sea", "-c", "books", "--lexical", "--json").out)
    ran = run("query", "moon sea", "-c", "books", "--lexical", "--json", "--on", machines.address)
    assert ran.code == 0, ran.err
    answer = json.loads(ran.out)
    assert answer.pop("parts")["segments"] == len(segments)
    assert {**answer, "elapsed_ms": 0} == {**alone, "elapsed_ms": 0}
    assert len([*(machines._folder / "cache").glob("*.npy")]) == len(segments)
    assert run("index", write("more.json", '[{"title": "moon rock"}]'), "--name", "books", "--keep").code == 0
    assert json.loads(run("publish", "books", "--json").out)["written"] >= 1
    ran = run("query", "moon", "-k", "99", "-c", "books", "--json", "--on", machines.address)
    assert "moon rock" in [hit["title"] for hit in json.loads(ran.out)["hits"]], ran.err


def test_half_an_object(books, run, machines, files):
    run("publish", "books", URL)
    with Store(books) as store:
        file = store.segments[0].file
    raw = files.cat_file(f"bucket/books/{file}")
    files.pipe_file(f"bucket/books/{file}", raw[:-9])
    shutil.rmtree(machines._folder / "cache", ignore_errors=True)
    ran = run("query", "moon", "-c", "books", "--on", machines.address)
    assert ran.code == 3
    assert f"can't read {URL}/{file}: it has {len(raw) - 9} bytes" in ran.err
    assert ran.err.endswith("nor when it is fetched again; publish the catalog again, with --again\n")
    assert run("publish", "books", "--again").code == 0
    assert run("query", "moon", "-c", "books", "--on", machines.address).code == 0


def test_an_object_that_is_gone(books, run, machines, files):
    run("publish", "books", URL)
    with Store(books) as store:
        files.rm_file(f"bucket/books/{store.segments[0].file}")
    ran = run("query", "moon", "-c", "books", "--on", machines.address)
    assert ran.code == 3
    assert ran.err.endswith("there is no such file; publish the catalog again\n")


def test_no_bucket(books, run):
    ran = run("publish", "books", "s3://nowhere/books")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "s3://nowhere/books: can't publish there: there is no such folder or bucket" in ran.err


@contextmanager
def environment(**variables: str | None):
    """Other variables, for connections that are made meanwhile."""
    import fsspec

    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.delenv(name) if value is None else patch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        yield
    fsspec.filesystem("s3").clear_instance_cache()


def test_no_credentials(books, run):
    with environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_EC2_METADATA_DISABLED="true"):
        ran = run("publish", "books", URL)
    assert ran.code == 3
    assert ran.err == f"attnsearch: {URL}: can't publish there: Unable to locate credentials\n"


def test_a_server_that_is_gone(books, run):
    with environment(AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1"):
        ran = run("publish", "books", URL)
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert f"{URL}: can't publish there: Could not connect to the endpoint URL" in ran.err
