"""Feedback on a catalog in a database: as on one in a folder, and nothing is lost or half done."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.api.index import Index
from attnsearch.errors import CatalogError, InputError
from attnsearch.postgres import lock
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.postgres.place import TableNotebook
from attnsearch.readers import text_file
from attnsearch.storage.failures import BusyError, MissingError
from attnsearch.teaching import feedback
from attnsearch.teaching.memory import Embedding
from tests.conftest import SHOP, SmallEncoder
from tests.postgres.test_reading import same
from tests.postgres.test_writer import index

ROOT = Path(__file__).resolve().parents[2]
TWO = [{"query": "night", "grades": {"a": 1.0, "b": 0.0}, "when": ""}, {"query": "day", "grades": {"c": 1.0}}]


@pytest.fixture
def url(server, database, write, small):
    url = server.url(database, "shop")
    index(write("shop.yaml", SHOP), url)
    return url


@pytest.fixture
def notebook(url):
    return TableNotebook(parse_address(url))


@pytest.fixture
def embedding(notebook):
    return embedding_of(notebook)


def embedding_of(notebook: TableNotebook) -> Embedding:
    with notebook.open_items() as store:
        return Embedding(store.info, SmallEncoder().encode)


def lines(notebook: TableNotebook) -> list[tuple[int, dict]]:
    """The rows of the table."""
    with closing(connect(notebook.address)) as connection:
        rows = connection.execute("SELECT number, content FROM feedback ORDER BY number").fetchall()
    return [(number, json.loads(content)) for number, content in rows]


def put(notebook: TableNotebook, *contents: bytes) -> None:
    with closing(connect(notebook.address)) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO feedback VALUES (%s, %s)", list(enumerate(contents, 1)))


def remembered(notebook: TableNotebook) -> dict[str, dict[str, float]]:
    learned = notebook.load_learned()
    memory = learned and learned.memory
    return dict(zip(memory.queries, memory.right, strict=True)) if memory else {}


def grades(notebook: TableNotebook) -> dict[str, dict[str, float]]:
    return {judged.query: dict(judged.grades) for judged in feedback.read_feedback(notebook)}


class TestCommands:
    def test_it_answers_as_a_folder_does(self, url, write, small, run):
        """Each command says the same but for the catalog's name, and so does the query after it."""
        run("index", write("shop.yaml", SHOP), "--name", "shop")
        calls = [
            ("feedback", "--list", "--json"),
            ("feedback", "robot sea", "--good", "moon", "--bad", "b", "--json"),
            ("query", "robot sea", "--json"),
            ("feedback", "sea", "--good", "c"),
            ("feedback", "robot sea", "--bad", "moon", "--good", "b", "--json"),
            ("query", "robot sea", "--json"),
            ("feedback", "--list", "--json"),
            ("feedback", "robot sea", "--remove", "--good", "moon", "--json"),
            ("feedback", "robot sea", "--remove"),
            ("feedback", "robot sea", "--remove"),
            ("query", "robot sea", "--json"),
            ("feedback", "moon", "--good", "nowhere"),
            ("eval", write("judged.yaml", "- {query: sea, relevant: [c]}\n"), "--json"),
        ]
        for arguments in calls:
            ours, theirs = (run(*arguments, "-c", ref) for ref in (url, "shop"))
            assert ours.code == theirs.code
            answers = [timeless(ran.out + ran.err, ref) for ran, ref in ((ours, url), (theirs, "shop"))]
            if ours.out.startswith(("{", "[")):
                same(*map(json.loads, answers))
            else:
                assert answers[0] == answers[1]
        for ref in (url, "shop"):
            assert run("reset", ref).out == (
                f"{ref}: forgot 1 judged request; the feedback on 1 request is kept, and the next feedback or training"
                " remembers it again\n"
            )

    def test_training_learns_from_it(self, server, database, write, small, run):
        url = server.url(database, "many")
        words = ["moon", "sea", "robot", "lamp", "star"]
        items = "".join(f"- {{id: i{n}, title: {words[n % 5]} {n}}}\n" for n in range(40))
        run("index", write("many.yaml", items), "--name", url)
        assert "no judged requests" in run("train", "-c", url).err
        rows = [{"query": f"q{n} robot", "grades": {f"i{n}": 1}} for n in range(30)]
        notebook = TableNotebook(parse_address(url))
        put(notebook, *(json.dumps(row).encode() for row in rows))
        ran = run("train", "-c", url, "--force")
        assert (ran.code, ran.err) == (0, "")
        assert len(notebook.load_learned().requests) == 30
        assert list(remembered(notebook)) == [row["query"] for row in rows]

    def test_removal_keeps_it(self, url, notebook, write, small, run):
        run("feedback", "robot sea", "--good", "a", "-c", url)
        assert (
            "kept for when it is indexed again: its feedback on 1 request and what it learned"
            in run("remove", url, "--dry-run").out
        )
        assert run("remove", url, "--yes").code == 0
        for arguments in (("feedback", "x", "--good", "a"), ("feedback", "--list"), ("query", "moon"), ("train",)):
            ran = run(*arguments, "-c", url)
            assert (ran.code, "there is no such catalog" in ran.err) == (3, True)
        with pytest.raises(MissingError):
            feedback.add_judgment(notebook, "x", {"a": 1})
        index(write("shop.yaml", SHOP), url)
        assert grades(notebook) == {"robot sea": {"a": 1}}
        assert remembered(notebook) == {"robot sea": {"a": 1}}

    def test_password_is_never_shown(self, url, run):
        with_password = url.replace("postgres@", "postgres:s3cret@")
        for arguments in (
            ("feedback", "sea", "--good", "a", "-c"),
            ("feedback", "sea", "--good", "a", "--json", "-c"),
            ("feedback", "other", "--remove", "-c"),
            ("feedback", "sea", "--remove", "-c"),
            ("feedback", "--list", "-c"),
            ("reset",),
        ):
            ran = run(*arguments, with_password)
            assert "s3cret" not in ran.out + ran.err

    def test_program(self, url):
        with Index.open(url) as opened:
            before = opened.query("robot sea")
            assert opened.feedback("robot sea", good="a", bad="b") == {"a": 1, "b": 0}
            after = opened.query("robot sea")
        assert not before.recalled
        assert after.recalled


def timeless(text: str, name: str) -> str:
    text = text.replace(shlex.quote(name), name).replace(name, "shop")
    return re.sub(r'("(?:elapsed_ms|when)": )[^,}\n]+', r"\g<1>0", text)


class TestTable:
    def test_a_row_for_each_request_and_the_latest_last(self, notebook):
        feedback.add_judgment(notebook, "night", {"a": 1, "b": 0})
        feedback.add_judgment(notebook, "day", {"c": 1})
        feedback.add_judgment(notebook, "noon", {"c": 1})
        feedback.add_judgment(notebook, " day ", {"a": 0})
        assert [(number, row["query"]) for number, row in lines(notebook)] == [(1, "night"), (2, "noon"), (3, "day")]
        assert grades(notebook)["day"] == {"c": 1, "a": 0}
        assert feedback.read_history(notebook)[0].when

    def test_rows_that_stay_are_not_written_again(self, notebook):
        put(notebook, *(json.dumps(row).encode() + b"\n" for row in TWO))
        with closing(connect(notebook.address)) as connection:
            places = connection.execute("SELECT ctid FROM feedback ORDER BY number").fetchall()
            feedback.add_judgment(notebook, "noon", {"a": 1})
            assert connection.execute("SELECT ctid FROM feedback ORDER BY number").fetchall()[:2] == places

    def test_what_somebody_wrote_into_it_stays(self, notebook):
        put(notebook, b'{"query": "x  y", "relevant": ["a"]}', b" ", b'{"query": "x y", "grades": {"b": 2}, "who": 1}')
        feedback.add_judgment(notebook, "other", {"a": 1})
        assert grades(notebook) == {"x y": {"a": 1, "b": 2}, "other": {"a": 1}}
        assert lines(notebook)[0][1]["who"] == 1

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"\xff", "not UTF-8"),
            (b"[1]", "not a JSON object"),
            (b'{"query": "x", "grades": {"a": NaN}}', "NaN"),
            (b'{"query": "x", "grades": {"a": -1}}', "the grade of 'a' is -1"),
            (b'{"query": "x", "grades": {"a": 1}, "grades": {"a": 1}}', "grades"),
            (b'{"query": "\x00", "grades": {"a": 1}}', "control character"),
            (b'{"query": "x", "relevant":\n["a"]}', "more than one line"),
            (b'{"query": "night", "grades": {"a": 1}}', "already judged on line 1"),
            (b"[" * 100_000, ""),
        ],
    )
    def test_hostile_row(self, notebook, run, url, content, problem):
        put(notebook, json.dumps(TWO[0]).encode(), content)
        for act in (
            feedback.read_feedback,
            lambda place: feedback.add_judgment(place, "y", {"a": 1}),
            lambda place: feedback.remove_judgment(place, "night"),
        ):
            with pytest.raises(InputError) as error:
                act(notebook)
            message = str(error.value)
            assert message.startswith(f"{notebook.name}, feedback:2: ")
            assert problem in message
            assert "\n" not in message
        for ran in (run("feedback", "--list", "-c", url), run("train", "-c", url)):
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert run("query", "moon", "-c", url).code == 0

    def test_row_that_is_too_long(self, notebook, monkeypatch):
        monkeypatch.setattr("attnsearch.postgres.place.LINE", 100)
        put(notebook, json.dumps({"query": "x" * 100, "grades": {}}).encode())
        with pytest.raises(InputError, match="a row of more than"):
            feedback.read_feedback(notebook)
        assert text_file.LINE > 100

    def test_learned_that_is_damaged(self, notebook, embedding, caplog, url, run):
        with closing(connect(notebook.address)) as connection:
            connection.execute("INSERT INTO learned VALUES ('x')")
        feedback.add_judgment(notebook, "night", {"a": 1}, embedding=embedding)
        assert "noted, but not remembered" in caplog.text
        assert grades(notebook) == {"night": {"a": 1}}
        ran = run("query", "moon", "-c", url)
        assert (ran.code, "attnsearch reset" in ran.err) == (3, True)
        assert "which was damaged" in run("reset", url).out
        feedback.add_judgment(notebook, "day", {"a": 1}, embedding=embedding)
        assert remembered(notebook) == {"night": {"a": 1}, "day": {"a": 1}}


class TestRights:
    def test_role_that_may_only_read(self, server, database, url, notebook, run):
        run("feedback", "sea", "--good", "a", "-c", url)
        tables = "ALL TABLES IN SCHEMA attnsearch_shop"
        server.execute("GRANT USAGE ON SCHEMA attnsearch_shop TO guest", f"GRANT SELECT ON {tables} TO guest",
                       database=database)  # fmt: skip
        guest = server.guest_url(database, "shop")
        before = lines(notebook)
        for arguments in (("feedback", "x", "--good", "a"), ("feedback", "sea", "--remove")):
            ran = run(*arguments, "-c", guest)
            assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
            assert "the role lacks a right: permission denied for table" in ran.err
        assert lines(notebook) == before
        assert '"sea"' in run("feedback", "--list", "--json", "-c", guest).out
        server.execute(f"GRANT INSERT, DELETE ON {tables} TO guest", database=database)
        assert run("feedback", "x", "--good", "a", "-c", guest).code == 0

    def test_role_that_may_not_read_what_was_learned(self, server, database, url, run):
        server.execute("GRANT USAGE ON SCHEMA attnsearch_shop TO guest",
                       "GRANT SELECT ON ALL TABLES IN SCHEMA attnsearch_shop TO guest",
                       "GRANT SELECT, INSERT, DELETE ON attnsearch_shop.feedback TO guest",
                       "REVOKE SELECT ON attnsearch_shop.learned FROM guest", database=database)  # fmt: skip
        place = TableNotebook(parse_address(server.guest_url(database, "shop")))
        with pytest.raises(CatalogError, match="permission denied for table learned"):
            feedback.add_judgment(place, "x", {"a": 1})
        assert feedback.read_feedback(place) == []


WRITE = """
import sys
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.place import TableNotebook
from attnsearch.teaching import feedback
from tests.postgres.test_feedback import embedding_of
notebook = TableNotebook(parse_address(sys.argv[1]))
embedding = embedding_of(notebook)
for number in range(10):
    feedback.add_judgment(notebook, f"{sys.argv[2]} {number}", {"a": 1}, embedding=embedding)
    feedback.add_judgment(notebook, "both", {f"{sys.argv[2]} {number}": 1}, embedding=embedding)
"""

# It counts the statements of the writer, and dies before one of them.
DIE = """
import json, os, signal, sys
import psycopg
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.place import TableNotebook
from attnsearch.teaching import feedback
from tests.postgres.test_feedback import embedding_of, grades, remembered
notebook = TableNotebook(parse_address(sys.argv[1]))
embedding = embedding_of(notebook)
generate = psycopg.Connection.wait
def wait(self, *arguments, **options):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return generate(self, *arguments, **options)
for steps in range(1, 100):
    child = os.fork()
    if not child:
        left = steps
        psycopg.Connection.wait = wait
        feedback.add_judgment(notebook, "night", {"a": 0, "c": 1}, embedding=embedding)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([status, grades(notebook), remembered(notebook)]), flush=True)
    if status != -signal.SIGKILL:
        break
"""


class TestTogether:
    def test_two_writers_lose_nothing(self, url, notebook, small):
        writers = [subprocess.Popen([sys.executable, "-c", WRITE, url, name], cwd=ROOT) for name in ("one", "two")]
        while any(writer.poll() is None for writer in writers):
            feedback.read_feedback(notebook)  # never half of it
        assert [writer.returncode for writer in writers] == [0, 0]
        judged = grades(notebook)
        each = [f"{name} {number}" for name in ("one", "two") for number in range(10)]
        assert judged == {"both": dict.fromkeys(each, 1), **{query: {"a": 1} for query in each}}
        assert remembered(notebook) == judged
        assert [number for number, _ in lines(notebook)] == list(range(1, 22))

    def test_killed_between_any_two_statements(self, url, notebook, embedding):
        feedback.add_judgment(notebook, "day", {"b": 1}, embedding=embedding)
        feedback.add_judgment(notebook, "night", {"a": 1}, embedding=embedding)
        ran = subprocess.run([sys.executable, "-c", DIE, url], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        *killed, last = map(json.loads, ran.stdout.splitlines())
        assert {status for status, *_ in killed} == {-signal.SIGKILL}
        old = [{"day": {"b": 1}, "night": {"a": 1}}, {"day": {"b": 1}, "night": {"a": 1}}]
        new = [{"day": {"b": 1}, "night": {"a": 0, "c": 1}}, {"day": {"b": 1}, "night": {"c": 1}}]
        assert last == [0, *new]
        assert killed[0][1:] == old
        assert all(state in (old, new) for _, *state in killed)
        assert len(killed) > 10

    def test_a_writer_is_waited_for(self, notebook):
        with closing(connect(notebook.address)) as holder:
            lock.acquire(holder, notebook.address, 0)
            with pytest.raises(BusyError):
                feedback.add_judgment(notebook, "night", {"a": 1}, wait=0.1)
        feedback.add_judgment(notebook, "night", {"a": 1}, wait=0.1)

    def test_whoever_lost_the_lock_writes_nothing(self, server, notebook, embedding):
        feedback.add_judgment(notebook, "night", {"a": 1})

        def lose_it(texts):
            server.execute(f"SELECT pg_terminate_backend({notebook._connection.info.backend_pid})")
            feedback.add_judgment(TableNotebook(notebook.address), "day", {"b": 1})
            return embedding.embed(texts)

        with pytest.raises(CatalogError) as error:
            feedback.add_judgment(notebook, "noon", {"c": 1}, embedding=embedding._replace(embed=lose_it))
        assert "\n" not in str(error.value)
        assert grades(notebook) == {"night": {"a": 1}, "day": {"b": 1}}
