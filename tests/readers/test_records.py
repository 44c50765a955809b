from __future__ import annotations

import io
import sys

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import records
from attnsearch.syntax import formats
from attnsearch.syntax.formats import Reading


def read(path, **options):
    return list(records.read_records(str(path), **options).items)


SAME = [{"id": "a", "title": "A, b", "year": "7"}, {"id": "b", "title": "B"}]
CONTENT = {
    "yaml": '- {id: a, title: "A, b", year: "7"}\n- {id: b, title: B}\n',
    "json": '[{"id": "a", "title": "A, b", "year": "7"},\n{"id": "b", "title": "B"}]',
    "jsonl": '{"id": "a", "title": "A, b", "year": "7"}\n\n{"id": "b", "title": "B"}\n',
    "csv": 'id,title,year\r\na,"A, b",7\r\nb,B,\r\n',
    "tsv": "id\ttitle\tyear\na\tA, b\t7\nb\tB\t\n",
}


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_gives_the_same_records(name, write):
    assert read(write(f"x.{name}", CONTENT[name])) == SAME


@pytest.mark.parametrize(("suffix", "name"), formats.SUFFIXES.items())
def test_the_extension_decides_the_format(suffix, name, write):
    assert name in formats.FORMATS
    assert read(write(f"x{suffix.upper()}", CONTENT[name])) == SAME


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_first_line_decides_the_format(name, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONTENT[name].encode())))
    assert read("-") == SAME


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_named_format(name, write):
    assert read(write("x.txt", CONTENT[name]), reading=Reading(name)) == SAME


@pytest.mark.parametrize("name", formats.FORMATS)
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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.yaml", b"- a: \xff\n", "x.yaml:1: not UTF-8"),
        ("x.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', "x.jsonl:2: not UTF-8"),
        ("x.yaml", "just words\n", "x.yaml: the items are not a list"),
        ("x.yaml", "- {a: 1}\n- a\n", "x.yaml: item 2 is 'a'"),
        ("x.yaml", "- a\n- {a: 1}\n", "x.yaml: item 2 is a mapping"),
        ("x.yaml", "- a\n-\n", "x.yaml: item 2 is None"),
        ("x.json", '[{"a": 1}, [2]]', "x.json: item 2 is a list"),
        ("x.jsonl", '{"a": 1}\n[1]\n', "x.jsonl:2: not a JSON object"),
        ("x.jsonl", '{"a": 1}\n{"a": 1\n', "x.jsonl:2: not JSON"),
        ("x.csv", "a,b\n1,2\n1,2,3\n", "x.csv:3: 3 cells under 2 columns"),
        ("x", "just words\n", "x: can't tell its format"),
        ("x.txt", "a, b\nc\n", "x.txt: can't tell its format"),
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
    with pytest.raises(InputError, match=r"^'': is a folder"):
        list(records.read_lines(""))


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def test_a_long_stream_is_read_as_it_comes(write):
    """The first record comes although a later line is not JSON: nothing waits for the end."""
    path = write("x.jsonl", '{"a": 1}\n' + "nonsense\n")
    assert next(records.read_records(str(path)).items) == {"a": 1}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_line_is_an_item(write, end):
    text = end.join(["fix the lamp, again", "", "  - title: x ", '{"a"', "\t", "sep=;", ""])
    items = records.read_records(str(write("x.log", text.encode())), reading=Reading("lines")).items
    titles = [(record.line, record["title"]) for record in items]
    assert titles == [(1, "fix the lamp, again"), (3, "- title: x"), (4, '{"a"'), (6, "sep=;")]


@pytest.mark.parametrize(
    "text",
    ["Kettle\nLamp\n", "Kettle, or cup\n", "d4f1 Fix the lamp, again\na3c2 Add a cup\n", "(a) | b\n", "1984\n1985\n",
     "d4f1 Fix the lamp, again\na3c2 Add a cup, too\n"],
)  # fmt: skip
def test_lines_are_not_taken_for_a_table_in_silence(write, text):
    for name in ("x", "x.txt", "x.log"):
        with pytest.raises(InputError, match=r"can't tell its format; say it: --from lines if each line is an item"):
            read(write(name, text))


@pytest.mark.parametrize(
    ("name", "content", "reading", "message"),
    [
        ("x.json", "[]", Reading(delimiter=";"), "x.json: is read as json, where --delimiter does not apply"),
        ("x.csv", "a", Reading(table="a"), "x.csv: has no tables, so --table does not apply"),
        ("x.csv", "a", Reading(sql="a"), "x.csv: has no tables, so --sql does not apply"),
        ("x.csv", "a", Reading("lines", delimiter=";"), "x.csv: is read as lines, where --delimiter does not apply"),
        ("x.csv", "a", Reading(delimiter=";;"), "invalid --delimiter ';;'"),
        ("x.csv", "a", Reading(encoding="x"), "unknown encoding 'x'"),
    ],
)
def test_an_option_that_does_not_apply(write, monkeypatch, tmp_path, name, content, reading, message):
    write(name, content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        read(name, reading=reading)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("name", ["x", "x.txt", "x.csv"])
@pytest.mark.parametrize("delimiter", [";", "tab", "|", "^", "¦"])
def test_a_given_delimiter(write, name, delimiter):
    """Even one that no sample would show, and where a comma fits too."""
    mark = "\t" if delimiter == "tab" else delimiter
    path = write(name, f"id,a{mark}title,b\n1,2{mark}Lamp,3\n")
    assert read(path, reading=Reading(delimiter=delimiter)) == [{"id,a": "1,2", "title,b": "Lamp,3"}]


@pytest.mark.parametrize("name", ["x.tab", "x.tsv", "x"])
def test_quotes_in_tsv(write, name):
    path = write(name, 'id\ttitle\n1\tThe lamp\n2\t"Shut it.\n3\tI feel it."\n4\t12" single\n')
    titles = ["The lamp", '"Shut it.', 'I feel it."', '12" single']
    assert [record["title"] for record in read(path)] == titles


@pytest.mark.parametrize("name", ["x.tab", "x.tsv", "x"])
@pytest.mark.parametrize(
    "rows",
    [
        '1\t"Shut it.\nI feel it."\tcold\n',
        '1\tLamp\t"Shut it.\n\nTwo ""quotes"".\r\nI feel it."\n',
        '"Shut\nit"\tLamp\tcold\n',
    ],
)
def test_a_quoted_text_of_several_lines_in_tsv(write, name, rows):
    """Its lines are not taken for rows in silence."""
    path = write(name, "id\ttitle\tnote\n" + '0\t12" single\tx\n' * 4 + rows)
    with pytest.raises(InputError, match=r":6: the lines up to \d can be one row with a quoted text"):
        read(path)
    *_, whole = read(path, reading=Reading("csv", delimiter="tab"))
    assert "it" in str(whole)
    assert len(whole) == 3
    assert len(read(path, reading=Reading("tsv"))) == 4 + len([line for line in rows.split("\n") if line.strip()])


@pytest.mark.parametrize("text", ["fix: a\nfix: b\n", "[core] fix a\n[ui] fix b\n", "- a\n- [b\n"])
def test_what_a_pipe_brings_may_be_lines_after_all(text, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(InputError) as caught:
        read("-")
    assert caught.value.hint == "if each line is an item, say --from lines"
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(str(path))
    assert "--from lines" not in str(caught.value)
