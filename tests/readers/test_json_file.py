"""JSON and JSON Lines are told apart by what a file holds, whatever its name says."""

from __future__ import annotations

import io
import json
import sys

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import records
from attnsearch.syntax import formats

TWO = [{"title": "Kettle", "n": {"a": [1]}}, {"title": "Lamp"}]
ONE_BY_ONE = [json.dumps(record) for record in TWO]
CONTENT = {
    "lines": "\n".join(ONE_BY_ONE),
    "lines with blanks": "\n\n" + "\n\n \n".join(ONE_BY_ONE) + "\n\n",
    "CRLF": "\r\n".join(ONE_BY_ONE) + "\r\n",
    "a list": json.dumps(TWO),
    "a list on lines": "[" + "\n,".join(ONE_BY_ONE) + "\n]\n",
    "a list with indents": json.dumps(TWO, indent=2),
    "objects with indents": "\n".join(json.dumps(record, indent=2) for record in TWO),
    "objects without space": "".join(ONE_BY_ONE),
    "lists": "\n".join(f"[{record}]" for record in ONE_BY_ONE),
}
DOCUMENTS = {
    "items": json.dumps({"name": "shop", "items": TWO}),
    "items with indents": json.dumps({"page": 1, "items": TWO}, indent=1),
    "data": json.dumps({"total": 2, "data": TWO}) + "\n",
}


@pytest.fixture(params=["x.json", "x.jsonl", "x.ndjson", "x.geojson", "x.txt", "-"])
def read(request, write, monkeypatch):
    def read_content(content, **options):
        if request.param == "-":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
            return list(records.read_records("-", **options).items)
        return list(records.read_records(str(write(request.param, content)), **options).items)

    read_content.name = request.param
    return read_content


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_the_content_decides(content, read):
    assert read(content) == TWO


@pytest.mark.parametrize("content", DOCUMENTS.values(), ids=DOCUMENTS)
def test_one_document(content, read):
    """On a single line, a name that says JSON Lines is believed."""
    expected = [json.loads(content)] if read.name in ("x.jsonl", "x.ndjson") and content.count("\n") < 2 else TWO
    assert read(content) == expected


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_the_content_decides_in_spite_of_the_form(content, form, write):
    assert list(records.read_records(str(write("x", content)), reading=formats.Reading(form)).items) == TWO


def test_lines(write):
    for name in ("x.json", "x.jsonl"):
        content = "\n" + CONTENT["lines with blanks"]
        assert [record.line for record in records.read_records(str(write(name, content))).items] == [4, 7]


def test_a_path_into_every_line(write):
    path = str(write("x.jsonl", '{"data": [{"a": 1}]}\n{"data": [{"b": 2}]}\n'))
    reading = formats.Reading(items="data")
    assert list(records.read_records(path, reading=reading).items) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n[1]\n', ":2: not a JSON object"),
        ('{"a": 1}\n{"a": 1\n', ":2: not JSON"),
        ('{"a": 1}\nx', ":2: not JSON"),
        ('{"a": 1\n{"a": 1}', ":2: not JSON: , or } is missing"),
        ('[{"a": 1}]\nx', ":2: not JSON: more after the end"),
        ('{"a": }\n', ":1: not JSON: Expecting value"),
        ("[1]\n2", ":2: not JSON: more after the end"),
    ],
)
def test_refused(content, message, write):
    for name in ("x.json", "x.jsonl"):
        with pytest.raises(InputError, match=r"x\.jsonl?:") as caught:
            list(records.read_records(str(write(name, content))).items)
        if not (content == '{"a": }\n' and name == "x.jsonl"):
            assert f"{name}{message}" in str(caught.value)


def test_a_large_document_on_one_line(write):
    """A line of JSON Lines has a limit that is lower than that of a document."""
    text = '{"title": "' + "x" * (17 << 20) + '"}'
    (record,) = records.read_records(str(write("x.json", f'{{"items": [{text}]}}'))).items
    assert len(record["title"]) == 17 << 20
    with pytest.raises(InputError, match="a line of more than 16 MiB"):
        records.read_records(str(write("x.json", f"{text}\n{{}}")))
    with pytest.raises(InputError, match=r"x\.json:3: a line of more than 16 MiB"):
        list(records.read_records(str(write("x.json", f"{{}}\n{{}}\n{text}"))).items)
