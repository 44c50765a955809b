"""Misspelled words: which are corrected to what, which are left alone, and that all who ask read a request alike."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from string import ascii_lowercase
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.evaluation.report import evaluate
from attnsearch.explanation.cells import compute_heatmap
from attnsearch.explanation.following import follow_requests
from attnsearch.explanation.reasons import explain_hits
from attnsearch.explanation.saved import collect_arrays
from attnsearch.learning.examples import gather_examples
from attnsearch.opening.index import Index
from attnsearch.postings import vocabulary
from attnsearch.postings.vocabulary import collect_words
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.search.spelling import LONGEST_TEXT, Correction, Reading, read_requests, read_texts
from attnsearch.search.weights import weigh_items
from attnsearch.sources.items import read_items
from attnsearch.sources.judgments import Judged
from attnsearch.storage import home
from tests.asking import query
from tests.postings.parts import vocabulary_of
from tests.search.conftest import index_items

ITEMS = [
    {"id": "a", "title": "moon", "description": "a robot in orbit, seldom refrigerated"},
    {"id": "b", "title": "sea", "description": "ships of wood; a robot as well; gangrenosum"},
    {
        "id": "c",
        "title": "robot moon",
        "author": "Stanisław Lemski",
        "description": "ships; extraordinary crust, crunchy",
    },
]
KNOWN = ["that", "with", "moon", "robots", "story", "stories", "heroes", "island", "reader", "crush", "play", "house"]


@pytest.fixture
def books(write, small):
    small.vocabulary = KNOWN
    with Index.open(index_items(write, "books", ITEMS)) as index:
        yield index


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("robt", "robot"),  # a letter too few, as the catalog has it
        ("robbot", "robot"),  # one too many
        ("rovot", "robot"),  # another one
        ("orbot", "robot"),  # two in the wrong order
        ("Robbot moon", "Robot moon"),
        ("a robbot, or (shps)!", "a robot, or (ships)!"),
        ("robbot-ships", "robot-ships"),
        ("the robbot's moon", "the robot's moon"),
        ("iland", "island"),  # only the encoder has it
        ("extrordinery moon", "extraordinary moon"),  # two mistakes in a long word
        ("books by Lemsky", "books by Lemski"),  # a name, which the catalog has
        ("stroies", "stories"),
        ("crusst", "crust"),  # by the mistake: a doubled letter is likelier than another one, as in crush
    ],
)
def test_corrected(books, typed, read):
    (reading,) = read_requests(books, [typed])
    assert reading.text == read
    assert reading.corrections
    assert all(correction.typed in typed and correction.read in read for correction in reading.corrections)


@pytest.mark.parametrize(
    "text",
    [
        "moon",
        "robots",  # the encoder has it
        "rbt",  # fewer than four letters
        "ROBBOT",
        "RobBot",
        "robbot2",
        "the 'robbot' and \"robbot\" and `robbot`",
        "robbot.txt",
        "src/robbot",
        "--robbot",
        "robbot_moon",
        "me@robbot",
        "stories from Iland",  # a name that only the encoder has
        "planer",  # nothing near
        "unrobots replayed",  # other forms of known words
        "moonships",  # two words of the catalog
        "gangrenous",  # another form, as its ending says
        "islamd playr",  # less likely mistakes in words that only the encoder has
        "Extrordinery moon",  # a name that is not near enough
        "robbot shps strxx",  # most words are unknown, and one of them can't be corrected
        "don't",
        "ro\ufb01ot",  # fi in one character: it may be another word, as the encoder reads it
        "東京都",
        "",
    ],
)
def test_left_alone(books, text):
    if text.startswith("--"):
        text = f"moon {text}x=1"
    assert read_requests(books, [text]) == [Reading(text)]


def test_the_catalog_comes_first(books, small):
    small.vocabulary = [*KNOWN, "robed"]
    assert read_texts(books, ["robet"]) == ["robot"]


def test_of_equal_words_the_commoner_one(books, small):
    small.vocabulary = [*KNOWN, "planters", "plankers"]
    assert read_texts(books, ["planpers"]) == ["planters"]
    small.vocabulary = [*KNOWN, "plankers", "planters"]
    assert read_texts(books, ["planpers"]) == ["plankers"]


def test_a_word_that_few_items_have(write, small):
    """A short word is not read as one that fewer than 1 in 1,000 items have, unless the encoder knows it."""
    small.vocabulary = KNOWN
    items = [{"id": str(number), "title": "mkfile moonbeams" if number < 1 else "moon"} for number in range(1_001)]
    with Index.open(index_items(write, "many", items)) as index:
        assert read_texts(index, ["myfile", "moonbeems"]) == ["myfile", "moonbeams"]
        small.vocabulary = [*KNOWN, "mkfile"]
        assert read_texts(index, ["myfile"]) == ["mkfile"]


def test_the_beginning_of_a_short_word(write, small):
    """It is seldom mistyped: a short word with another one stands for a word that many items have, or is right."""
    small.vocabulary = [*KNOWN, "node"]
    items = [{"id": str(number), "title": "node ships" if number < 1 else "moon"} for number in range(60)]
    with Index.open(index_items(write, "many", items)) as index:
        assert read_texts(index, ["inode", "nde", "nodr", "xmoon", "xships"]) == [
            "inode", "nde", "node", "moon", "ships",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["robbot " + "moon " * LONGEST_TEXT,
     " ".join(f"rob{letter}ot moon ro{letter}bot moon" for letter in ascii_lowercase),
     '"“' * 4_999 + "x", "a-" * 4_999 + "a", "'" * LONGEST_TEXT],
    ids=["long", "many words", "quotes", "hyphens", "apostrophes"],
)  # fmt: skip
def test_long_and_odd_requests_take_no_time(books, text):
    assert read_texts(books, [text]) == [text]


def test_a_mistake_is_corrected_each_time(books):
    assert read_texts(books, ["robbot moon " * 60]) == ["robot moon " * 60]


def test_nothing_is_counted_for_a_request_of_known_words(books, home):
    assert query(books, "moon that stories").asked is None
    assert not (home / "books" / "postings").exists()


def test_asked_as_typed_where_words_are_not_counted(books, monkeypatch):
    monkeypatch.setattr(vocabulary, "COUNTED", 1)
    assert query(books, "robbot").asked is None


class TestAllWhoAsk:
    """Whatever asks, a misspelled request is the one that it is read as, and is told so."""

    TYPED, READ = "robbot", "robot"

    def test_search(self, books):
        result = query(books, self.TYPED, lexical=0.3)
        assert (result.query, result.asked, result.as_read) == (self.TYPED, self.READ, self.READ)
        assert result.corrections == (Correction("robbot", "robot"),)
        read = query(books, self.READ, lexical=0.3)
        assert result.hits == read.hits
        assert (read.asked, read.corrections, read.as_read) == (None, (), self.READ)
        assert query(books, self.TYPED, spell=False).asked is None
        assert query(books, self.TYPED, spell=False).hits != query(books, self.READ).hits

    def test_a_text_beside_items(self, books):
        typed, read = (query(books, text, like=("a",)) for text in (self.TYPED, self.READ))
        assert (typed.asked, typed.hits) == (self.READ, read.hits)
        assert query(books, "", like=("a",)).asked is None

    def test_explain(self, books):
        setting = Setting(lexical=0.3)
        (typed,), (read,) = (follow_requests(books, [text], setting, k=2) for text in (self.TYPED, self.READ))
        assert typed.trace.tokens == read.trace.tokens
        assert explain_hits(books, [typed])[0].whys == explain_hits(books, [read])[0].whys
        arrays, expected = (collect_arrays(books, [text], setting) for text in (self.TYPED, self.READ))
        np.testing.assert_array_equal(arrays["x"], expected["x"])

    def test_heatmap(self, books):
        typed, read = (compute_heatmap(books, [text, "moon"]) for text in (self.TYPED, self.READ))
        np.testing.assert_array_equal(typed.weights, read.weights)
        assert (dict(typed.asked), dict(read.asked)) == ({self.TYPED: self.READ}, {})

    def test_weights(self, books):
        np.testing.assert_array_equal(weigh_items(books, [self.TYPED]), weigh_items(books, [self.READ]))

    def test_eval(self, books):
        typed, read = (evaluate(books, [Judged(text, {"c": 1.0})]) for text in (self.TYPED, self.READ))
        assert typed.means == read.means
        assert [row.query for row in typed.rows] == [self.TYPED]
        assert (typed.asked, read.asked) == ({self.TYPED: self.READ}, {})

    def test_train(self, books):
        typed, read = (gather_examples(books, [Judged(text, {"c": 1.0})]) for text in (self.TYPED, self.READ))
        np.testing.assert_array_equal(typed.training_set.x, read.training_set.x)
        assert [request.query for request in typed.requests] == [self.TYPED]


WORDS = st.sampled_from(
    ["robot", "robbot", "moon", "shps", "ships", "iland", "Stroies", "ROBBOT", "x1", "é", "-", "'", "\n"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=8))
def test_only_the_corrected_words_change(books, words):
    text = " ".join(words)
    (reading,) = read_requests(books, [text])
    expected, start = "", 0
    for correction in reading.corrections:
        place = text.index(correction.typed, start)
        expected += text[start:place] + correction.read
        start = place + len(correction.typed)
    assert len(expected + text[start:]) == len(reading.text)
    assert read_requests(books, [reading.text])[0].text == reading.text


def test_a_replaced_letter_is_not_a_doubled_one(write, small):
    small.vocabulary = KNOWN
    items = [{"id": "a", "title": "chess", "description": "moon"}, {"id": "b", "title": "cheese", "description": "sea"}]
    with Index.open(index_items(write, "games", items)) as index:
        assert read_texts(index, ["chees", "cheess"]) == ["cheese", "chess"]


@pytest.mark.real
def test_real_misspellings(real):
    """People's mistakes, of which the words of the built-in catalogs and of the encoder should mend most."""
    counts: Counter[str] = Counter()
    items = 0
    for name in home.BUILT_IN:
        for item in read_items([str(home.built_in_file(name))]).items:
            counts.update(collect_words(item))
            items += 1
    words = vocabulary_of(counts)
    index = SimpleNamespace(encoder=real, find_vocabulary=lambda: words, info=SimpleNamespace(items=items))
    pairs = [line.split() for line in (Path(__file__).parent / "misspellings.txt").read_text().splitlines()]
    read = read_texts(index, [f"a {typed} book" for typed, _ in pairs])
    right = sum(text == f"a {meant} book" for text, (_, meant) in zip(read, pairs, strict=True))
    assert len(pairs) >= 150
    assert right / len(pairs) >= 0.85


@pytest.mark.real
def test_another_language_is_left_alone(real, run):
    texts = ["Rezept mit Kartoffeln und Zwiebeln", "livres sur la guerre et la jeunesse", "東京の夏", "книга о войне"]
    out = run("query", *texts, "--jsonl", "-k", "1").out
    assert all("asked" not in json.loads(line) for line in out.splitlines())


def test_what_a_result_needs(books):
    (result,) = search(books, ["robbot"])
    assert result.as_read == "robot"
