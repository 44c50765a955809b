from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import sys
import tracemalloc
import zipfile
from html import escape

import pytest

from attnsearch.readers import binary_tables, records
from attnsearch.readers.raw_file import HEAD
from tests.readers.reading import read, refusal

XML = '<?xml version="1.0"?>'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STYLES = (
    f'{XML}<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>'
)
DATE, TIME = 1, 2  # styles


def cell(value: object) -> str:
    """A cell of a sheet; a pair is a number and its style."""
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, tuple):
        return f'<c s="{value[1]}"><v>{value[0]}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return "<c/>" if value is None else f"<c><v>{value}</v></c>"


def workbook(**sheets: list[list[object]]) -> bytes:
    """The bytes of an .xlsx file with these sheets, each a list of rows."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        names = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, n in enumerate(sheets, 1))
        root = f'<Relationship Id="r1" Type="{LINK}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{root}</Relationships>')
        archive.writestr("[Content_Types].xml", f'{XML}<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr(
            "xl/workbook.xml", f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{LINK}"><sheets>{names}</sheets></workbook>'
        )
        links = "".join(
            f'<Relationship Id="r{i}" Type="{LINK}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'
        )
        archive.writestr("xl/styles.xml", STYLES)
        for number, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'{XML}<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()


class TestWorkbook:
    @pytest.fixture(autouse=True)
    def calamine(self):
        pytest.importorskip("python_calamine")

    def test_cells_are_texts_as_they_are_shown(self, write):
        header = ["id", "title", "year", "price", "when", "at", "ok", "", "tags"]
        row = ["007", 1984, 1984, 3.25, (44333, DATE), (44333.5, TIME), True, None, "a, b"]
        rows = read(write("x.xlsx", workbook(Shelf=[[None], header, row, [None, None], ["8", " x "]])))
        assert rows == [
            {"id": "007", "title": "1984", "year": "1984", "price": "3.25", "when": "2021-05-17",
             "at": "2021-05-17T12:00:00", "ok": "TRUE", "tags": ["a", "b"]},
            {"id": "8", "title": " x "},
        ]  # fmt: skip
        assert [row.line for row in rows] == [3, 5]

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "0"),
            (-7, "-7"),
            (0.1, "0.1"),
            (1e14, "100000000000000"),
            (1e22, "1e+22"),
            (12.5, "12.5"),
            (1e-7, "1e-07"),
        ],
    )
    def test_numbers(self, write, number, text):
        assert read(write("x.xlsx", workbook(S=[["n"], [number]]))) == [{"n": text}]

    def test_several_sheets(self, write):
        path = write("x.xlsx", workbook(Shelf=[["title"], ["moon"]], Notes=[["title", "n"], ["sea", 1]], Empty=[]))
        sizes = "Shelf (2 × 1 cells), Notes (2 × 2 cells)"
        assert refusal(path) == f"x.xlsx: has 2 sheets: {sizes}; say which one: --table NAME"
        assert refusal(path, table="Empty") == f"x.xlsx: has no sheet 'Empty' with rows; it has {sizes}"
        assert read(path, table="Notes") == read(path, table="notes") == [{"title": "sea", "n": "1"}]

    def test_one_sheet_with_cells_needs_no_name(self, write):
        path = write("x.xlsx", workbook(A=[], Shelf=[["title"], ["moon"]], B=[]))
        assert read(path) == [{"title": "moon"}]
        assert (
            refusal(write("y.xlsx", workbook(A=[], B=[])))
            == "y.xlsx: has no sheet with rows; a catalog needs at least one item"
        )

    @pytest.mark.parametrize("name", ["x.xlsx", "x.csv", "x", "x.xlsx.gz"])
    def test_it_is_known_by_its_bytes(self, write, name):
        content = workbook(S=[["title"], ["moon"]])
        assert read(write(name, gzip.compress(content) if name.endswith(".gz") else content)) == [{"title": "moon"}]

    def test_standard_input(self, monkeypatch):
        content = workbook(S=[["title"], ["moon"]])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        pieces: list[bytes] = []
        assert list(records.read_records("-", observe=pieces.append).items) == [{"title": "moon"}]
        assert b"".join(pieces) == content

    @pytest.mark.parametrize("keep", [40, 200, -30])
    def test_a_damaged_workbook(self, write, keep):
        content = workbook(S=[["title"], ["moon"]])
        assert refusal(write("x.xlsx", content[:keep])).startswith("x.xlsx: is ")

    def test_a_bomb(self, write, monkeypatch):
        monkeypatch.setattr(binary_tables, "UNPACKED", 1 << 20)
        path = write("x.xlsx", workbook(S=[["title"], ["x" * (1 << 20)]]))
        assert refusal(path) == "x.xlsx: over 1 MiB, once it is unpacked; save it as CSV"

    @pytest.mark.parametrize("option", ["delimiter", "encoding", "items", "form", "sql"])
    def test_an_option_that_does_not_apply(self, write, option):
        value = {"encoding": "cp1252", "form": "csv", "delimiter": ";"}.get(option, "x")
        assert "is an Excel workbook, where --" in refusal(write("x.xlsx", workbook(S=[["a"]])), **{option: value})


class TestParquet:
    @pytest.fixture(autouse=True)
    def parquet(self):
        pytest.importorskip("pyarrow")

    @staticmethod
    def write(path, **columns):
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table(columns), path)
        return path

    def test_values_keep_their_types(self, tmp_path):
        import pyarrow as pa

        noon = dt.datetime(2021, 5, 17, 12, 0, 0, 1, tzinfo=dt.UTC)
        path = self.write(
            tmp_path / "x.parquet", id=[7, None], title=["moon", ""], price=[float("nan"), 1.5], ok=[True, None],
            day=[dt.date(2021, 5, 17), None], at=pa.array([noon, None], pa.timestamp("ns", "UTC")),
            exact=[decimal.Decimal("12.50"), None], tags=[["a", "b"], []], size=[{"w": 1, "h": None}, None],
            cover=[b"\xff", None],
        )  # fmt: skip
        rows = read(path)
        assert rows == [
            {"id": 7, "title": "moon", "ok": True, "day": "2021-05-17", "at": "2021-05-17T12:00:00.000001+00:00",
             "exact": "12.50", "tags": ["a", "b"], "size": {"w": 1, "h": None}},
            {"price": 1.5, "tags": []},
        ]  # fmt: skip
        assert [row.line for row in rows] == [1, 2]

    def test_it_is_read_a_few_rows_at_a_time(self, tmp_path, monkeypatch):
        path = self.write(tmp_path / "x.parquet", n=list(range(10_000)))
        assert [row["n"] for row in read(path)] == list(range(10_000))
        made = []
        monkeypatch.setattr(binary_tables, "make_record", lambda names, cells, *rest: made.append(cells) or {})
        next(records.read_records(str(path)).items)
        assert len(made) == 1

    def test_a_long_text_that_is_repeated_costs_no_memory(self, tmp_path):
        import pyarrow as pa

        text = "word " * 100_000
        path = self.write(tmp_path / "x.parquet", text=pa.DictionaryArray.from_arrays([0] * 2_000, [text]))
        assert path.stat().st_size < len(text)
        tracemalloc.start()
        try:
            assert sum(len(record["text"]) for record in records.read_records(str(path)).items) == 2_000 * len(text)
            assert tracemalloc.get_traced_memory()[1] < 200 * len(text)
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("name", ["x", "x.csv", "x.parquet.gz"])
    def test_it_is_known_by_its_bytes(self, tmp_path, write, name):
        content = self.write(tmp_path / "a.parquet", n=[number**2 for number in range(20_000)]).read_bytes()
        assert len(content) > 2 * HEAD
        pieces: list[bytes] = []
        packed = gzip.compress(content) if name.endswith(".gz") else content
        path = write(name, packed)
        assert [row["n"] for row in records.read_records(str(path), observe=pieces.append).items][-1] == 19_999**2
        assert b"".join(pieces) == packed

    @pytest.mark.parametrize("keep", [30, 100, -8])
    def test_a_damaged_file(self, tmp_path, keep):
        path = self.write(tmp_path / "x.parquet", title=["moon"])
        path.write_bytes(path.read_bytes()[:keep])
        assert refusal(path).startswith("x.parquet: is a Parquet file that can't be read: ")

    def test_infinity_is_refused(self, tmp_path):
        path = self.write(tmp_path / "x.parquet", price=[1.0, float("inf")])
        assert refusal(path) == "x.parquet:2: 'price' is not a finite number"

    @pytest.mark.parametrize("option", ["delimiter", "encoding", "items", "form", "table", "sql"])
    def test_an_option_that_does_not_apply(self, tmp_path, option):
        value = {"encoding": "cp1252", "form": "csv", "delimiter": ";"}.get(option, "x")
        assert "is a Parquet file, where --" in refusal(self.write(tmp_path / "x.parquet", a=[1]), **{option: value})


@pytest.mark.parametrize(
    ("library", "content", "message"),
    [
        (
            "python_calamine",
            workbook(S=[["a"]]),
            "is an Excel workbook; pip install python-calamine, or save it as CSV",
        ),
        ("pyarrow", b"PAR1\x15\x04\0\0PAR1", "is a Parquet file; pip install pyarrow, or save it as CSV"),
    ],
)
def test_without_the_library(write, monkeypatch, library, content, message):
    monkeypatch.setitem(sys.modules, library, None)
    assert message in refusal(write("x", content))
