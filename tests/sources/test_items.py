from __future__ import annotations

import json
import unicodedata

import pytest

from attnsearch.errors import InputError
from attnsearch.sources import items
from attnsearch.sources.fields import UNNAMED, Fields


def read(*paths, fields=UNNAMED):
    return list(items.read_items([str(path) for path in paths], fields).items)


def test_an_item_keeps_everything(write):
    (item,) = read(write("x.yaml", "- id: dune\n  title: Dune\n  year: 1965\n  tags: [sand, spice]\n"
                                   "  description: A desert planet\n  empty:\n"))  # fmt: skip
    assert (item.id, item.title, item.description) == ("dune", "Dune", "A desert planet")
    assert item.fields == {"year": 1965, "tags": ["sand", "spice"]}
    assert item.text == "Dune. A desert planet. sand, spice"
    assert item.place.endswith("x.yaml:1")


def test_fields_by_other_names(write):
    path = write("x.csv", "sku,product,blurb,stock\n007,Lamp,Bright light,3\n")
    (item,) = read(path, fields=Fields(("sku",), "product", ("product", "blurb")))
    assert (item.id, item.title, item.text) == ("007", "Lamp", "Lamp. Bright light")
    assert item.fields == {"blurb": "Bright light", "stock": "3"}


@pytest.mark.parametrize(
    ("title", "id_", "shown"),
    [("1984", "1984", "1984"), ("On", "on", "On"), ("12:30:45", "12-30-45", "12:30:45"), ("1.10", "1-10", "1.10"),
     ("'War & Peace!'", "war-peace", "War & Peace!"), ("Älplermagronen", "älplermagronen", "Älplermagronen"),
     ("こころ", "こころ", "こころ"), ("'!!!'", "!!!", "!!!"), ("true", "true", "true")],
)  # fmt: skip
def test_a_title_is_text_and_makes_the_id(write, title, id_, shown):
    (item,) = read(write("x.yaml", f"- title: {title}\n  description: x\n"))
    assert (item.title, item.id) == (shown, id_)


def test_numbers_in_json_titles(write):
    (item,) = read(write("x.json", '[{"title": 1984, "id": 7}]'))
    assert (item.title, item.id) == ("1984", "7")


def test_several_files_are_one_catalog(write):
    items = read(write("a.yaml", "- title: A\n"), write("b.csv", "title\nB\n"))
    assert [item.id for item in items] == ["a", "b"]


@pytest.mark.parametrize(
    ("title", "description", "text"),
    [("", "A soup.", "A soup"), ("", "A soup .", "A soup"), ("Dune", "Wait...", "Dune. Wait"),
     ("Dune", "Why?", "Dune. Why?"), ("Wait...", "A play.", "Wait... A play"), ("...", "", "..."),
     ("Dune.", "", "Dune")],
)  # fmt: skip
def test_a_key_text_ends_without_a_full_stop(title, description, text):
    assert items.key_text(title, description, {}) == text


def test_the_key_text_can_be_made_again(write):
    """The store keeps no text: title, description and fields give it back."""
    fields = Fields(("id",), "name", ("plot", "name"))
    path = write("x.yaml", "- {id: a, name: N, plot: P, description: D, tags: [t], note: {rendered: R}}\n")
    for chosen in (Fields(), fields, fields._replace(text=()), fields._replace(text=("id", "note.rendered"))):
        listing = items.read_items([str(path)], chosen)
        (item,) = listing.items
        assert items.key_text(item.title, item.description, item.fields, listing.fields) == item.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- {title: A}\n- {year: 1}\n", "x.yaml:2: an item has no text to search; its fields are: year"),
        ("- {}\n", "x.yaml:1: an item has no text to search; it has no fields"),
        ("- {id: a, year: 7}\n", "x.yaml:1: item 'a' has no text to search; its fields are: id, year"),
        ("- {title: '  ', id: a}\n", "x.yaml:1: item 'a' has no text to search"),
        (
            "- {title: {en: a, de: b}}\n",
            "x.yaml: 'title' is a mapping (en, de), not text; say which: --title-field title.en",
        ),
        ("- {title: a}\n- {title: {b: c}}\n", "x.yaml:2: 'title' is a mapping (b), not text; say which: title.b"),
        ("- {title: a}\n- {title: [{b: c}, d]}\n", "x.yaml:2: 'title' is a list, not text"),
        ("", "x.yaml: no items"),
        ("items: []\n", "x.yaml: no items"),
        ("items:\n", "x.yaml: no items"),
    ],
)
def test_refused(write, monkeypatch, tmp_path, content, message):
    write("x.yaml", content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        read("x.yaml")
    assert str(caught.value).startswith(message)


def test_a_title_too_long_for_an_id(write):
    """NFKC writes \ufdfa as 18 characters."""
    content = '{"title": "' + "\ufdfa" * 131_072 + '"}\n'
    (item,) = read(write("longest.jsonl", content))
    assert len(item.id) <= 18 * 131_072
    long = content.replace('"}', '\ufdfa"}')
    with pytest.raises(InputError, match="'title', which the id is made of, has 131,073 characters; at most 131,072"):
        read(write("long.jsonl", long))
    (item,) = read(write("named.jsonl", long.replace("{", '{"id": "a", ')))
    assert item.id == "a"


def test_ids_of_titles_with_marks(write):
    """A mark is part of its word: titles that differ in one have different ids, however they are written."""
    titles = ["दिन", "दीन", "กิน", "กัน", "தமிழ் நூல்", "שָׁלוֹם עוֹלָם", "Cafe\u0301 Noir", "x\u0323\u0301!"]
    ids = ["दिन", "दीन", "กิน", "กัน", "தமிழ்-நூல்", "שָׁלוֹם-עוֹלָם", "café-noir", "x\u0323\u0301"]
    content = "".join(f'{{"title": "{title}"}}\n' for title in titles)
    assert [item.id for item in read(write("x.jsonl", content))] == [unicodedata.normalize("NFC", id_) for id_ in ids]


@pytest.mark.parametrize(
    ("title", "id_"),
    [("Ärger & Öl", "ärger-öl"), ("İstanbul", "i-stanbul"), ("ﬁne Ⅳ", "fine-iv"), ("straße", "strasse"), ("?!", "?!")],
)
def test_ids_of_other_titles_stay(write, title, id_):
    """An index must know its items again: these are the ids that it always made."""
    (item,) = read(write("x.jsonl", f'{{"title": "{title}"}}\n'))
    assert item.id == id_


def test_html_is_read_once(write):
    record = {"title": "Write &amp;lt; in HTML", "description": "or &amp;amp;lt; there", "notes": "and &amp;lt; here"}
    (item,) = items.read_items([str(write("x.json", json.dumps([record])))]).items
    assert (item.title, item.description) == ("Write &lt; in HTML", "or &amp;lt; there")
    assert item.text == "Write &lt; in HTML. or &amp;lt; there. and &lt; here"
