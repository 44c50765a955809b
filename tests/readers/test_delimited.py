from __future__ import annotations

import csv
import io
import logging

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.readers import delimited, records
from attnsearch.readers.delimited import read_delimited
from attnsearch.syntax.formats import Reading

CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"), max_size=8)


def read(text: str, delimiter: str | None = None, *, tsv: bool = False) -> list[dict]:
    return list(read_delimited(io.StringIO(text, newline="\n"), "x.csv", delimiter, is_tsv=tsv))


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"]),
    st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5),
)
def test_every_cell_comes_back_byte_for_byte(write, delimiter, end, encoding, table):
    """In each dialect, encoding and line end; a cell without text is a field that the record lacks."""
    table = [row for row in table if any(cell.strip() for cell in row)]
    assume(table)
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([("a", "b", "c"), *table])
    path = write("x.csv", out.getvalue().encode(encoding))
    reading = Reading(encoding=encoding if encoding == "gb18030" else None)
    expected = [{name: cell for name, cell in zip("abc", row, strict=True) if cell} for row in table]
    assert list(records.read_records(str(path), reading=reading).items) == expected


@pytest.mark.parametrize("cell", ["3.10", "12.50", "39,50", "007", "1e5", "nan", "-0", "true", " x ", "\\N", '="1"'])
@pytest.mark.parametrize("tsv", [False, True])
def test_a_cell_is_never_rewritten(cell, tsv):
    line = f"x\t{cell}\n" if tsv else 'x;"' + cell.replace('"', '""') + '"\n'
    text = ("a\tb\n" if tsv else "a;b\n") + line
    assert read(text, tsv=tsv) == [{"a": "x", "b": cell}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b,c,d\n1,2,3,4\n5,6\n7\n", [{"a": "1", "b": "2", "c": "3", "d": "4"}, {"a": "5", "b": "6"}, {"a": "7"}]),
        ("a,b\n1,2,\n3,4,,,\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("a,b\n1,2\n,\n,,,\n\n  \n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        (",,\n\na,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("a,b,\n1,2,\n", [{"a": "1", "b": "2"}]),
        ("sep=;\r\na;b\r\n1;2\r\n", [{"a": "1", "b": "2"}]),
        ("sep=,\na;x,b\n1,2\n", [{"a;x": "1", "b": "2"}]),
        ("a, b\n1, 2\n", [{"a": "1", "b": " 2"}]),
        ('a, "b"\n1, "2, 3"\n', [{"a": "1", "b": "2, 3"}]),
        ("a,b,a\n1,2,3\n4,5,\n,6,\n", [{"a": ["1", "3"], "b": "2"}, {"a": ["4"], "b": "5"}, {"b": "6"}]),
        ("a,tags\n1,x; y|z\n2,\n", [{"a": "1", "tags": ["x", "y", "z"]}, {"a": "2"}]),
        ("Tags,TAGS,tags,tags\n1,2;3,4,5\n", [{"Tags": ["1"], "TAGS": ["2", "3"], "tags": ["4", "5"]}]),
        ("a\n1\n", [{"a": "1"}]),
        ("a,b\n", []),
        ("", []),
    ],
)
def test_rows_of_every_length(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",title,text\n0,Kettle,x\n1,Lamp,y\n", ["column 1"]),
        ("title,,text,\nKettle,a,x,\nLamp,,y,b\n", ["column 2", "column 4"]),
        (" ;title\n0;Kettle\n", ["column 1"]),
        ("title,,\nKettle,,\nLamp,,\n", []),
        ("title, ,\nKettle,x,\n", ["column 2"]),
    ],
)
def test_a_column_without_a_name(text, names, caplog):
    """It is left out where it is empty, else called after its number, and that is said once."""
    rows = read(text)
    assert sorted({name for row in rows for name in row if name.startswith("column")}) == names
    assert [message.rpartition(" called ")[2] for message in warnings(caplog)] == [f"'{name}'" for name in names]


@pytest.mark.parametrize(
    ("text", "tsv", "message"),
    [
        ("a,b\n1,2,3\n", False, "x.csv:2: 3 cells under 2 columns; '3' is beyond the last column; put double quotes"),
        ("a\n1,2\n", False, "x.csv:2: 2 cells under 1 column; '2' is beyond"),
        ("a;b\n1;2\n1;2;;x\n", False, "x.csv:3: 4 cells under 2 columns; 'x' is beyond"),
        (
            "a\tb\n1\t2\t3\n",
            True,
            "x.csv:2: 3 cells under 2 columns; '3' is beyond the last column; a text in TSV has no",
        ),
        ("a,b\n1" + "," * 10_001 + "\n", False, "x.csv:2: 10002 cells under 2 columns"),
        (",".join("a" * 10_001) + "\n", False, "x.csv:1: 10,001 columns; at most 10,000 are allowed"),
    ],
)
def test_refused(text, tsv, message):
    with pytest.raises(InputError) as caught:
        read(text, tsv=tsv)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "above",
    ["Report of March\n", "\n\nReport of March\n\n", "Report of March\nof our shop,,\n\n", " Report of March ,,\n"],
)
def test_headings_above_the_names(above, caplog):
    assert read(f"{above}no,name,price\n1,Lamp,5\n,Kettle,\n") == [
        {"no": "1", "name": "Lamp", "price": "5"},
        {"name": "Kettle"},
    ]
    line = 3 if above.startswith("\n") else 1
    assert warnings(caplog) == [f"x.csv:{line}: read as a heading, not as names of columns: 'Report of March'"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name,\nLamp,5\n", ["name", "column 2"]),
        (",name,price\n0,Lamp,5\n", ["column 1", "name", "price"]),
        ("name\nLamp\nKettle\n", ["name"]),
        ("name,,\nLamp,,\n", ["name"]),
        (f"{'x' * 10},,\n" * 21 + "a,b,c\n", ["xxxxxxxxxx", "column 2", "column 3"]),
    ],
)
def test_names_that_are_no_headings(text, names, caplog):
    assert [*dict.fromkeys(name for row in read(text) for name in row)] == names
    assert "heading" not in "".join(warnings(caplog))


@pytest.mark.parametrize(
    "text",
    [
        "1,Lamp\n2,Kettle\n3,Spoon\n",
        "Lamp,https://x.org/1\nKettle,https://x.org/2\nSpoon,http://x.org/3\n",
        "Ann,ann@x.org\nBob,bob@x.org\nCy,cy@y.org\n",
        "Lamp,2024-03-01\nKettle,2024-03-02T10:00\nSpoon,2024-03-03\n",
        "Lamp,Hearth & Co\nKettle,Hearth & Co\nSpoon,Hearth & Co\n",
    ],
)
def test_an_item_in_place_of_names_is_warned_of(text, caplog):
    assert len(read(text)) == 2
    first, second = text.split("\n")[0].split(",")
    named = f"x.csv:1: the columns are named '{first}', '{second}'; if that is an item, add a row of names above it"
    assert warnings(caplog) == [named]


@pytest.mark.parametrize(
    "text",
    [
        "no,name\n1,Lamp\n2,Kettle\n",
        "country,1960,1961\nA,1961,7\nB,7,8\n",
        "day,2024-03-01,2024-03-02\nA,7,8\nB,1,2\n",
        "name,type\ntype,text\nname,text\n",
        "1,name\n2,Lamp\n",
    ],
)
def test_names_are_not_warned_of(text, caplog):
    read(text)
    assert warnings(caplog) == []


def test_lines():
    assert [row.line for row in read('a;b\n1;"two\nlines"\n\n3;4\n')] == [2, 5]
    assert [row.line for row in read("sep=;\na;b\n1;2\n")] == [3]
    assert [row.line for row in read("a\tb\n\n1\t2\n", tsv=True)] == [3]


def test_a_long_row_costs_no_more_than_its_cells(monkeypatch):
    """Names that repeat are counted once for the file, not once for each cell."""
    counted = []
    counter = delimited.Counter
    monkeypatch.setattr(delimited, "Counter", lambda names: counted.append(len(names)) or counter(names))
    text = ",".join(["a", "a"] * 1000) + "\n" + (",".join("1" * 2000) + "\n") * 3
    assert [len(row["a"]) for row in read(text)] == [2000] * 3
    assert counted == [2000]
