"""`attnsearch query`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import csv
import io
import json
import sys
import types

import pytest

from attnsearch.indexing.update import update


class TestQuery:
    def test_a_table(self, run, shop_file):
        code, out, err = run("query", "moon", "-c", "shop.yaml")
        lines = out.splitlines()
        assert (code, err) == (0, "")
        assert lines[0].split() == ["#", "title", "weight", "score", "description"]
        assert lines[1].split()[:2] == ["1", "robot"]
        assert lines[2].split() == ["2", "moon", "0.5%", "0.447", "Up", "there"]  # 1/√5, and exp(20/√5 - 20/√2)
        assert lines[-1].startswith("shop.yaml · 3 items · ")

    @pytest.mark.parametrize("option", [["--json"], ["-f", "json"], ["--format=json"]])
    def test_json(self, run, shop_file, option):
        code, out, err = run("query", "moon", "-c", "shop.yaml", *option)
        answer = json.loads(out)
        assert (code, err) == (0, "")
        assert (answer["query"], answer["catalog"], answer["items"]) == ("moon", str(shop_file), 3)
        assert sum(hit["weight"] for hit in answer["hits"]) == pytest.approx(1)

    @pytest.mark.parametrize("option", ["-k", "--top-k", "-n", "--limit"])
    def test_how_many(self, run, shop_file, option):
        assert len(json.loads(run("query", "moon", "-c", "shop.yaml", "--json", option, "2").out)["hits"]) == 2

    def test_lines_of_a_pipe(self, run, shop_file):
        code, out, err = run("query", "--jsonl", "-c", "shop.yaml", stdin=b"moon\n\n  sea  \r\n")
        assert (code, err) == (0, "")
        assert [json.loads(line)["query"] for line in out.splitlines()] == ["moon", "sea"]

    def test_a_dash_is_the_pipe(self, run, shop_file):
        out = run("query", "robot", "-", "--jsonl", "-c", "shop.yaml", stdin=b"moon\n").out
        assert [json.loads(line)["query"] for line in out.splitlines()] == ["robot", "moon"]

    def test_many_lines_are_embedded_in_batches(self, run, shop_file, monkeypatch):
        monkeypatch.setattr("attnsearch.terminal.requests.BATCH", 3)
        out = run("query", "--jsonl", "-c", "shop.yaml", stdin="".join(f"moon {n}\n" for n in range(8)).encode()).out
        assert [json.loads(line)["query"] for line in out.splitlines()] == [f"moon {n}" for n in range(8)]

    def test_several_texts(self, run, shop_file):
        answers = json.loads(run("query", "moon", "sea", "-c", "shop.yaml", "--json").out)
        assert [result["query"] for result in answers] == ["moon", "sea"]
        out = run("query", "moon", "sea", "-c", "shop.yaml").out
        assert out.startswith("moon\n#")
        assert "\n\nsea\n#" in out

    @pytest.mark.parametrize("form", ["csv", "tsv", "md"])
    def test_other_formats(self, run, shop_file, form):
        code, out, _ = run("query", "moon", "-c", "shop.yaml", "-f", form)
        assert code == 0
        if form != "md":
            rows = list(csv.DictReader(io.StringIO(out), delimiter="," if form == "csv" else "\t"))
            assert [row["id"] for row in rows] == ["c", "a", "b"]

    def test_temperature(self, run, shop_file):
        def weights(*options):
            return [
                h["weight"] for h in json.loads(run("query", "moon", "-c", "shop.yaml", "--json", *options).out)["hits"]
            ]

        assert weights("--temperature", "0.001")[0] > weights()[0] > weights("--textbook")[0]
        assert json.loads(run("query", "moon", "-c", "shop.yaml", "--json", "--textbook").out)["temperature"] == 2.0

    def test_limits(self, run, shop_file):
        answer = json.loads(run("query", "moon", "-c", "shop.yaml", "--json", "--min-score", "0.5").out)
        assert [(hit["id"], hit["score"] >= 0.5) for hit in answer["hits"]] == [("c", True)]
        answer = json.loads(run("query", "sea", "-c", "shop.yaml", "--json", "--min-weight", "0.9").out)
        assert [hit["id"] for hit in answer["hits"]] == ["b"]

    def test_fail_empty(self, run, shop_file):
        nothing = ["query", "moon", "-c", "shop.yaml", "--min-weight", "1"]
        assert run(*nothing).code == 0
        assert run(*nothing, "--fail-empty").code == 1
        assert json.loads(run(*nothing, "--fail-empty", "--json").out)["hits"] == []
        assert run("query", "moon", "-c", "shop.yaml", "--fail-empty").code == 0

    def test_explain(self, run, shop_file):
        out = run("query", "moon", "-c", "shop.yaml", "--explain").out
        assert "1. tokens: text → tokens" in out
        answer = json.loads(run("query", "moon", "-c", "shop.yaml", "--explain", "--json").out)
        assert [row["weight"] for row in answer["steps"][5]["rows"]] == [hit["weight"] for hit in answer["hits"]]

    def test_quiet(self, run, shop_file):
        assert "items" in run("query", "moon", "-c", "shop.yaml").out
        assert "items" not in run("query", "moon", "-c", "shop.yaml", "-q").out

    def test_nothing_is_said_about_what_need_not_be_done(self, run, shop_file):
        run("query", "moon", "-c", "shop.yaml")
        assert run("query", "moon", "-c", "shop.yaml").err == ""


def test_nothing_in_a_title_acts_on_a_terminal(run, shop_file, write):
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


def test_a_cell_is_shown_and_selected_as_it_is_written(run, small, write, tmp_path, monkeypatch):
    """`3.10` is another version than `3.1`, though the numbers are equal."""
    monkeypatch.chdir(tmp_path)
    write("v.csv", "id,title,version\na,moon one,3.1\nb,moon two,3.10\nc,moon three,3.2\n")
    assert run("index", "v.csv", "-q").code == 0

    def versions(where: str) -> dict[str, object]:
        hits = json.loads(run("query", "moon", "-c", "v", "--json", "-w", where).out)["hits"]
        return {hit["id"]: hit["fields"]["version"] for hit in hits}

    assert versions("version?") == {"a": "3.1", "b": "3.10", "c": "3.2"}
    assert versions("version < 3.2") == {"a": "3.1", "b": "3.10"}
    assert versions("version = 3.10") == {"a": "3.1", "b": "3.10"}
    assert versions("version ~ 3.10") == {"b": "3.10"}


@pytest.mark.parametrize(
    ("options", "is_terminal", "is_shown"),
    [
        ([], True, True),
        ([], False, False),
        (["-q"], True, False),
        (["--json"], True, False),
        (["-f", "md"], True, False),
    ],
)
def test_a_name_that_hits_lack_is_a_filter(run, write, small, monkeypatch, options, is_terminal, is_shown):
    monkeypatch.chdir(
        write(
            "books.jsonl",
            '{"title": "moon"}\n' * 20 + '{"title": "sea sea sea sea sea sea", "author": "Jules Verne"}\n',
        ).parent
    )
    assert run("index", "books.jsonl").code == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    ran = run("query", "moon by Verne", *options)
    assert (ran.code, ran.err) == (0, "")
    assert ("1 item has 'Verne' in author: -w 'author ~ Verne'" in ran.out) == is_shown


class TestShow:
    """`--show FIELD`: columns of fields."""

    ITEMS = "id,title,description,price,url\na,moon,Up there,12,https://example.org/a\nb,sea,Deep,3,\n"

    @pytest.fixture
    def goods(self, run, write, small, monkeypatch):
        monkeypatch.chdir(write("goods.csv", self.ITEMS).parent)
        assert run("index", "goods.csv", "-q").code == 0
        small.read.clear()
        return small

    def test_separated_values_have_them(self, run, goods):
        code, out, err = run("query", "moon", "-f", "csv")
        assert (code, err) == (0, "")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [*rows[0]] == ["query", "rank", "id", "title", "weight", "score", "logit", "description", "passage",
                              "price", "url"]  # fmt: skip
        assert [(row["price"], row["url"]) for row in rows] == [("12", "https://example.org/a"), ("3", "")]
        head = run("query", "moon", "-f", "tsv", "--show", "none").out.splitlines()[0]
        assert head.split("\t") == [*rows[0]][:-2]

    def test_a_table_has_those_that_are_asked_for(self, run, goods):
        assert run("query", "moon").out.splitlines()[0].split() == ["#", "title", "weight", "score", "description"]
        lines = run("query", "moon", "--show", "url", "--show", "price").out.splitlines()
        assert lines[0].split() == ["#", "title", "weight", "score", "url", "price", "description"]
        assert lines[1].split()[-4:] == ["https://example.org/a", "12", "Up", "there"]
        assert "| 12 | https://example.org/a | Up there |" in run("query", "moon", "--show", "all", "-f", "md").out

    def test_json_has_all_in_any_case(self, run, goods):
        hits = [json.loads(run("query", "moon", "--json", *show).out)["hits"] for show in ([], ["--show", "none"])]
        assert hits[0] == hits[1]
        assert hits[0][0]["fields"] == {"price": "12", "url": "https://example.org/a"}

    @pytest.mark.parametrize("form", ["csv", "tsv"])
    def test_no_header_before_an_error(self, run, goods, form):
        code, out, err = run("query", "moon", "-f", form, "-w", "pirce = 1")
        assert (code, out) == (2, "")
        assert "has a field 'pirce'" in err

    @pytest.mark.parametrize("options", [[], ["-f", "csv"], ["--json"], ["--min-weight", "1"]])
    def test_an_unknown_field(self, run, goods, options):
        code, out, err = run("query", "moon", "--show", "pirce", *options)
        assert (code, out) == (2, "")
        assert "no item of goods has a field 'pirce'" in err
        assert "did you mean 'price'?" in err
        assert goods.read == []

    def test_an_empty_answer_has_the_columns(self, run, goods):
        out = run("query", "moon", "--min-weight", "1", "-f", "csv").out
        assert (out.count("\n"), out.endswith(",price,url\n")) == (1, True)

    def test_cells_that_a_spreadsheet_would_run_stay_as_they_are(self, run, write, small):
        file = write("f.json", json.dumps([{"id": "a", "title": "moon", "sum": "=1+1"}]))
        assert run("query", "moon", "-c", file, "-f", "csv").out.endswith(",=1+1\n")


class TestPipedCatalog:
    """`-c -`: the catalog comes through the pipe."""

    LINES = b"3f1 fix: moon\n4a2 sea\n"

    def test_one_question(self, run, home, small):
        ran = run("query", "moon", "-c", "-", "--from", "lines", "-f", "csv", stdin=self.LINES)
        assert (ran.code, [row.split(",")[3] for row in ran.out.splitlines()[1:]]) == (0, ["3f1 fix: moon", "4a2 sea"])
        assert list(home.iterdir()) == []

    @pytest.mark.parametrize("lines", [LINES, b"3f1 go to the moon, or sea\n4a2 sea, and robot\n", b"moon\n"])
    def test_its_lines_are_items_when_it_is_nothing_else(self, run, small, lines):
        ran = run("query", "moon", "-c", "-", "--json", stdin=lines)
        titles = {hit["title"] for hit in json.loads(ran.out)["hits"]}
        assert (ran.code, titles) == (0, set(lines.decode().splitlines()))
        assert ran.err.splitlines()[0] == (
            "attnsearch: standard input: reading each line as an item; "
            "for another format: --from csv, tsv, yaml, json or jsonl"
        )

    def test_a_table_is_no_list_of_lines(self, run, small):
        ran = run("query", "moon", "-c", "-", "--show", "price", "-f", "csv", stdin=b"title;price\nmoon;3\n")
        assert (ran.code, ran.out.splitlines()[1][-2:]) == (0, ",3")
        assert "each line" not in ran.err

    @pytest.mark.parametrize("texts", [(), ("-",), ("moon", "-")])
    @pytest.mark.parametrize("variable", ["", "ATTNSEARCH_CATALOG"])
    def test_the_queries_come_from_elsewhere(self, run, small, monkeypatch, texts, variable):
        if variable:
            monkeypatch.setenv(variable, "-")
        ran = run("query", *texts, *([] if variable else ["-c", "-"]), stdin=self.LINES)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            "attnsearch: standard input can't be both the catalog and the requests; name the requests as TEXT\n"
        )

    def test_an_unknown_format(self, run, small):
        ran = run("query", "moon", "-c", "-", "--from", "xml", stdin=self.LINES)
        assert (ran.code, ran.err.startswith("attnsearch: invalid --from 'xml'; use one of yaml, json,")) == (2, True)


class TestLike:
    """Items in place of a text, or beside it."""

    def test_alone(self, run, shop):
        code, out, err = run("query", "--like", "moon", "-c", "shop", "--json")
        result = json.loads(out)
        assert (code, err) == (0, "")
        assert (result["query"], result["like"], result["unlike"]) == ("like: a", ["a"], [])
        assert [hit["id"] for hit in result["hits"]] == ["b", "c"]
        assert (result["items"], result["masked"], result["none_of_these"]) == (3, 1, None)

    def test_it_leaves_standard_input_alone(self, run, shop):
        assert (
            len(json.loads(run("query", "--like", "a", "-c", "shop", "--json", stdin=b"moon\nsea\n").out)["hits"]) == 2
        )

    def test_beside_each_text(self, run, shop):
        code, out, _ = run("query", "-", "robot", "--unlike", "a", "-c", "shop", "--jsonl", stdin=b"sea\nrobot\n")
        results = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [result["query"] for result in results] == ["sea", "robot", "robot"]
        assert [result["hits"][0]["id"] for result in results] == ["b", "c", "c"]
        assert all((result["like"], result["unlike"]) == ([], ["a"]) for result in results)

    def test_a_plain_answer_names_no_items(self, run, shop):
        assert "like" not in json.loads(run("query", "moon", "-c", "shop", "--json").out)

    def test_of_what_comes_through_the_pipe(self, run, small):
        code, out, _ = run("query", "--like", "moon", "-c", "-", "--json", stdin=b"- title: moon\n- title: sea\n")
        assert (code, [hit["id"] for hit in json.loads(out)["hits"]]) == (0, ["sea"])

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--like", "mon"], "shop: no item 'mon'; did you mean 'moon'?"),
            (["", "--like", "moon"], "the query is empty"),
            (["--like", "moon", "--unlike", "a"], "'a' is to be both like and unlike"),
            (["--like", "moon", "--lexical"], "--lexical counts the words of a TEXT, and there is none; give a TEXT"),
            (["moon", "--unlike", "moon"], "cancels out"),
        ],
    )
    def test_refused(self, run, shop, argv, message):
        code, out, err = run("query", *argv, "-c", "shop")
        assert (code, out) == (2, "")
        assert message in err

    def test_nothing_is_left(self, run, shop):
        code, out, _ = run("query", "--like", "a", "-w", "title = moon", "-c", "shop", "--fail-empty")
        assert code == 1
        assert "nothing is left\nno items are left but those that the query is made of\n" in out

    def test_it_is_explained(self, run, shop):
        code, out, _ = run("query", "--like", "a", "-c", "shop", "--explain")
        assert code == 0
        assert "x is a as unit vectors, scaled to length 1" in out
        assert "the 2 items that are not hidden" in out
        assert "   query:" not in out


class TestSeveralCatalogs:
    """-c A -c B is one softmax over both."""

    @pytest.fixture
    def two(self, write, small):
        """The catalog `one`, and the file of another one."""
        update([str(write("one.yaml", "- {id: a, title: moon}\n- {id: s, title: sea, size: 3}\n"))])
        return write("two.jsonl", '{"id": "b", "title": "moon sea", "catalog": 7}\n{"id": "s", "title": "robot"}\n')

    def test_json(self, run, two):
        code, out, err = run("query", "moon", "-c", "one", "-c", two, "--json")
        result = json.loads(out)
        assert (code, err.count("\n")) == (0, 1)  # what was read of the new file
        assert (result["catalog"], result["catalogs"], result["items"]) == (f"one, {two}", ["one", str(two)], 4)
        assert [(hit["catalog"], hit["id"]) for hit in result["hits"]] == [
            ("one", "a"), (str(two), "b"), ("one", "s"), (str(two), "s"),
        ]  # fmt: skip
        assert sum(hit["weight"] for hit in result["hits"]) == pytest.approx(1)

    def test_of_one_catalog_hits_have_its_name_too(self, run, two):
        result = json.loads(run("query", "moon", "-c", "one", "--json").out)
        assert {hit["catalog"] for hit in result["hits"]} == {"one"}
        assert "catalogs" not in result

    def test_a_table_names_the_catalog_of_each_item(self, run, two):
        code, out, _ = run("query", "moon", "-c", "one", "-c", two)
        lines = out.splitlines()
        assert code == 0
        assert lines[0].split() == ["#", "title", "weight", "score", "catalog"]
        assert [line.split()[-1] for line in lines[1:5]] == ["one", "two.jsonl"] * 2
        assert lines[5].startswith("one, two.jsonl · 4 items · ")
        assert "catalog" not in run("query", "moon", "-c", "one").out

    def test_csv_keeps_a_field_called_catalog_apart(self, run, two):
        rows = list(csv.DictReader(io.StringIO(run("query", "moon", "-c", "one", "-c", two, "-f", "csv").out)))
        assert [(row["id"], row["catalog"], row["size"], row["fields.catalog"]) for row in rows] == [
            ("a", "one", "", ""), ("b", str(two), "", "7"), ("s", "one", "3", ""), ("s", str(two), "", ""),
        ]  # fmt: skip

    def test_one_comes_through_the_pipe(self, run, two):
        code, out, _ = run(
            "query", "sea", "-c", "one", "-c", "-", "--from", "lines", "--jsonl", stdin=b"sea\nsea robot\n"
        )
        hits = json.loads(out)["hits"]
        assert (code, [(hit["catalog"], hit["title"]) for hit in hits]) == (
            0, [("one", "sea"), ("standard input", "sea"), ("standard input", "sea robot"), ("one", "moon")],
        )  # fmt: skip

    def test_like_an_item_of_either(self, run, two):
        result = json.loads(run("query", "--like", "one:s", "-c", "one", "-c", two, "--json").out)
        assert [(hit["catalog"], hit["id"]) for hit in result["hits"]][:1] == [(str(two), "b")]
        assert (result["like"], result["masked"]) == (["one:s"], 1)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["moon", "-c", "one", "-c", "one"], "the catalog 'one' is named twice; name each catalog once"),
            (["moon", "-c", "-", "-c", "-"], "standard input is named twice"),
            (["-", "-c", "one", "-c", "-"], "standard input can't be both the catalog and the requests"),
            (["--like", "s", "-c", "one", "-c", "two.jsonl"], "write one:s or "),
            (["moon", "-c", "one", "-c", "two.jsonl", "-w", "colour = 1"], "has a field 'colour'"),
        ],
    )
    def test_refused(self, run, two, argv, message, monkeypatch):
        monkeypatch.chdir(two.parent)
        code, out, err = run("query", *argv, stdin=b"")
        assert (code, out) == (2, "")
        assert message in err

    def test_fields_of_both_are_completed(self, run, two):
        from attnsearch.terminal import completion

        run("index", two, "--name", "two")
        context = types.SimpleNamespace(params={"catalog": ["one", "two"]}, args=[])
        assert {"size", "catalog"} <= {*completion.complete_field(context, "")}
        assert completion.complete_field(types.SimpleNamespace(params={"catalog": "one"}, args=[]), "c") == []
