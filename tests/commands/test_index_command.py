"""`attnsearch index`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import re

import pytest

from attnsearch.output.table import Screen
from attnsearch.terminal import streams
from tests.conftest import SHOP_FILE


class TestIndex:
    def test_what_it_says(self, run, shop_file):
        code, out, err = run("index", "shop.yaml")
        assert (code, err) == (0, "")
        assert re.fullmatch(r"shop: 3 items; 3 new; 3 embedded in \d+\.\d s\nread: title, description\n", out)
        assert (
            run("index", "shop.yaml").out
            == "shop: 3 items; nothing changed; nothing to embed\nread: title, description\n"
        )
        shop_file.write_text(SHOP_FILE.replace("sea", "lake").replace("- {id: c, title: robot moon}\n", ""))
        assert re.fullmatch(
            r"shop: 2 items; 1 changed, 1 removed; 1 embedded in .* s\nread: .*\n", run("index", "shop.yaml").out
        )

    def test_quiet(self, run, shop_file):
        assert run("index", "shop.yaml", "-q") == (0, "", "")

    def test_json(self, run, shop_file):
        report = json.loads(run("index", "shop.yaml", "--json").out)
        info = report["info"]
        assert (report["added"], report["embedded"], info["name"], info["items"]) == (3, 3, "shop", 3)

    def test_heads(self, run, shop_file, two):
        assert run("index", "shop.yaml").code == 0
        code, out, err = run("index", "shop.yaml", "--head", "vowels")
        assert (code, err) == (0, "attnsearch: shop: adding the head vowels\n")
        assert re.match(r"shop: 3 items; nothing changed; 3 embedded in ", out)
        (head,) = json.loads(run("index", "shop.yaml", "--json").out)["info"]["heads"]
        assert head == {
            "model": "vowels",
            **dict.fromkeys(("sha256", "identity", "stamp"), "6" * 64),
            "d": 6,
            "weight": 0.5,
            "use": None,
        }
        code, out, err = run("index", "shop.yaml", "--head", "none")
        assert (code, err) == (0, "attnsearch: shop: dropping the head vowels\n")
        assert json.loads(run("index", "shop.yaml", "--json").out)["info"]["heads"] == []
        assert run("index", "shop.yaml", "--head", "none", "--head", "vowels").code == 2

    def test_standard_input(self, run, shop_file):
        assert run("index", "-", "--name", "piped", stdin=SHOP_FILE.encode()).code == 0
        assert json.loads(run("info", "piped", "--json").out)["items"] == 3
        assert run("index", "-", stdin=SHOP_FILE.encode()).code == 2

    def test_a_form_that_is_said(self, run, shop_file, write):
        write("plain.txt", "id,title\n1,moon\n")
        assert run("index", "plain.txt", "--from", "csv").code == 0
        assert json.loads(run("query", "moon", "-c", "plain", "--json").out)["hits"][0]["id"] == "1"

    def test_several(self, run, shop_file, write):
        write("b.yaml", "- {title: x}\n")
        out = run("index", "shop.yaml", "b.yaml").out
        assert [line.split(":")[0] for line in out.splitlines()] == ["shop", "read", "b", "read"]
        assert run("index", "shop.yaml", "b.yaml", "--name", "all").out.startswith("all: 4 items")

    def test_fields(self, run, shop_file, write):
        write("x.csv", "sku,product,blurb\n1,Lamp,moon\n")
        options = ["--id-field", "sku", "--title-field", "product", "--text-field", "blurb"]
        assert run("index", "x.csv", *options).code == 0
        (hit,) = json.loads(run("query", "moon", "-c", "x", "--json").out)["hits"]
        assert (hit["id"], hit["title"], hit["score"]) == ("1", "Lamp", pytest.approx(1))
        assert hit["description"] == "moon"
        assert run("query", "moon", "-c", "x").out.splitlines()[1].split()[-1] == "moon"

    def test_keep(self, run, shop_file):
        run("index", "shop.yaml")
        shop_file.write_text("- {title: new}\n")
        assert run("index", "shop.yaml", "--keep").out.startswith("shop: 4 items; 1 new; 1 embedded")


def test_a_file_whose_name_has_marks(run, small, write, tmp_path, monkeypatch):
    """The catalog has the name of its file in NFC; -c takes it either way."""
    monkeypatch.chdir(tmp_path)
    for name, stored in (("हिन्दी", "हिन्दी"), ("cafe\u0301", "café")):
        write(f"{name}.yaml", "- title: दिन\n- title: दीन\n")
        assert run("index", f"{name}.yaml").out.startswith(f"{stored}: 2 items; 2 new")
        assert json.loads(run("info", name, "--json").out)["name"] == stored


class TestWhatIsRead:
    """A person's first command reads what it should, and says so."""

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("films.csv", "id,title,overview,year\n1,Monday,A moon learns to sing.,1990\n",
             "read: title, overview (not read: year; change it with --text-field)"),
            ("shop.csv", "Title,Description\nModel 7,A kettle\n", "read: Title, Description"),
            ("things.csv", "name,description,url\nKettle,Boils.,https://x.org\n",
             "read: name, description (title: name; not read: url; change it with --text-field)"),
            ("mongo.json", '[{"_id": {"$oid": "65"}, "name": "Lamp", "note": "Light"}]',
             "read: name, note (title: name; id: _id)"),
            ("notes.yaml", "- description: The stopcock is under the sink.\n",
             "read: description (title: the beginning of the text)"),
        ],
    )  # fmt: skip
    def test_the_last_line(self, run, shop_file, write, name, content, says):
        write(name, content)
        code, out, err = run("index", name)
        assert (code, err, out.splitlines()[1]) == (0, "", says)
        read = json.loads(run("index", name, "--json").out)["read"]
        assert list(read) == ["id", "title", "text", "unread", "longest"]

    def test_no_word_is_broken_at_the_edge_of_a_terminal(self, run, shop_file, write, monkeypatch):
        write("things.csv", "name,blurb,custom attribute\nmoon,Up there.,u\n")
        monkeypatch.setattr(streams, "screen", lambda **_: Screen(width=30, is_terminal=True))
        lines = run("index", "things.csv").out.splitlines()
        assert max(map(len, lines)) <= 30
        assert [line.strip() for line in lines[-4:]] == [
            "read: name, blurb (title:",
            "name; not read: custom",
            "attribute; change it with",
            "--text-field)",
        ]

    def test_a_query_of_a_file_says_it_once(self, run, shop_file, write):
        write("things.csv", "name,blurb,url\nmoon,Up there.,u\n")
        says = "attnsearch: things.csv: read: name, blurb (title: name; not read: url; change it with --text-field)\n"
        assert run("query", "moon", "-c", "things.csv").err == says
        assert run("query", "moon", "-c", "things.csv").err == ""
        assert run("query", "moon", "-c", "shop.yaml").err == ""

    def test_a_built_in_catalog_says_nothing(self, run, small):
        code, _, err = run("query", "moon", "-c", "library", "-k", "1")
        assert (code, err) == (0, "")

    @pytest.mark.parametrize("option", ["--id-field", "--title-field", "--text-field"])
    @pytest.mark.parametrize(
        ("name", "hint"),
        [("pric", "did you mean 'price'?"), ("Price", "did you mean 'price'?"), ("b.x", "did you mean 'b.c'?"),
         ("zzzzzz", "the fields are title, price, b.c"), ("description", "the fields are title, price, b.c")],
    )  # fmt: skip
    def test_a_field_that_no_item_has(self, run, shop_file, write, option, name, hint):
        write("x.json", '[{"title": "moon", "price": 3, "b": {"c": "sea"}}]')
        assert run("index", "x.json", option, name) == (
            2,
            "",
            f"attnsearch: x.json: no item has a field '{name}'; {hint}\n",
        )

    def test_fields_with_dots(self, run, shop_file, write):
        write("x.json", '[{"a": {"b": "7", "t": "moon"}, "c": [{"d": "sea"}, {"d": "robot"}]}]')
        options = ["--id-field", "a.b", "--title-field", "a.t", "--text-field", "c.d"]
        assert run("index", "x.json", *options).code == 0
        (hit,) = json.loads(run("query", "sea robot", "-c", "x", "--json").out)["hits"]
        assert (hit["id"], hit["title"], hit["description"], hit["score"]) == (
            "7",
            "moon",
            "sea, robot",
            pytest.approx(1),
        )
        write("y.json", '[{"a": {"b": "7"}, "a.b": "8", "title": "moon"}]')
        code, _, err = run("index", "y.json", "--id-field", "a.b")
        assert (code, err) == (2, "attnsearch: y.json:1: 'a.b' can be the field 'a.b', or 'b' in the field 'a';"
                                  " rename one of them\n")  # fmt: skip

    def test_an_item_without_an_id_or_a_title(self, run, shop_file, write):
        write("notes.yaml", f"- description: The moon is up. Look.\n- description: {'sea ' * 40}\n")
        run("index", "notes.yaml")
        hits = json.loads(run("query", "moon", "-c", "notes", "--json").out)["hits"]
        sea = "-".join(["sea"] * 15)
        assert {(hit["id"], hit["title"]) for hit in hits} == {
            ("the-moon-is-up", "The moon is up"), (sea, sea.replace("-", " ") + "…"),
        }  # fmt: skip

    def test_ids_and_titles_are_known_however_they_are_written(self, run, shop_file, write):
        write("x.yaml", "- {id: 'cafe\u0301', title: 'moon e\u0301'}\n")
        run("index", "x.yaml")
        for name in ("café", "cafe\u0301", "moon é", "moon e\u0301"):
            assert run("explain", "moon", name, "-c", "x").code == 0, name
        assert run("feedback", "moon", "--good", "cafe\u0301", "-c", "x").code == 0
        write("judged.yaml", "- {query: moon, relevant: ['cafe\u0301']}\n")
        assert json.loads(run("eval", "judged.yaml", "-c", "x", "--json").out)["unknown_ids"] == 0


def test_info_in_a_narrow_window(run, shop_file, write, monkeypatch):
    """Names that begin alike stay different; times are days, and fractions short."""
    header = "title,number of this thing,number of that thing,made"
    write("x.csv", f"{header}\nmoon,0.3333333333333,1,2024-03-01T10:00:00Z\nsea,2.5,1,2024-03-28T10:00:00Z\n")
    run("index", "x.csv")
    monkeypatch.setattr(streams, "screen", lambda **options: Screen(width=50))
    lines = run("info", "x").out.splitlines()
    table = [re.split(r"  +", line) for line in lines[lines.index("") + 1 :]]
    assert {row[0]: row[-1] for row in table} == {
        "field": "values",
        "title": "2 different",
        "number…his thing": "0.333… to 2.5",
        "number…hat thing": "1",
        "made": "2024-03-01 to 20…",
    }
    assert max(map(len, lines)) <= 50


def test_info_shows_the_fields(run, shop_file, write):
    rows = "".join(f"{n},t{n},{1990 + n},{'red' if n % 3 else 'blue'},{n}.5,\n" for n in range(9))
    write("x.csv", "id,title,year,color,price,empty\n" + rows + "9,t9,,red,?,\n")
    run("index", "x.csv")
    lines = run("info", "x").out.splitlines()
    table = lines[lines.index("") + 1 :]
    assert [re.split(r"  +", line) for line in table] == [
        ["field", "kind", "items", "values"],
        ["id", "number", "10", "0 to 9"],
        ["title", "text", "10", "10 different"],
        ["year", "number", "9", "1990 to 1998"],
        ["color", "text", "10", "red (7), blue (3)"],
        ["price", "number", "10", "0.5 to 8.5; 1 can't be read"],
    ]
    fields = json.loads(run("info", "x", "--json").out)["fields"]
    values = [{"value": "red", "count": 7}, {"value": "blue", "count": 3}]
    assert fields[3] == {"name": "color", "kind": "text", "items": 10, "unread": 0, "low": None, "high": None,
                       "different": 2, "values": values}  # fmt: skip
