"""The boundary for errors: argv → exit code and one line on stderr."""

from __future__ import annotations

import json
import re

import pytest

from attnsearch.encoding import loading
from attnsearch.errors import ModelError

ONE_LINE = re.compile(r"attnsearch: [^\n]+\n")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefghij", "bcdefghijk", strict=True)
)


BAD_FILES = [
    ("none.yaml", None, "none.yaml: no such file"),
    ("x.yaml", b"- title: caf\xe9\n", "x.yaml:1: not UTF-8; save the file as UTF-8"),
    ("x.yaml", b"- {title: a\n", "x.yaml:2: not YAML: "),
    ("x.yaml", b"", "x.yaml: no items; a catalog needs at least one"),
    ("x.jsonl", b"\n\n", "x.jsonl: no items"),
    ("x.csv", b"id,title\n", "x.csv: no items"),
    ("x.yaml", b"items: []\n", "x.yaml: no items"),
    ("x.yaml", b"- year: 1965\n", "x.yaml:1: an item has no text to search"),
    ("x.yaml", b"- {id: a, title: A}\n- {id: a, title: C}\n", "x.yaml:2: id 'a' was already used on line 1"),
    ("x.yaml", b"- title: A\n  title: B\n", "x.yaml:2: the key 'title' was already used on line 1"),
    ("x.json", b'[{"title": "A",\n "title": "B"}]', "x.json:1: the key 'title' is used twice"),
    ("x.yaml", BOMB.encode(), "x.yaml:"),
    ("x.yaml", b"- title: " + b"[" * 50_000, "x.yaml:1: nested more than 64 deep"),
    ("x.json", b"[" * 50_000, "x.json:1: nested more than 64 deep"),
    ("x.yaml", b"- !!python/object/apply:os.system [id]\n", "x.yaml:1: the tag tag:yaml.org,2002:python/"),
    ("x.yaml", b"- title: A\n  price: .nan\n", "x.yaml:2: .nan is not a finite number"),
    ("x.json", b'[{"title": "A", "price": Infinity}]', "x.json:1: Infinity is not a finite number"),
    ("x.jsonl", b'{"title": "\\udc00"}\n', "x.jsonl:1: half of a surrogate pair"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
@pytest.mark.parametrize("command", [["index"], ["query", "moon", "-c"]])
def test_bad_files(run, shop_file, write, home, command, name, content, message):
    if content is not None:
        write(name, content)
    code, out, err = run(*command, name)
    assert (code, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert err.startswith(f"attnsearch: {message}") or (command[0] == "query" and message.split(";")[0] in err)
    answer = json.loads(run("index", name, "--json").err)
    assert list(answer["error"]) == ["code", "message", "hint"]
    assert answer["error"]["code"] == 2


def test_a_folder(run, small, write, tmp_path, monkeypatch):
    """It can be indexed, but not asked directly: a word too few would embed a whole disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.yaml").mkdir()
    assert run("index", "notes.yaml").err == "attnsearch: notes.yaml: no files to read\n"
    write("notes.yaml/a.md", "# The moon")
    assert run("index", "notes.yaml").code == 0
    code, _, err = run("query", "moon", "-c", "./notes.yaml")
    assert (code, err) == (2, "attnsearch: ./notes.yaml: is a folder; 'attnsearch index' makes a catalog of it\n")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["query", ""], 2, "the query is empty"),
        (["query", "  "], 2, "the query is empty"),
        (["query", "a\udcffb"], 2, "the query is not valid UTF-8"),
        (["query"], 2, "no query on standard input; write one on each line"),
        (["query", "x", "-c", "zzz"], 3, "there is no catalog 'zzz'; 'attnsearch list' shows what there is"),
        (["query", "x", "-c", "libary"], 3, "there is no catalog 'libary'; did you mean 'library'?"),
        (["query", "x", "-c", "none.csv"], 2, "none.csv: no such file; name a file or a catalog"),
        (["query", "x", "-k", "0"], 2, "invalid value for "),
        (["query", "x", "-k", "many"], 2, "invalid value for "),
        (["query", "x", "--temperature", "0"], 2, "invalid temperature 0; give a number of at least 0.000001"),
        (["query", "x", "--temperature", "nan"], 2, "invalid temperature nan; give a number of at least 0.000001"),
        (
            ["query", "x", "--temperature", "1", "--textbook"],
            2,
            "--textbook and --temperature exclude each other; leave one of them out",
        ),
        (["query", "x", "--projections", "f", "--textbook"], 2, "--textbook and --projections exclude each other"),
        (["query", "x", "--projections", "f", "--untrained"], 2, "--untrained and --projections exclude each other"),
        (["query", "x", "--min-weight", "2"], 2, "invalid value for "),
        (["query", "x", "-f", "xml"], 2, "invalid --format 'xml'; use one of table, json, jsonl, csv, tsv, md"),
        (["query", "x", "--json", "--jsonl"], 2, "two formats at once: json and jsonl; choose one"),
        (["query", "x", "--jsn"], 2, "no such option: --jsn"),
        (["qury", "x"], 2, "no such command 'qury'; did you mean: attnsearch query x\n"),
        (["list", "x"], 2, "unexpected argument: x; see"),
        (["index"], 2, "missing argument 'SOURCE...'"),
        (["index", "shop.yaml", "--name", "../../x"], 2, "invalid catalog name '../../x'"),
        (["index", "shop.yaml", "--from", "xml"], 2, "invalid --from 'xml'; use one of yaml, json, jsonl, csv, tsv"),
        (["info", "zzz"], 3, "there is no catalog 'zzz'"),
        (["remove", "zzz"], 3, "there is no catalog 'zzz'"),
        (["remove", ".."], 2, "..: is a folder"),
        (["explain", ""], 2, "the query is empty"),
        (["explain", "x", "-f", "csv"], 2, "invalid --format 'csv'; use one of table, json"),
    ],
)
def test_refused(run, shop_file, argv, code, message):
    ran = run(*argv)
    assert (ran.code, ran.out) == (code, "")
    if "--json" in argv:
        error = json.loads(ran.err)["error"]
        assert f"{error['message']}; {error['hint']}" == message
    else:
        assert ONE_LINE.fullmatch(ran.err)
        assert ran.err.startswith(f"attnsearch: {message}")


@pytest.mark.parametrize("words", [["--json"], ["--jsonl"], ["-f", "json"], ["--format", "jsonl"], ["--format=json"]])
def test_an_error_is_json_where_json_was_asked_for(run, words):
    assert json.loads(run("query", "", *words).err)["error"]["code"] == 2
    assert json.loads(run("query", "x", *words, "--no-such").err)["error"]["message"].startswith(
        "no such option: --no-such"
    )


def test_a_home_that_can_t_be_read(run, home, monkeypatch):
    monkeypatch.setenv("ATTNSEARCH_HOME", "x" * 300)
    code, out, err = run("query", "moon", "-c", "library")
    assert (code, out) == (3, "")
    assert ONE_LINE.fullmatch(err)


def test_no_model(run, shop_file, monkeypatch):
    def gone(name=None, **how):
        raise ModelError("the model is not on this machine, and the network is off", where="m", hint="get it")

    monkeypatch.setattr(loading, "load", gone)
    code, out, err = run("query", "x", "-c", "shop.yaml")
    assert (code, out) == (4, "")
    assert err == "attnsearch: m: the model is not on this machine, and the network is off; get it\n"
    code, _, err = run("query", "x", "-c", "shop.yaml", "--json")
    assert json.loads(err)["error"]["code"] == code == 4


def test_other_weights(run, shop_file, small):
    run("index", "shop.yaml")
    small.sha256 = "6" * 64
    code, _, err = run("query", "moon", "-c", "shop")
    assert code == 3
    assert err.endswith(f"index it again: attnsearch index {shop_file}\n")


def test_interrupted(run, shop_file, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("attnsearch.opening.index.Index.open", stop)
    code, out, err = run("query", "moon")
    assert (code, out) == (130, "")
    assert err == "attnsearch: interrupted; all catalogs are intact\n"


def test_a_mean_file_name_is_inert_in_an_error(run, shop_file):
    _, _, err = run("index", "\x1b[2Jx.yaml")
    assert err.startswith("attnsearch: \\x1b[2Jx.yaml: no such file")


@pytest.mark.parametrize("argv", [["query", " "], ["query", "x", "--temperature", "0"], ["explain", ""]])
def test_a_wrong_word_is_refused_before_anything_is_loaded(run, shop_file, home, argv):
    assert run(*argv).code == 2
    assert not home.exists()
