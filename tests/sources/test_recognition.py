"""What a person would take for the id, the title and the text is taken for it, whatever it is called."""

from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.sources.fields import Fields
from attnsearch.sources.recognition import SAMPLE, Survey, choose_fields

LONG = "A long text that says what this is in many words."


def recognize(*records, **options):
    return choose_fields(Survey(records), "x", **options)


@pytest.mark.parametrize(
    ("record", "title", "text"),
    [
        ({"title": "Lamp", "name": "n"}, "title", ["title"]),
        ({"name": "Lamp", "description": "Gives light."}, "name", ["name", "description"]),
        ({"Title": "Lamp", "Description": "Gives light."}, "Title", ["Title", "Description"]),
        ({"TITLE": "Lamp", "PLOT": "Gives light."}, "TITLE", ["TITLE", "PLOT"]),
        ({"Product Name": "Lamp", "short-blurb": "Light one"}, "Product Name", ["Product Name", "short-blurb"]),
        ({"tconst": "tt1", "primaryTitle": "Lamp", "originalTitle": "Lampe"}, "primaryTitle", ["primaryTitle"]),
        ({"Summary": "It fails", "Description": "Since May."}, "Summary", ["Summary", "Description"]),
        ({"headline": "Lamp", "body": "Gives light."}, "headline", ["headline", "body"]),
        ({"Name": "Lamp", "Review": "Too dim.", "Tags": "x"}, "Name", ["Name", "Review", "Tags"]),
        ({"question": "Who?", "answer": "Ann."}, "question", ["question", "answer"]),
        ({"common_name": "Oak", "habitat": LONG}, "common_name", ["common_name", "habitat"]),
        ({"author name": "Ann", "Film": "Lamp", "story": LONG}, "author name", None),
        ({"properties": {"name": "Lamp", "note": "Light."}}, "properties.name", ["properties.name", "properties.note"]),
        ({"title": {"rendered": "Lamp"}, "content": {"rendered": "<p>Light</p>"}}, "title", ["title", "content"]),
        ({"title": ["Lamp"], "abstract": "Light."}, "title", ["title", "abstract"]),
        ({"title": "Lamp", "description": {"type": "/t/x", "value": "Gives light"}}, "title",
         ["title", "description"]),
        ({"title": "Lamp", "genre": "x", "keywords": ["y", "z"], "overview": "Light."}, "title",
         ["title", "overview", "genre", "keywords"]),
        ({"title": "Lamp", "url": "https://example.org/a-b-c-d-e-f", "what": LONG}, "title", ["title", "what"]),
        ({"title": "Lamp", "author": "Ann", "tags": ["x"]}, "title", ["title", "tags", "author"]),
        ({"title": "Lamp", "description": "Light.", "examples": [LONG, LONG]}, "title", ["title", "description"]),
        ({"title": "Lamp", "maker": "Ann of York"}, "title", ["title", "maker"]),
        ({"title": "Lamp", "maker": "Ann"}, "title", ["title"]),
        ({"title": "Lamp", "text": "https://example.org/"}, "title", ["title"]),
        ({"description": "The fuse box is behind the coats, and the stopcock under the sink."}, "", ["description"]),
        ({"x": "Kettle"}, "x", ["x"]),
        ({"#": "1", "Title": "Lamp"}, "Title", ["Title"]),
        ({"": "1", "@": "2", "Title": "Lamp"}, "Title", ["Title"]),
    ],
)  # fmt: skip
def test_title_and_text(record, title, text):
    if text is None:  # the name of an author is not that of the film
        assert recognize(record, {**record, "Film": "Other"}).title == "Film"
        return
    fields = recognize(record)
    assert (fields.title, list(fields.text)) == (title, text)


@pytest.mark.parametrize(
    ("records", "ident"),
    [
        ([{"id": 1}, {"id": 1}], "id"),
        ([{"ID": 1, "sku": 2}], "ID"),
        ([{"_id": {"$oid": "6"}}], "_id"),
        ([{"@id": "x", "name": "n"}], "@id"),
        ([{"sku": "A"}, {"sku": "B"}], "sku"),
        ([{"Handle": "a", "Title": "A"}, {"Handle": "a", "Title": "B"}], None),
        ([{"sku": "A"}, {"title": "x"}], None),
        ([{"Book Id": 7, "Title": "x"}, {"Book Id": 8, "Title": "x"}], "Book Id"),
        ([{"bookId": 7, "Title": "x"}], "bookId"),
        ([{"Title": "x", "y": 1, "author_id": 7}], None),
        ([{"title": "x", "isbn13": "978", "price": 2}], "isbn13"),
        ([{"DOI": "10.1/x", "title": ["x"]}], "DOI"),
        ([{"slug": ["a", "b"], "title": "x"}], None),
    ],
)
def test_id(records, ident):
    assert recognize(*records).id == ((ident,) if ident else ())


def test_a_title_that_is_a_mapping_is_asked_about():
    with pytest.raises(InputError, match=r"x: 'title' is a mapping \(en, de\), not text; say which: --title-field t"):
        recognize({"title": {"en": "Lamp", "de": "Lampe"}, "note": "x"})
    assert recognize({"title": {"en": "Lamp"}, "name": "x"}).title == "name"
    assert recognize({"title": {"en": "Lamp", "de": "x"}}, given=Fields(title="title.en")).title == "title.en"


RECORD = {"sku": "A", "product": "Lamp", "blurb": "Light.", "year": 1}


class TestSecondTime:
    """What was read stays as long as it is there; only a field that is new can join it."""

    last = Fields((), "product", ("product",))

    @pytest.mark.parametrize(
        ("record", "known", "expected"),
        [
            (RECORD, ["sku", "product", "blurb", "year"], last),
            (RECORD, ["product"], Fields(("sku",), "product", ("product", "blurb"))),
            ({"name": "x"}, ["product"], Fields((), "name", ("name",))),
            ({**RECORD, "title": "Old"}, ["sku", "product", "blurb", "title"], last),
        ],
    )
    def test_what_was_recognized(self, record, known, expected):
        assert recognize(record, remembered=self.last, known=known) == expected

    @pytest.mark.parametrize("given", [Fields(("year",)), Fields(title="blurb"), Fields(text=("blurb",))])
    def test_what_is_given_is_changed_alone(self, given):
        last = Fields(("sku",), "product", ("product", "blurb"))
        assert recognize(RECORD, remembered=last, known=[*RECORD], given=given) == given.over(last)


def test_the_sample_is_bounded():
    survey = Survey({"title": f"t{n}"} for n in range(SAMPLE))
    assert survey.is_full
    assert not Survey([{"title": "t"}]).is_full
    assert Survey([{"title": "t " * 3_000_000}]).is_full
