from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.readers import dialect
from attnsearch.readers.dialect import Sample

DELIMITERS = sorted(dialect.DELIMITERS)
CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n\ufeff"), max_size=12)


def sample(text: str) -> Sample:
    return dialect.take_sample(io.StringIO(text, newline="\n"))


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return [cells for _, cells in dialect.read_csv(io.StringIO(text, newline="\n"), "x.csv", delimiter)]


def tsv(text: str) -> list[list[str]]:
    return [cells for _, cells in dialect.read_tsv(io.StringIO(text, newline="\n"))]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize(
    "text",
    [
        "id¦title¦price\n1¦Kettle¦39\n2¦Lamp¦12\n",
        "id¦title¦price",
        "id¦title¦price\r\n\r\n1¦Kettle¦39\r\n\r\n",
        "id¦title¦price¦\n1¦Kettle¦39¦\n2¦Lamp¦12¦\n",
        "¦title¦price\n0¦Kettle¦39\n1¦Lamp¦12\n",
        "id¦title¦price¦color\n1¦Kettle\n2¦Lamp\n3¦Cup¦4¦red\n",
        "id¦title\n1¦Kettle¦¦\n2¦Lamp¦¦\n",
        '"id"¦"title"\n"1"¦"a, b; c | d\t, ; | e"\n"2"¦""\n',
        "id¦title\n1¦a: b - c (d) / e\n2¦2021-05-17 10:00 http://x.org/a?b=c\n",
        'id¦title\n1¦"one, two; three\n, four | five\n\tsix"\n2¦x\n',
        'id¦title\n1¦  "Boils, fast; loud"\n2¦x\n',
    ],
)
def test_the_delimiter_is_found(delimiter, text):
    assert dialect.find_delimiter(sample(text.replace("¦", delimiter)), "x.csv") == delimiter


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("id|title\n1|Kettle\n", "|"),
        ("id|title\n1|Kettle|\n2|Lamp||\n", "|"),
        ("id|title\n1|Kettle|x\n", None),
        ('id\ttitle\n1\t"Heroes" on the air\n2\t12" single\n', "\t"),
        ("id;title;price\n1;Kettle;39,50\n", ";"),
        ("id,title,price\n1,Kettle\n2,Lamp,5\n", ","),
        ("Titel;Preis\nLampe;3\n", ";"),
        ("d4f1 Fix the lamp, again\na3c2 Add a cup, too\n", None),  # a sentence has no names
        ("How old are you?,Do you like tea?\n3,yes\n5,no\n7,no\n", ","),  # but its rows may show a table
        ("How old are you?,Do you like tea?\n3,yes\n5\n7,no\n", None),
        ("title\nKettle\n", None),
        ("title, or not\n", None),  # a header alone is not enough
        ("Dear all,\nthe kettle boils\nand so on\n", None),
        ("abc Fix the lamp, again\ndef Add a kettle, a cup, and more\n", None),
        ("", None),
    ],
)
def test_a_file_that_need_not_be_csv(text, delimiter):
    assert dialect.guess_delimiter(sample(text), "x") == delimiter


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("id;title;price\n1;Kettle;39,50\n2;Lamp;12,00\n", ";"),
        ("id;title;price (EUR, net)\n1;Kettle;39\n2;Lamp;12\n", ";"),
        ("title,tags\nKettle,a;b;c\nLamp,d;e\n", ","),
        ("title,genre|all\nKettle,a|b\nLamp,c\n", ","),
        ("title\nKettle, the big one\n", ","),  # one column, whose rows are too long
        ("title\nKettle\nLamp\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_the_one_that_fits_best(text, delimiter):
    assert dialect.find_delimiter(sample(text), "x.csv") == delimiter


@pytest.mark.parametrize(
    "text",
    ["a;b,c;d\n1;2,3;4\n5;6,7;8\n", "a;b,c\n", "id|title, sub|price\n1|a, b|2\n", "a\tb;c\n1\t2;3\n", "a;b,c\n1\n2\n"],
)
def test_two_that_fit_are_refused(text):
    with pytest.raises(InputError, match=r"two ways; \d columns with --delimiter .* or \d columns with --delimiter"):
        dialect.find_delimiter(sample(text), "x.csv")


@given(
    st.sampled_from(DELIMITERS),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5)),
)
def test_what_csv_writes_is_read(delimiter, quoting, end, table):
    """Byte for byte. But for what blanks before a quote mean, which csv writes without quotes."""
    assume(not any(cell.startswith(" ") and cell.strip(" ").startswith('"') for row in table for cell in row))
    header = [f"c{number}" for number in range(len(table[0]))]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows([header, *table])
    text = out.getvalue()
    assert dialect.find_delimiter(sample(text), "x.csv") == delimiter
    assert rows(text, delimiter) == [header, *table]


@given(st.lists(st.lists(CELLS.map(lambda cell: cell.replace("\t", " ")), min_size=2, max_size=2), max_size=5))
def test_tsv_has_no_quoting(table):
    """Whatever stands in cells comes back, but for cells that are quoted whole."""
    assume(not any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in table for cell in row))
    assert tsv("".join("\t".join(row) + "\n" for row in [["a", "b"], *table])) == [["a", "b"], *table]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('"Heroes" on the air\t1978', ['"Heroes" on the air', "1978"]),
        ('12" single\t1', ['12" single', "1"]),
        ('"Shut that window\tplease."', ['"Shut that window', 'please."']),
        ('say "hi"\t"', ['say "hi"', '"']),
        ('"a, b"\t"say ""hi"""', ["a, b", 'say "hi"']),
        ('"a\tb"\tc', ["a\tb", "c"]),
        ('a\t"b\t""c"""', ["a", 'b\t"c"']),
        ('""\t"', ["", '"']),
        ('"a\tb"\tc\td', ['"a', 'b"', "c", "d"]),
        ('"a" "b"\tc', ['"a" "b"', "c"]),
        (" a \t b", [" a ", " b"]),
        ("\\N\t\\t", ["\\N", "\\t"]),
    ],
)
def test_a_cell_of_tsv_that_is_quoted_whole(line, cells):
    assert tsv(f"x\ty\n{line}\r\n") == [["x", "y"], cells]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('a, "b, c"', ["a", "b, c"]),
        ('a,   "b, c" ', None),
        (' "a", "b ""x"", ""y"""', ["a", 'b "x", "y"']),
        ('"a, ""b"", c",  d', ['a, "b", c', "  d"]),
        ('12" single, "x, y"', ['12" single', "x, y"]),
        (" a , b ", [" a ", " b "]),
        ('a b "c",d', ['a b "c"', "d"]),
    ],
)
def test_blanks_before_a_quote(line, cells):
    if cells is None:
        with pytest.raises(InputError, match="text after a closing quote"):
            rows(line)
    else:
        assert rows(line) == [cells]


def test_blanks_in_a_text_of_several_lines_stay():
    assert rows('"a\n, ""b"",  ""c""\n, ""d""", "e"\n') == [['a\n, "b",  "c"\n, "d"', "e"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a\n"b\nc', r"^x.csv:2: not CSV: a quote is left open"),
        ('a\n"b"c\n', r"^x.csv:2: not CSV: text after a closing quote; .*\"\""),
        ('a\n"b \\"c\\" d"\n', r"^x.csv:2: not CSV: a backslash before a quote"),
        ("a,b\nc\rd,e\n", r"^x.csv:2: not CSV: a carriage return in a text without quotes"),
    ],
)
def test_not_csv(text, message):
    with pytest.raises(InputError, match=message):
        rows(text)


@pytest.mark.parametrize(
    ("text", "delimiter"), [("tab", "\t"), ("\\t", "\t"), (";", ";"), ("^", "^"), (" ", " "), ("¦", "¦")]
)
def test_a_named_delimiter(text, delimiter):
    assert dialect.parse_delimiter(text) == delimiter


@pytest.mark.parametrize("text", ["", ";;", '"', "\n", "\r", "\0", "comma", "\udcff"])
def test_no_delimiter(text):
    with pytest.raises(InputError, match="invalid --delimiter"):
        dialect.parse_delimiter(text)


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("sep=;\r\n", ";"), ("sep=,", ","), ('"sep=|"\n', "|"), ("sep=\t\n", "\t"), ("sep=\n", None), ("sep=;;\n", None),
     ("sep;x\n", None), ("asep=;\n", None)],
)  # fmt: skip
def test_a_declared_delimiter(line, delimiter):
    assert dialect.declared_delimiter(line) == delimiter
