from __future__ import annotations

import io
import sys

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import records


def read(path, **options):
    return list(records.read_records(str(path), **options).items)


SAME = [{"id": "a", "title": "A, b", "year": 7}, {"id": "b", "title": "B"}]
CONTENT = {
    "yaml": '- {id: a, title: "A, b", year: 7}\n- {id: b, title: B}\n',
    "json": '[{"id": "a", "title": "A, b", "year": 7},\n{"id": "b", "title": "B"}]',
    "jsonl": '{"id": "a", "title": "A, b", "year": 7}\n\n{"id": "b", "title": "B"}\n',
    "csv": 'id,title,year\r\na,"A, b",7\r\nb,B,\r\n',
    "tsv": "id\ttitle\tyear\na\tA, b\t7\nb\tB\t\n",
}


@pytest.mark.parametrize("name", records.FORMATS)
def test_every_format_gives_the_same_records(name, write):
    assert read(write(f"x.{name}", CONTENT[name])) == SAME


@pytest.mark.parametrize(("suffix", "name"), records.SUFFIXES.items())
def test_the_extension_decides_the_format(suffix, name, write):
    assert name in records.FORMATS
    assert read(write(f"x{suffix.upper()}", CONTENT[name])) == SAME


@pytest.mark.parametrize("name", records.FORMATS)
def test_the_first_line_decides_the_format(name, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONTENT[name].encode())))
    assert read("-") == SAME


@pytest.mark.parametrize("name", records.FORMATS)
def test_a_named_format(name, write):
    assert read(write("x.txt", CONTENT[name]), file_format=name) == SAME


@pytest.mark.parametrize("name", records.FORMATS)
def test_a_byte_order_mark_is_not_text(name, write):
    assert read(write(f"x.{name}", b"\xef\xbb\xbf" + CONTENT[name].encode())) == SAME


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.yaml", "name: shop\ndescription: d\nitems:\n  - {id: a}\n"),
        ("x.json", '{"name": "shop", "items": [{"id": "a"}], "description": "d"}'),
    ],
)
def test_the_head_stands_beside_the_items(write, name, content):
    head, items = records.read_records(str(write(name, content)))
    assert head == {"name": "shop", "description": "d"}
    assert list(items) == [{"id": "a"}]


def test_lines(write):
    assert [r.line for r in read(write("x.csv", 'id,t\na,"two\nlines"\nb,x\n'))] == [2, 4]
    assert [r.line for r in read(write("x.jsonl", '{"a": 1}\n\n{"a": 2}\n'))] == [1, 3]


def test_cells_are_numbers_only_where_nothing_is_lost(write):
    (row,) = read(write("x.csv", "a,b,c,d,e,f,tags\n7,-2.5,007,1e5,nan,,x; y|z\n"))
    assert row == {"a": 7, "b": -2.5, "c": "007", "d": "1e5", "e": "nan", "tags": ["x", "y", "z"]}
    cells = ["3.1", "0.0", "-2.5", "0", "999999999999999999", "0.30000000000000004", "1234567890123.25"]
    for value in (record["a"] for record in read(write("numbers.csv", "a\n" + "\n".join(cells)))):
        assert str(value) == cells.pop(0)
        assert isinstance(value, (int, float))
    assert not cells
    cells = ["3.10", "3.100", "-0", "1.", ".5", "+1", "12345678901234567.1", "0.1000000000000000055", "0.00001",
             "1234567890123456789", "10000000000000000.0"]  # fmt: skip
    assert [record["a"] for record in read(write("text.csv", "a\n" + "\n".join(cells)))] == cells
    assert read(write("y.csv", "a,b\n7,8\n"), as_text=frozenset("a")) == [{"a": "7", "b": 8}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.yaml", b"- a: \xff\n", "x.yaml:1: not UTF-8"),
        ("x.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', "x.jsonl:2: not UTF-8"),
        ("x.csv", "a\nb\n".encode("utf-16"), "x.csv:1: not UTF-8"),
        ("x.yaml", "just words\n", "x.yaml: the items are not a list"),
        ("x.yaml", "- {a: 1}\n- a\n", "x.yaml: item 2 is 'a'"),
        ("x.yaml", "- a\n- {a: 1}\n", "x.yaml: item 2 is a mapping"),
        ("x.yaml", "- a\n-\n", "x.yaml: item 2 is None"),
        ("x.json", '[{"a": 1}, [2]]', "x.json: item 2 is a list"),
        ("x.jsonl", '{"a": 1}\n[1]\n', "x.jsonl:2: not a JSON object"),
        ("x.jsonl", '{"a": 1}\n{"a": 1\n', "x.jsonl:2: not JSON"),
        ("x.csv", "a,b\n1,2\n1,2,3\n", "x.csv:3: 3 cells under 2 columns"),
        ("x.csv", "a,a\n1,2\n", "x.csv:1: two columns are named 'a'"),
        ("x.csv", "a,\n1,2\n", "x.csv:1: column 2 has no name"),
        ("x.csv", 'a\nb\n"open\nfor ever\n', "x.csv:3: not CSV"),
        ("x.csv", 'a\n"b"c\n', "x.csv:2: not CSV"),
        ("x.jsonl", b'{"a": "' + b"x" * (17 << 20) + b'"}\n{}', "x.jsonl:1: a line of more than 16 MiB"),
        ("x.yaml", b"- a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n" * (2 << 20), "x.yaml: over 64 MiB"),
    ],
)
def test_refused(write, monkeypatch, tmp_path, name, content, message):
    write(name, content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        read(name)
    assert caught.value.message.startswith(message)


def test_blank_lines_are_skipped(write, tmp_path):
    path = write("x.txt", b"\xef\xbb\xbfa\n\n \t\nb")
    assert list(records.read_lines(str(path))) == [(1, "a\n"), (4, "b")]
    with pytest.raises(InputError, match=r"x\.txt:2: not UTF-8"):
        list(records.read_lines(str(write("x.txt", b"a\n\xff"))))
    with pytest.raises(InputError, match="is a folder"):
        list(records.read_lines(str(tmp_path)))


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def test_a_long_stream_is_read_as_it_comes(write):
    """The first record comes although a later line is not JSON: nothing waits for the end."""
    path = write("x.jsonl", '{"a": 1}\n' + "nonsense\n")
    assert next(records.read_records(str(path)).items) == {"a": 1}
