"""The page of the lesson: valid, with every number of the slides, in their colors."""

from __future__ import annotations

import pytest

from attnsearch.lesson.slide import Column, Group, Slide, Table
from attnsearch.lesson.steps import steps
from attnsearch.lesson.variations import variations
from attnsearch.pages.lesson import lesson_page
from attnsearch.pictures.lesson import format_number
from tests.pages.hostile import HOSTILE
from tests.pages.reading import read_page, text_of, texts

SLIDES = [*steps(), *variations()]


@pytest.fixture(scope="module")
def tree():
    return read_page(lesson_page(SLIDES, ["attnsearch", "lesson"]).encode())


def test_a_section_for_each_slide(tree):
    sections = list(tree.iter("section"))
    assert [section.get("id") for section in sections] == [f"slide-{slide.number}" for slide in SLIDES]
    for slide, section in zip(SLIDES, sections, strict=True):
        shown = " ".join(text_of(section).split())
        for paragraph in (*slide.story, *slide.notes, slide.command, slide.title):
            assert paragraph in shown


def test_every_number_as_it_is_printed(tree):
    columns = [
        column for slide in SLIDES for table in slide.tables for group in table.groups for column in group.columns
    ]
    expected = sorted(format_number(number, column) for column in columns for number in column.numbers)
    assert sorted(text.strip() for text in texts(tree, "td") if text) == [number for number in expected if number]
    assert "-∞" in expected


def test_links_lead_to_slides_that_are_there(tree):
    identifiers = {f"#{section.get('id')}" for section in tree.iter("section")}
    links = [link.get("href") for link in tree.iter("a")]
    assert len(links) == 2 * len(SLIDES) - 1
    assert set(links) <= identifiers


def test_letters_have_their_classes(tree):
    """Never color alone: each letter stands there."""
    classes = {(text_of(part), part.get("class")) for part in tree.iter("b")}
    assert {("W_Q", "q"), ("Kᵀ", "k"), ("V", "v"), ("q", "q")} <= classes
    assert all(text.strip("ᵀ").lower().removeprefix("w_") == kind for text, kind in classes)


def test_hostile_texts_are_inert():
    slides = [
        Slide(
            number,
            text,
            text,
            text,
            (text,),
            (Table((text, "q"), (Group(text, (Column(text, (1.0, 2.0)),)),)),),
            (text,),
            text,
        )
        for number, text in enumerate(HOSTILE, 1)
    ]
    tree = read_page(lesson_page(slides, ["attnsearch", *HOSTILE]).encode("utf-8", "replace"))
    assert not list(tree.iter("img"))
    assert len(list(tree.iter("section"))) == len(HOSTILE)
