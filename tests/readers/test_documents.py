from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.readers.documents import find_heading, read_document


def read(text, path="a/b.md", **options):
    return read_document(text, path, "notes/a/b.md", **options)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("# Lamp\n\nGives light.\n", {"title": "Lamp", "description": "Gives light."}),
        ("Intro.\n\n## Lamp ##\nLight.", {"title": "Lamp", "description": "Intro.\n\n## Lamp ##\nLight."}),
        ("Lamp\n====\nLight.", {"title": "Lamp", "description": "Light."}),
        ("====\nLamp\n====\nLight.", {"title": "Lamp", "description": "Light."}),
        ("```\n# a comment\n```\n# Lamp\n", {"title": "Lamp", "description": "```\n# a comment\n```\n# Lamp"}),
        ("Just text\n", {"title": "b", "description": "Just text"}),
        ("#hashtag\n", {"title": "b", "description": "#hashtag"}),
        ("# C#\n", {"title": "C#"}),
        ("", {"title": "b"}),
        ("---\ntitle: Lamp\ntags: [a]\n---\n# Other\nx", {"title": "Lamp", "tags": ["a"], "description": "# Other\nx"}),
        ("---\nName: Lamp\n---\nx", {"Name": "Lamp", "description": "x"}),
        ("---\ndate: 2020-01-02\n---\n# Lamp\nx", {"title": "Lamp", "date": "2020-01-02", "description": "x"}),
        ("---\ndescription: Short\n---\nLong", {"title": "b", "description": "Short", "body": "Long"}),
        ("---\ntitle:\n---\n# Lamp", {"title": None}),
        ("---\n---\n# Lamp\nx", {"title": "Lamp", "description": "x"}),
        ("---\r\ntitle: Lamp\r\n---\r\nx\r\ny", {"title": "Lamp", "description": "x\ny"}),
        ("---\na: 1\n...\nx", {"title": "b", "a": 1, "description": "x"}),
        ("---\nA rule first.\n---\nx", {"title": "b", "description": "---\nA rule first.\n---\nx"}),
        ("---\ntitle: never closed\n", {"title": "b", "description": "---\ntitle: never closed"}),
        ("+++\ntitle = 'Lamp'\n[extra]\nn = [1, 2.5]\non = 2020-01-02\nat = 07:32:00\n+++\nx",
         {"title": "Lamp", "extra": {"n": [1, 2.5], "on": "2020-01-02", "at": "07:32:00"}, "description": "x"}),
    ],
)  # fmt: skip
def test_markdown(text, fields):
    assert read(text) == {"id": "a/b.md", "path": "a/b.md"} | fields


def test_own_id_and_path():
    assert read("---\nID: 7\npath: /x\n---\ny") == {"title": "b", "description": "y", "ID": 7, "path": "/x"}


def test_values_as_text():
    assert read("---\ntitle: 1984\nyear: 1949\n---\n", as_text=frozenset({"title"}))["title"] == "1984"


def test_a_text_file():
    text = "---\na: 1\n---\n# No heading\n"
    assert read(text, "b.txt") == {"id": "b.txt", "title": "b", "description": text.strip(), "path": "b.txt"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\na: 1\ntitle: a: b\n---\n", "notes/a/b.md:3: not YAML"),
        ("---\na: 1\na: 2\n---\n", "notes/a/b.md:3: the key 'a' was already used on line 2"),
        ("+++\na = 1\nb =\n+++\n", "notes/a/b.md:3: not TOML: Invalid value"),
        ("+++\na = nan\n+++\n", "notes/a/b.md:2: not TOML: nan is not a finite number"),
        (f"+++\na = {'[' * 5000}\n+++\n", "notes/a/b.md:2: nested more than 64 deep"),
        (f"+++\n{'a.' * 100}a = 1\n+++\n", "notes/a/b.md:2: nested more than 64 deep"),
        (f"+++\na = {'1' * 5000}\n+++\n", "notes/a/b.md:2: not TOML: Exceeds the limit"),
        (f"+++\n{'#' * 70_000}\n+++\n", "notes/a/b.md:2: front matter of more than 64 KiB"),
    ],
)
def test_refused(text, message):
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


@given(st.text(st.sampled_from("#=-`~ \nab")))
def test_a_heading_is_a_line_of_the_text(text):
    heading = find_heading(text)
    if heading:
        assert heading.title in text
        assert "\n" not in heading.title
        assert heading.title.strip() == heading.title != ""
