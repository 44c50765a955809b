"""A catalog's language decides the stems of its terms; they are those of its requests too."""

from __future__ import annotations

import json
import re

import pytest

from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage import home
from attnsearch.syntax.languages import LANGUAGES

# Each title, and a request with other forms of its words. The small encoder knows none of them, so only terms rank.
WORDS = {
    "german": {"Ein Haus am See": "alte Häuser", "Wälder der Welt": "dunkler Wald", "Bücher binden": "altes Buch"},
    "french": {"Un cheval blanc": "des chevaux", "Chanter ensemble": "elle chante", "Nationaux": "jour national"},
}


def index(write, titles, **options):
    lines = "".join(json.dumps({"title": title}) + "\n" for title in titles)
    return update([str(write("texts.jsonl", lines))], **options)


def count_answered(requests):
    """How many of the requests have the item that is right on top, with a term in common."""
    with Index.open("texts") as opened:
        results = search(opened, list(requests.values()), Setting(lexical=1.0), k=1)
    best = zip(requests, (result.hits[0] for result in results), strict=True)
    return sum(hit.title == title and hit.logit > hit.score / 0.05 + 0.1 for title, hit in best)


@pytest.mark.parametrize(("language", "others"), [("german", ("none", "english")), ("french", ("none", "english"))])
def test_its_own_stems_help(write, small, language, others):
    index(write, WORDS[language], language=language)
    assert count_answered(WORDS[language]) == 3
    for other in others:
        index(write, WORDS[language], language=other)
        assert count_answered(WORDS[language]) == 0


def test_another_language_makes_new_terms_and_embeds_nothing(write, small):
    assert index(write, WORDS["german"]).info.language == "english"
    assert count_answered(WORDS["german"]) == 0
    small.read.clear()
    report = index(write, WORDS["german"], language="de")
    assert (report.info.language, report.embedded, small.read) == ("german", 0, [])
    assert count_answered(WORDS["german"]) == 3
    assert index(write, WORDS["german"]).info.language == "german"  # it is kept


def test_names_of_programming_languages(write, small):
    titles = ["R by example", "C in a week", "C++ in a week", "Learn C#", "Nets and fishing"]
    index(write, titles)
    requests = dict(zip(titles, ["plots with R", "pointers in C", "templates in C++", "LINQ with C#"], strict=False))
    assert count_answered(requests) == 4


class TestCommand:
    def test_it_is_shown(self, write, small, run):
        path = write("texts.yaml", "- title: Haus\n")
        assert run("index", path, "--language", "DE").code == 0
        assert json.loads(run("info", "texts", "--json").out)["language"] == "german"
        assert re.search(r"^language +german$", run("info", "texts").out, re.MULTILINE)

    def test_an_unknown_one(self, write, small, run):
        ran = run("index", write("texts.yaml", "- title: Haus\n"), "--language", "klingon")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("attnsearch: unknown language 'klingon'; use one of arabic, armenian,")
        assert all(language in ran.err for language in LANGUAGES)
        assert home.catalog_folders() == []
