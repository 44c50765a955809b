"""argv → exit code, stdout, stderr."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys

import pytest

from attnsearch import __version__
from attnsearch.cli.app import COMMANDS, app_for
from attnsearch.encoding import loading
from attnsearch.errors import ModelError

SHOP = "- {id: a, title: moon, description: Up there}\n- {id: b, title: sea}\n- {id: c, title: robot moon}\n"
ONE_LINE = re.compile(r"attnsearch: [^\n]+\n")


@pytest.fixture
def shop(write, small, monkeypatch, tmp_path):
    path = write("shop.yaml", SHOP)
    monkeypatch.chdir(tmp_path)
    return path


class TestQuery:
    def test_a_table(self, run, shop):
        code, out, err = run("query", "moon", "-c", "shop.yaml")
        lines = out.splitlines()
        assert (code, err) == (0, "")
        assert lines[0].split() == ["#", "title", "weight", "score", "description"]
        assert lines[1].split()[:2] == ["1", "robot"]
        assert lines[2].split() == ["2", "moon", "0.5%", "0.447", "Up", "there"]  # 1/√5, and exp(20/√5 - 20/√2)
        assert lines[-1].startswith("3 items · ")

    @pytest.mark.parametrize("option", [["--json"], ["-f", "json"], ["--format=json"]])
    def test_json(self, run, shop, option):
        code, out, err = run("query", "moon", "-c", "shop.yaml", *option)
        told = json.loads(out)
        assert (code, err) == (0, "")
        assert (told["query"], told["catalog"], told["items"]) == ("moon", str(shop), 3)
        assert sum(hit["weight"] for hit in told["hits"]) == pytest.approx(1)

    @pytest.mark.parametrize("option", ["-k", "--top-k", "-n", "--limit"])
    def test_how_many(self, run, shop, option):
        assert len(json.loads(run("query", "moon", "-c", "shop.yaml", "--json", option, "2").out)["hits"]) == 2

    def test_lines_of_a_pipe(self, run, shop):
        code, out, err = run("query", "--jsonl", "-c", "shop.yaml", stdin=b"moon\n\n  sea  \r\n")
        assert (code, err) == (0, "")
        assert [json.loads(line)["query"] for line in out.splitlines()] == ["moon", "sea"]

    def test_a_dash_is_the_pipe(self, run, shop):
        out = run("query", "robot", "-", "--jsonl", "-c", "shop.yaml", stdin=b"moon\n").out
        assert [json.loads(line)["query"] for line in out.splitlines()] == ["robot", "moon"]

    def test_many_lines_are_embedded_in_batches(self, run, shop, monkeypatch):
        monkeypatch.setattr("attnsearch.cli.query.BATCH", 3)
        out = run("query", "--jsonl", "-c", "shop.yaml", stdin="".join(f"moon {n}\n" for n in range(8)).encode()).out
        assert [json.loads(line)["query"] for line in out.splitlines()] == [f"moon {n}" for n in range(8)]

    def test_several_texts(self, run, shop):
        told = json.loads(run("query", "moon", "sea", "-c", "shop.yaml", "--json").out)
        assert [one["query"] for one in told] == ["moon", "sea"]
        out = run("query", "moon", "sea", "-c", "shop.yaml").out
        assert out.startswith("moon\n#")
        assert "\n\nsea\n#" in out

    @pytest.mark.parametrize("form", ["csv", "tsv", "md"])
    def test_other_formats(self, run, shop, form):
        code, out, _ = run("query", "moon", "-c", "shop.yaml", "-f", form)
        assert code == 0
        if form != "md":
            rows = list(csv.DictReader(io.StringIO(out), delimiter="," if form == "csv" else "\t"))
            assert [row["id"] for row in rows] == ["c", "a", "b"]

    def test_temperature(self, run, shop):
        def weights(*options):
            return [
                h["weight"] for h in json.loads(run("query", "moon", "-c", "shop.yaml", "--json", *options).out)["hits"]
            ]

        assert weights("--temperature", "0.001")[0] > weights()[0] > weights("--textbook")[0]
        assert json.loads(run("query", "moon", "-c", "shop.yaml", "--json", "--textbook").out)["temperature"] == 2.0

    def test_limits(self, run, shop):
        told = json.loads(run("query", "moon", "-c", "shop.yaml", "--json", "--min-score", "0.5").out)
        assert [(hit["id"], hit["score"] >= 0.5) for hit in told["hits"]] == [("c", True)]
        told = json.loads(run("query", "sea", "-c", "shop.yaml", "--json", "--min-weight", "0.9").out)
        assert [hit["id"] for hit in told["hits"]] == ["b"]

    def test_fail_empty(self, run, shop):
        nothing = ["query", "moon", "-c", "shop.yaml", "--min-weight", "1"]
        assert run(*nothing).code == 0
        assert run(*nothing, "--fail-empty").code == 1
        assert json.loads(run(*nothing, "--fail-empty", "--json").out)["hits"] == []
        assert run("query", "moon", "-c", "shop.yaml", "--fail-empty").code == 0

    def test_explain(self, run, shop):
        out = run("query", "moon", "-c", "shop.yaml", "--explain").out
        assert "1. tokens: text → tokens" in out
        told = json.loads(run("query", "moon", "-c", "shop.yaml", "--explain", "--json").out)
        assert [row["weight"] for row in told["steps"][5]["rows"]] == [hit["weight"] for hit in told["hits"]]

    def test_quiet(self, run, shop):
        assert "effective" not in run("query", "moon", "-c", "shop.yaml", "-q").out

    def test_nothing_is_said_about_what_need_not_be_done(self, run, shop):
        run("query", "moon", "-c", "shop.yaml")
        assert run("query", "moon", "-c", "shop.yaml").err == ""


class TestIndex:
    def test_what_it_says(self, run, shop):
        code, out, err = run("index", "shop.yaml")
        assert (code, err) == (0, "")
        assert re.fullmatch(r"shop: 3 items; 3 new; 3 embedded in \d+\.\d s\n", out)
        assert run("index", "shop.yaml").out == "shop: 3 items; nothing changed; nothing to embed\n"
        shop.write_text(SHOP.replace("sea", "lake").replace("- {id: c, title: robot moon}\n", ""))
        assert re.fullmatch(r"shop: 2 items; 1 changed, 1 removed; 1 embedded in .* s\n", run("index", "shop.yaml").out)

    def test_quiet(self, run, shop):
        assert run("index", "shop.yaml", "-q") == (0, "", "")

    def test_json(self, run, shop):
        told = json.loads(run("index", "shop.yaml", "--json").out)
        assert (told["added"], told["embedded"], told["info"]["name"], told["info"]["items"]) == (3, 3, "shop", 3)

    def test_standard_input(self, run, shop):
        assert run("index", "-", "--name", "piped", stdin=SHOP.encode()).code == 0
        assert json.loads(run("info", "piped", "--json").out)["items"] == 3
        assert run("index", "-", stdin=SHOP.encode()).code == 2

    def test_a_form_that_is_said(self, run, shop, write):
        write("plain.txt", "id,title\n1,moon\n")
        assert run("index", "plain.txt", "--from", "csv").code == 0
        assert json.loads(run("query", "moon", "-c", "plain", "--json").out)["hits"][0]["id"] == "1"

    def test_several(self, run, shop, write):
        write("b.yaml", "- {title: x}\n")
        out = run("index", "shop.yaml", "b.yaml").out
        assert [line.split(":")[0] for line in out.splitlines()] == ["shop", "b"]
        assert run("index", "shop.yaml", "b.yaml", "--name", "all").out.startswith("all: 4 items")

    def test_fields(self, run, shop, write):
        write("x.csv", "sku,product,blurb\n1,Lamp,moon\n")
        options = ["--id-field", "sku", "--title-field", "product", "--text-field", "blurb"]
        assert run("index", "x.csv", *options).code == 0
        (hit,) = json.loads(run("query", "moon", "-c", "x", "--json").out)["hits"]
        assert (hit["id"], hit["title"], hit["score"]) == ("1", "Lamp", pytest.approx(1))
        assert hit["description"] == "moon"
        assert run("query", "moon", "-c", "x").out.splitlines()[1].split()[-1] == "moon"

    def test_keep(self, run, shop):
        run("index", "shop.yaml")
        shop.write_text("- {title: new}\n")
        assert run("index", "shop.yaml", "--keep").out.startswith("shop: 4 items; 1 new; 1 embedded")


@pytest.mark.parametrize(
    ("argv", "built"),
    [
        (["query", "list"], ["query"]),
        (["list"], ["list"]),
        ([], COMMANDS),
        (["--help"], COMMANDS),
        (["qery"], COMMANDS),
    ],
)
def test_typer_reads_no_command_that_is_not_asked_for(argv, built):
    assert [command.name for command in app_for(argv).registered_commands] == list(built)


class TestCatalogs:
    def test_list(self, run, shop):
        run("index", "shop.yaml")
        run("query", "moon", "-c", "./shop.yaml")
        lines = run("list").out.splitlines()
        assert lines[0].split() == ["name", "items", "model", "updated", "from"]
        assert [line.split()[0] for line in lines[1:]] == [str(shop), "shop", "library", "kitchen", "toolbox"]
        told = json.loads(run("list", "--json").out)
        assert told[1]["items"] == 3
        assert told[2] == {"name": "library", "built_in": True}

    def test_info(self, run, shop, home):
        run("index", "shop.yaml")
        told = json.loads(run("info", "shop", "--json").out)
        assert (told["items"], told["keys"], told["d"], told["weights_sha256"]) == (3, 3, 4, "5" * 64)
        assert told["sources"] == [str(shop)]
        assert told["folder"] == str(home / "shop")
        assert "items           3" in run("info", "shop").out

    def test_remove(self, run, shop, home):
        run("index", "shop.yaml")
        run("query", "moon", "-c", "./shop.yaml")
        assert run("remove", "shop", "./shop.yaml") == (0, "removed shop\nremoved ./shop.yaml\n", "")
        assert list(home.iterdir()) == []
        assert shop.exists()
        assert run("remove", "shop").code == 3

    def test_a_damaged_catalog_can_be_seen_and_removed(self, run, shop, home):
        run("index", "shop.yaml")
        (home / "shop" / "index.sqlite").write_bytes(b"rubbish" * 1000)
        assert "the catalog is damaged" in run("list").out
        code, _, err = run("query", "moon", "-c", "shop")
        assert code == 3
        assert "run 'attnsearch check shop --repair'" in err
        assert run("info", "shop").code == 3
        assert run("remove", "shop").code == 0
        assert run("index", "shop.yaml").code == 0


class TestNotIndexedYet:
    """A built-in catalog, or a file, that nobody has asked so far."""

    @pytest.mark.parametrize("command", ["info", "remove"])
    @pytest.mark.parametrize("ref", ["library", "./shop.yaml"])
    def test_it_says_so(self, run, shop, command, ref):
        code, out, err = run(command, ref)
        assert (code, out) == (3, "")
        assert err == f"attnsearch: '{ref}' is not indexed yet; 'attnsearch query TEXT -c {ref}' indexes it\n"


def test_completion_knows_the_catalogs(run, shop, monkeypatch):
    run("index", "shop.yaml")
    monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "attnsearch query moon -c ")
    monkeypatch.setenv("COMP_CWORD", "4")
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert {"shop", "library", "kitchen", "toolbox"} <= set(sys.stdout.getvalue().split())


class TestExplain:
    def test_steps(self, run, shop):
        code, out, err = run("explain", "moon", "-c", "shop.yaml")
        assert (code, err) == (0, "")
        assert [line for line in out.splitlines() if re.match(r"\d\. ", line)] == [
            "1. tokens: text → tokens",
            "2. query: q = x W_Q",
            "3. keys: K = X W_K",
            "4. products: Q Kᵀ",
            "5. logits: Q Kᵀ / √d_k",
            "6. weights: softmax(Q Kᵀ / √d_k)",
            "7. output: softmax(Q Kᵀ / √d_k) V",
        ]

    def test_the_numbers_are_those_of_query(self, run, shop):
        asked = json.loads(run("query", "moon", "-c", "shop.yaml", "--json").out)
        told = json.loads(run("explain", "moon", "-c", "shop.yaml", "--json").out)
        assert told["hits"] == asked["hits"]
        assert [row["weight"] for row in told["steps"][5]["rows"]] == [hit["weight"] for hit in asked["hits"]]
        assert [row["logit"] for row in told["steps"][4]["rows"]] == [hit["logit"] for hit in asked["hits"]]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefghij", "bcdefghijk", strict=True)
)

BAD_FILES = [
    ("none.yaml", None, "none.yaml: no such file"),
    ("folder.yaml", "folder", "folder.yaml: is a folder; name the file inside it"),
    ("x.yaml", b"- title: caf\xe9\n", "x.yaml:1: not UTF-8; save the file as UTF-8"),
    ("x.yaml", b"- {title: a\n", "x.yaml:2: not YAML: "),
    ("x.yaml", b"", "x.yaml: no items; a catalog needs at least one"),
    ("x.jsonl", b"\n\n", "x.jsonl: no items"),
    ("x.csv", b"id,title\n", "x.csv: no items"),
    ("x.yaml", b"items: []\n", "x.yaml: no items"),
    ("x.yaml", b"- year: 1965\n", "x.yaml:1: an item has no 'title' and no 'id'"),
    ("x.yaml", b"- title: A\n- title: B\n- title: A\n", "x.yaml:3: id 'a' was already used on line 1"),
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
def test_bad_files(run, shop, write, tmp_path, home, command, name, content, message):
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        write(name, content)
    code, out, err = run(*command, name)
    assert (code, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert err.startswith(f"attnsearch: {message}") or (command[0] == "query" and message.split(";")[0] in err)
    told = json.loads(run("index", name, "--json").err)
    assert list(told["error"]) == ["code", "message", "hint"]
    assert told["error"]["code"] == 2


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["query", ""], 2, "the query is empty"),
        (["query", "  "], 2, "the query is empty"),
        (["query", "a\udcffb"], 2, "the query is not valid UTF-8"),
        (["query"], 2, "no query on standard input; write one on each line"),
        (["query", "x", "-c", "zzz"], 3, "there is no catalog 'zzz'; 'attnsearch list' shows what there is"),
        (["query", "x", "-c", "libary"], 3, "there is no catalog 'libary'; did you mean 'library'?"),
        (["query", "x", "-c", "none.csv"], 2, "none.csv: no such file; -c takes a file or a name"),
        (["query", "x", "-k", "0"], 2, "invalid value for "),
        (["query", "x", "-k", "many"], 2, "invalid value for "),
        (["query", "x", "--temperature", "0"], 2, "a temperature of 0 is no use"),
        (["query", "x", "--temperature", "nan"], 2, "a temperature of nan is no use"),
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
        (["qury", "x"], 2, "no such command 'qury'. Did you mean 'query'?\n"),
        (
            ["science fiction"],
            2,
            "no such command 'science fiction'; did you mean: attnsearch query \"science fiction\"",
        ),
        (["index"], 2, "missing argument 'SOURCE...'"),
        (["index", "shop.yaml", "--name", "../../x"], 2, "'../../x' can't be a catalog's name"),
        (["index", "shop.yaml", "--from", "xml"], 2, "invalid --from 'xml'; use one of yaml, json, jsonl, csv, tsv"),
        (["info", "zzz"], 3, "there is no catalog 'zzz'"),
        (["remove", "zzz"], 3, "there is no catalog 'zzz'"),
        (["remove", ".."], 2, "..: is a folder"),
        (["explain", ""], 2, "the query is empty"),
        (["explain", "x", "-f", "csv"], 2, "invalid --format 'csv'; use one of table, json"),
    ],
)
def test_refused(run, shop, argv, code, message):
    found = run(*argv)
    assert (found.code, found.out) == (code, "")
    if "--json" in argv:
        error = json.loads(found.err)["error"]
        assert f"{error['message']}; {error['hint']}" == message
    else:
        assert ONE_LINE.fullmatch(found.err)
        assert found.err.startswith(f"attnsearch: {message}")


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


def test_no_model(run, shop, monkeypatch):
    def gone(name=None, **how):
        raise ModelError("the model is not on this machine, and the network is off", where="m", hint="get it")

    monkeypatch.setattr(loading, "load", gone)
    code, out, err = run("query", "x", "-c", "shop.yaml")
    assert (code, out) == (4, "")
    assert err == "attnsearch: m: the model is not on this machine, and the network is off; get it\n"
    code, _, err = run("query", "x", "-c", "shop.yaml", "--json")
    assert json.loads(err)["error"]["code"] == code == 4


def test_other_weights(run, shop, small):
    run("index", "shop.yaml")
    small.sha256 = "6" * 64
    code, _, err = run("query", "moon", "-c", "shop")
    assert code == 3
    assert err.endswith(f"embed it anew: attnsearch index {shop}\n")


def test_interrupted(run, shop, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("attnsearch.search.index.Index.open", stop)
    code, out, err = run("query", "moon")
    assert (code, out) == (130, "")
    assert err == "attnsearch: interrupted; all catalogs are intact\n"


def test_nothing_in_a_title_acts_on_a_terminal(run, shop, write):
    nasty = "\x1b]0;owned\x07\u202e[bold]moon[/bold]"
    write("x.json", json.dumps([{"id": "n", "title": nasty}]))
    for form in ("table", "csv", "tsv", "md"):
        out = run("query", "moon", "-c", "x.json", "-f", form).out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "x1b]0;owned" in out.replace("\\\\", "\\").replace("\\]", "]")
    out = run("query", "moon", "-c", "x.json", "--json").out
    assert "\u202e" not in out
    assert json.loads(out)["hits"][0]["title"] == nasty


def test_a_mean_file_name_is_inert_in_an_error(run, shop):
    _, _, err = run("index", "\x1b[2Jx.yaml")
    assert err.startswith("attnsearch: \\x1b[2Jx.yaml: no such file")


def test_version_and_help(run):
    assert run("--version") == (0, f"attnsearch {__version__}\n", "")
    assert run("query", "--version") == (0, f"attnsearch {__version__}\n", "")
    for argv in (
        [],
        ["--help"],
        ["-h"],
        *([name, "-h"] for name in ("query", "index", "list", "info", "remove", "explain")),
    ):
        code, out, err = run(*argv)
        assert (code, err) == (0, "")
        assert "Usage: attnsearch" in out


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns in the place of stdout."""

    def terminal(columns: int) -> Terminal:
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(columns))
        return out

    return terminal


class TestTerminal:
    def test_color(self, run, shop, terminal, monkeypatch):
        monkeypatch.setenv("TERM", "xterm")
        out = terminal(100)
        run("query", "moon", "-c", "shop.yaml")
        assert "\x1b[1m" in out.getvalue()

    @pytest.mark.parametrize(("variable", "value", "options"), [("NO_COLOR", "1", []), ("TERM", "dumb", []),
                                                                ("X", "", ["--no-color"])])  # fmt: skip
    def test_no_color(self, run, shop, terminal, monkeypatch, variable, value, options):
        monkeypatch.setenv(variable, value)
        out = terminal(100)
        run("query", "moon", "-c", "shop.yaml", *options)
        assert "\x1b" not in out.getvalue()
        assert "moon" in out.getvalue()

    @pytest.mark.parametrize("columns", [30, 40, 60, 80, 200])
    def test_no_line_is_wider_than_the_window(self, run, shop, terminal, columns):
        shop.write_text(SHOP.replace("Up there", "many words " * 40))
        out = terminal(columns)
        run("query", "moon", "-c", "shop.yaml", "--no-color", "-q")
        lines = out.getvalue().splitlines()
        assert len(lines) == 4
        assert all(len(line) <= columns for line in lines)

    @pytest.mark.parametrize(("command", "word"), [("query", "effective"), ("explain", "temperature")])
    def test_sentences_are_broken_between_words(self, run, shop, terminal, command, word):
        out = terminal(40)
        run(command, "moon", "-c", "shop.yaml", "--no-color")
        assert all(len(line) <= 40 for line in out.getvalue().splitlines())
        assert word in out.getvalue().split()

    def test_progress_is_shown_and_taken_away(self, run, shop, monkeypatch):
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr("attnsearch.cli.terminal.SOON", 0)
        monkeypatch.setenv("TERM", "xterm")
        out = run("index", "shop.yaml").out
        assert out.startswith("shop: 3 items")
        assert "embedding" in err.getvalue()
        assert "3/3" in err.getvalue()
        assert err.getvalue().endswith("\x1b[2K")

    def test_no_progress_where_it_is_not_wanted(self, run, shop, monkeypatch):
        monkeypatch.setattr("attnsearch.cli.terminal.SOON", 0)
        assert run("index", "shop.yaml").err == ""
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        run("index", "shop.yaml", "-q", "--name", "again")
        assert err.getvalue() == ""

    def test_a_terminal_on_stdin_is_not_read(self, run, shop, monkeypatch):
        class Keyboard(io.TextIOWrapper):
            def isatty(self):
                return True

        from attnsearch.cli import main

        monkeypatch.setattr(sys, "stdin", Keyboard(io.BytesIO(b"")))
        assert main(["query", "-c", "shop.yaml"]) == 2


def test_a_closed_pipe_ends_quietly(shop, monkeypatch, capfd):
    from attnsearch.cli import main

    read, wrote = os.pipe()
    os.close(read)
    pipe = os.fdopen(wrote, "w")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(["query", "moon", "-c", "shop.yaml"]) == 0
    pipe.close()  # its descriptor now leads to /dev/null
    assert capfd.readouterr().err == ""


def test_a_full_disk_behind_stdout(shop, monkeypatch, capfd):
    from attnsearch.cli import main

    full = open("/dev/full", "w")  # noqa: PTH123, SIM115
    monkeypatch.setattr(sys, "stdout", full)
    assert main(["query", "moon", "-c", "shop.yaml"]) == 2
    os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    full.close()
    assert capfd.readouterr().err == "attnsearch: the output: No space left on device\n"


@pytest.mark.parametrize("argv", [["query", " "], ["query", "x", "--temperature", "0"], ["explain", ""]])
def test_a_wrong_word_is_refused_before_anything_is_loaded(run, shop, home, argv):
    assert run(*argv).code == 2
    assert not home.exists()


def test_no_word_of_the_help_is_taken_for_markup(run, monkeypatch):
    """The help is rich's markup, in which [table] would be a style, and vanish."""
    import ast
    from pathlib import Path

    from attnsearch import cli

    helps = [
        ast.unparse(word.value)
        for file in Path(cli.__file__).parent.glob("*.py")
        for word in ast.walk(ast.parse(file.read_text()))
        if isinstance(word, ast.keyword) and word.arg == "help"
    ]
    assert len(helps) > 30
    assert not [text for text in helps if re.search(r"\[[a-z#/@]", text)]
