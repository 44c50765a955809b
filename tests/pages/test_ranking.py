from __future__ import annotations

import json

import pytest

from attnsearch.pages.ranking import ranking_page
from attnsearch.search.result import Hit, Result, Why
from attnsearch.search.setting import Setting
from tests.pages.hostile import HOSTILE, hostile_catalog
from tests.pages.reading import numbers, numbers_of_json, read_page, text_of, texts

pytestmark = pytest.mark.usefixtures("undrawn")

SHOP = """\
- {id: a, title: moon, description: Up there, year: 1990, kind: rock, url: 'https://example.org/moon'}
- {id: b, title: sea, year: 1991, kind: water}
- {id: c, title: robot moon, year: 2001, kind: thing}
"""


@pytest.fixture
def page(run, write, small, monkeypatch, tmp_path):
    """The page of a command line, which breaks no rule."""
    write("shop.yaml", SHOP)
    monkeypatch.chdir(tmp_path)

    def page(*argv: str, stdin: bytes = b""):
        ran = run(*argv, "-c", "shop.yaml", "-f", "html", stdin=stdin)
        assert (ran.code, ran.err) == (0, "")
        return read_page(ran.out.encode())

    return page


def cells(tree):
    return [
        [" ".join(text_of(cell).split()) for cell in row if text_of(cell).strip()]
        for table in tree.iter("table")
        for row in table.iter("tr")
    ]


def test_the_table(page, run):
    tree = page("query", "moon", "--show", "year")
    assert cells(tree)[:2] == [
        ["#", "weight", "item", "score", "logit", "year"],
        ["1", "99.5%", "robot moon", "0.707", "14.14", "2001"],
    ]
    answer = json.loads(run("query", "moon", "-c", "shop.yaml", "--json").out)
    shown = [[data.get("value") for data in row.iter("data")] for body in tree.iter("tbody") for row in body.iter("tr")]
    assert shown == [[repr(hit[name]) for name in ("weight", "score", "logit")] for hit in answer["hits"]]
    assert texts(tree, "h1") == ["moon"]
    assert text_of(tree.find(".//title")) == "moon · attnsearch"


@pytest.mark.parametrize(
    "argv",
    [
        ["query", "moon"],
        ["query", "moon robot", "--explain"],
        ["query", "moon", "--value", "year", "--value", "kind", "--lexical", "0.5", "--prior", "year=2"],
        ["query", "moon", "sea", "elsewhere", "-k", "2", "--explain"],
        ["query", "moon", "-w", "year > 1990", "--temperature", "0.3"],
        ["query", "--like", "a"],
        ["explain", "moon sea"],
        ["explain", "moon sea", "--lexical", "1"],
        ["explain", "moon sea", "robot moon"],
        ["explain", "moon sea", "robot moon", "--matrix", "--lexical", "1", "--prior", "year"],
        ["explain", "moon sea", "robot moon", "--matrix", "--pieces"],
        ["explain", "moon sea", "a", "--over", "b", "--lexical", "0.5", "--prior", "year"],
    ],
    ids=" ".join,
)
def test_the_page_has_the_numbers_of_json(page, run, argv):
    expected = {*numbers_of_json(json.loads(run(*argv, "-c", "shop.yaml", "--json").out))}
    assert numbers(page(*argv)) == expected
    assert len(expected) > 3


def test_whole_numbers(page):
    tree = page("query", "moon", "-w", "year > 1990")
    setting = dict(zip(texts(tree, "dt"), texts(tree, "dd"), strict=True))
    assert setting.pop("catalog").endswith("shop.yaml")
    assert setting == {
        "items": "3", "hidden": "1", "model": "small", "temperature τ": "0.05", "filter": "year > 1990",
    }  # fmt: skip


def test_the_command_that_made_it(page):
    tree = page("query", "it's <b>", "--show", "none")
    assert texts(tree, "code") == ["""attnsearch query 'it'"'"'s <b>' --show none -c shop.yaml -f html"""]


def test_links(page):
    (link,) = page("query", "moon").iter("a")
    assert (link.get("href"), link.get("rel"), text_of(link)) == (
        "https://example.org/moon", "noreferrer noopener", "moon",
    )  # fmt: skip


def test_several_requests_are_explained_one_by_one_and_at_once(page, run):
    argv = ["explain", "moon", "--and", "sea robot", "--value", "year"]
    tree = page(*argv)
    assert texts(tree, "h2")[:3] == ["moon", "sea robot", "The steps of all requests at once"]
    expected = {*numbers_of_json(json.loads(run(*argv, "-c", "shop.yaml", "--json").out))}
    assert expected <= numbers(tree)


def test_shapes_and_letters(page):
    tree = page("explain", "moon")
    (query,) = [step for step in tree.iter("li") if text_of(step).lstrip().startswith("query")]
    assert "x (1, 4), W_Q (4, 4), Q (1, 4)" in " ".join(text_of(query).split())
    assert [(text_of(part), part.get("class")) for part in query.find("h4").iter("b")] == [("q", "q"), ("W_Q", "q")]


def test_steps_have_the_colors_of_the_terminal(page):
    """A component that of its letter, a weight that of its strength, a total none."""
    tree = page("explain", "moon")
    steps = [list(step.iter("data")) for step in tree.iter("li") if step.find(".//table") is not None]
    classes = [{data.get("class") for data in step} for step in steps]
    assert [sorted(filter(None, names)) for names in classes[1:4]] == [["q"], ["k"], []]
    weights = {data.get("value"): data.get("class") for data in steps[5]}
    assert [weights[value] for value in weights if float(value) > 0.9 and float(value) < 1] == ["p16"]
    assert {"v", "p16"} <= classes[6]
    assert all(data.get("class") is None for foot in tree.iter("tfoot") for data in foot.iter("data"))


def test_several_requests_have_contents(page):
    tree = page("query", stdin=b"moon\nsea\n")
    assert texts(tree, "h1") == ["2 requests"]
    assert [link.get("href") for link in tree.iter("a")][:2] == ["#q1", "#q2"]
    assert [section.get("id") for section in tree.iter("section")][:2] == ["q1", "q2"]
    assert texts(tree, "h2")[:2] == ["moon", "sea"]


def test_nothing_to_show(page):
    assert "nothing is left" in text_of(page("query", "moon", "-w", "year > 3000"))
    assert "below --min-weight" in text_of(page("query", "moon", "--min-weight", "1"))


def test_words_are_shaded_by_what_they_add(page):
    tree = page("explain", "moon robot", "c")
    shades = {text_of(data): data.get("class") for data in tree.findall(".//p[@dir='auto']/span/data")}
    assert shades["moon"] == shades["robot"] == "p16"
    assert "moon+10.00 robot+10.00" in texts(tree, "p")  # with the space between them
    tree = page("explain", "moon moon moon sea", "a")
    words = [(text_of(data), data.get("class")) for data in tree.iter("data") if text_of(data).isalpha()]
    assert ("sea", None) in words  # its number is next to nothing, and so is its shade


def test_judged_requests_that_add_little():
    """Three are named, and all others are one number; what would be 0.00 is left out."""
    why = Why(4.0, {}, {}, None, None, memory={"a": 2.0, "b": 0.5, "c": 0.25, "d": 0.125, "e": 0.125, "f": 0.001})
    result = Result("q", "shop", "small", 0.05, 3, 0, None, 1.0, 1.0, [Hit(1, "a", "moon", 0.6, 0.5, 7.0, "", {})])
    for shares, words in (
        (why.memory, "+2.00 because “a” was judged +0.50 because “b” was judged +0.25 because “c” was judged +0.25 "
                     "because others were judged"),
        ({"a": 2.0, "f": 0.001}, "+2.00 because “a” was judged"),
    ):  # fmt: skip
        html = ranking_page([result._replace(whys=[why._replace(memory=shares)])], [], setting=Setting())
        (article,) = read_page(html.encode()).iter("article")
        assert text_of(article.find("p")) == f"logit 7.00 = 4.00 semantic {words}"


def test_why_one_is_above_another(page):
    tree = page("explain", "sea", "b", "--over", "a")
    assert "sea (rank 1) ranks above moon (rank 2)" in text_of(tree)
    rows = [row for row in cells(tree) if row[1:] == ["query's word", "sea"]]
    assert len(rows) == 1


def test_hostile_texts_are_inert(run, write, small):
    path = write("hostile.jsonl", hostile_catalog())
    options = ["-c", path, "-k", "99", "--show", "all", "--value", "note", "--explain", "-f", "html", "-w", "year >= 0"]
    ran = run("query", "moon", *options, "--", *HOSTILE[:8])
    assert ran.code == 0
    tree = read_page(ran.out.encode())
    assert sum(tag == "script" for tag in tree.iter("script")) == 0
    shown = text_of(tree)
    for text in HOSTILE[:8]:
        assert " ".join(text.split()) in " ".join(shown.split())
    assert "\\u202egpj.exe\\u2066 \\u200f \\x1b[31m \\x07 \\x00 \\x7f \\x9b \\ufeff" in shown
    assert "\\ufdd0 \\uffff \\u1fffe \\u10ffff" in shown
    assert {link.get("href") for link in tree.iter("a") if not link.get("href").startswith("#")} == {
        "https://example.org/%22onclick=%22alert(1)",
        "https://example.org/?a=%3Cb%3E&c='d'",
        "https://example.org/",
    }


def test_the_same_command_makes_the_same_page(run, write, small, monkeypatch, tmp_path):
    write("shop.yaml", SHOP)
    monkeypatch.chdir(tmp_path)
    first, second = (run("query", "moon", "-c", "shop.yaml", "--explain", "-f", "html").out for _ in range(2))
    assert first == second


@pytest.mark.real
def test_none_of_these_is_a_row(run):
    argv = ["query", "quantum tax law", "-c", "library", "--value", "genre"]
    tree = read_page(run(*argv, "-f", "html").out.encode())
    answer = json.loads(run(*argv, "--json").out)
    (row,) = tree.iter("tfoot")
    assert "none of these" in text_of(row)
    assert [data.get("value") for data in row.iter("data")] == [repr(answer["none_of_these"])]
    assert numbers(tree) == {*numbers_of_json(answer)}
