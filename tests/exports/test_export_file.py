"""Files that are no longer, or never were, what an export is: each is one line with its place."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest

from attnsearch.errors import InputError
from attnsearch.exports.reading import open_export
from attnsearch.indexing.update import update
from attnsearch.storage import home
from tests.conftest import SmallEncoder
from tests.exports.exporting import contents, export

MODEL = "small"


@pytest.fixture
def lines(write, small, tmp_path, monkeypatch):
    """The lines of an export of two items; the home is empty."""
    update([str(write("shop.yaml", "- {id: a, title: moon, year: 3}\n- {id: b, title: moon sea}\n"))])
    file = export("shop", tmp_path / "export.jsonl")
    monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def index(write):
    """Index the objects as the lines of an export."""

    def index(lines, **options):
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        return update([str(write("changed.jsonl", text))], model=MODEL, **options)

    return index


class TestChangedTexts:
    def test_changed_field_of_the_text(self, lines, index, small):
        """Its vector is not that of the present text."""
        lines[1]["title"] = "robot"
        small.read.clear()
        assert index(lines).embedded == 1
        assert "robot" in small.read
        assert contents("shop")[0][:2] == ("a", "robot")

    def test_changed_text_alone(self, lines, index):
        lines[1]["text"] = "robot"
        assert index(lines).embedded == 1
        assert contents("shop")[0][4] == "moon"

    def test_changed_other_field(self, lines, index):
        lines[1]["fields"]["year"] = 4
        assert index(lines).embedded == 0

    def test_other_passages(self, lines, index):
        lines[0]["keys"] = 3
        lines[2] |= {"starts": [0, 2], "stops": [4, 8], "embeddings": lines[2]["embeddings"] * 2}
        assert index(lines).embedded == 1


class TestOtherEncoders:
    def test_other_weights(self, lines, index, monkeypatch, caplog):
        from attnsearch.encoding import loading

        monkeypatch.setattr(loading, "load", lambda name=None, **options: SmallEncoder(sha256="6" * 64))
        assert index(lines).embedded == 2
        assert "the vectors were made by another small (555555555555…), so its texts are embedded again" in caplog.text

    def test_other_model_than_the_default(self, lines, write):
        path = write("x.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(InputError, match="vectors of the model small; say --model small to use them, or --model"):
            update([str(path)])

    def test_float32_after_bfloat16(self, lines, index):
        lines[0]["precision"] = "bfloat16"
        assert index(lines).info.precision == "bfloat16"
        assert index(lines, precision="float32").embedded == 2

    def test_vectors_of_other_texts(self, lines, index):
        lines[1]["embeddings"], lines[2]["embeddings"] = lines[2]["embeddings"], lines[1]["embeddings"]
        with pytest.raises(InputError, match=r"changed.jsonl:[23]: has a vector that is not that of its text"):
            index(lines)
        assert home.catalog_exists(home.catalog_folder("shop")) is False
        with pytest.raises(InputError, match="not that of its text"):  # nor is a vector kept for the next run
            index(lines)

    def test_other_width(self, lines, index):
        lines[0]["d"] = 2
        for line in lines[1:]:
            line["embeddings"] = [[0.6, 0.8]]
        with pytest.raises(InputError, match="has a vector that is not that of its text"):
            index(lines)


class TestDamage:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x: x[1].pop("title"), ":2: is a damaged export: an item lacks a part"),
            (lambda x: x[1].update(title=3), ":2: is a damaged export: an item has a part that is not text"),
            (lambda x: x[1].update(fields=[]), ":2: is a damaged export: an item has a part that is not text"),
            (lambda x: x[1].update(id=""), ":2: is a damaged export: an item has no id or no text"),
            (lambda x: x[1].update(title=""), ":2: is a damaged export: an item has no id or no text"),
            (lambda x: x[2].update(id="a"), ":3: id 'a' was already used on line 2"),
            (lambda x: x[1].update(starts=[-1]), ":2: is a damaged export: the starts and stops of its passages"),
            (lambda x: x[1].update(starts=[True]), ":2: is a damaged export: starts and stops are whole numbers"),
            (lambda x: x[1].update(stops=[0]), ":2: is a damaged export: the starts and stops of its passages"),
            (lambda x: x[1].update(stops=[1 << 70]), ":2: is a damaged export: the starts and stops of its passages"),
            (lambda x: x[1].update(stops=[4, 5]), ":2: is a damaged export: an item has 1 embeddings, 1 starts and 2"),
            (lambda x: x[1].update(starts=3), ":2: is a damaged export: an item lacks a part"),
            (lambda x: x[1].update(embeddings=[]), ":2: is a damaged export: an item has 0 embeddings"),
            (lambda x: x[1].update(embeddings=[[1, 0]]), ":2: is a damaged export: its embeddings are not lists of 4"),
            (lambda x: x[1].update(embeddings=[["1", 0, 0, 0]]), ":2: is a damaged export: its embeddings are not"),
            (lambda x: x[1].update(embeddings=[[True, 0, 0, 0]]), ":2: is a damaged export: its embeddings are not"),
            (lambda x: x[1].update(embeddings=[[1e300, 0, 0, 0]]), ":2: is a damaged export: its embeddings are not 4"),
            (lambda x: x[1].update(embeddings=[[10**400, 0, 0, 0]]), ":2: is a damaged export: its embeddings have a"),
            (lambda x: x[1].update(embeddings=[[0, 0, 0, 0]]), ":2: is a damaged export: its embeddings are not of"),
            (lambda x: x[1].update(embeddings=[[1, 1, 0, 0]]), ":2: is a damaged export: its embeddings are not of"),
            (lambda x: x[1].update(embeddings={"a": 1}), ":2: is a damaged export: an item has 0 embeddings"),
            (lambda x: x.pop(), ": is a damaged export: it has 1 items and 1 vectors, not 2 and 2"),
            (lambda x: x.append([]), ":4: is a damaged export: an item is not a JSON object"),
            (lambda x: x.append("{"), ":4: not JSON"),
            (lambda x: x.append('{"x": NaN}'), ":4: NaN is not a finite number"),
            (lambda x: x[0].update(attnsearch_export=4), ":1: was exported by a newer attnsearch (form 4, not 3)"),
            (lambda x: x[0].update(attnsearch_export=2), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(attnsearch_export="1"), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(attnsearch_export=0), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(d=0), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(d=1.5), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(d=1 << 40), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(temperature=0), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(lexical=-1), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(precision="int8"), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(fields={"id": 3}), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(fields={"id": [], "title": [], "text": []}), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(given={"id": "a", "title": "", "text": []}), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(language="klingon"), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(language=["english"]), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(more=1), ":1: is a damaged export: its header"),
            (lambda x: x[0].pop("identity"), ":1: is a damaged export: its header"),
            (lambda x: x[0].update(name=["a"]), ":1: is a damaged export: its header"),
        ],
    )  # fmt: skip
    def test_one_line(self, lines, index, change, message):
        change(lines)
        with pytest.raises(InputError) as error:
            index(lines)
        assert f"changed.jsonl{message}" in str(error.value)
        assert "\n" not in str(error.value)

    def test_options_that_do_not_apply(self, lines, write):
        from attnsearch.sources.fields import Fields
        from attnsearch.syntax.formats import Reading

        path = str(write("x.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
        for options in ({"fields": Fields(title="id")}, {"reading": Reading("jsonl")}):
            with pytest.raises(InputError, match="is an export of attnsearch, which says itself how it is read"):
                update([path], model=MODEL, **options)

    def test_beside_other_files(self, lines, write):
        path = str(write("x.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
        with pytest.raises(InputError, match="export of attnsearch"):
            update([path, path], name="x", model=MODEL)


class TestArchives:
    @pytest.fixture
    def members(self, write, small, tmp_path, monkeypatch):
        """The members of an archive of two items; the home is empty."""
        update([str(write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: moon sea}\n"))])
        with zipfile.ZipFile(export("shop", tmp_path / "export.npz")) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        return members

    @staticmethod
    def index(tmp_path, members, compression=zipfile.ZIP_STORED):
        file = tmp_path / "changed.npz"
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, raw in members.items():
                archive.writestr(name, raw)
        return update([str(file)], model=MODEL)

    @staticmethod
    def array(x) -> bytes:
        out = io.BytesIO()
        np.save(out, x, allow_pickle=True)
        return out.getvalue()

    def test_numpy_reads_it(self, write, small, tmp_path):
        update([str(write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: moon sea}\n"))])
        with np.load(export("shop", tmp_path / "export.npz")) as arrays:
            items = [json.loads(line) for line in arrays["items.jsonl"].splitlines()]
            np.testing.assert_array_equal(arrays["embeddings"], small.encode(["moon", "moon sea"]))
            assert arrays["items"].tolist() == [0, 1]
            assert (arrays["starts"].tolist(), arrays["stops"].tolist()) == ([0, 0], [4, 8])
        assert [item["id"] for item in items] == ["a", "b"]

    def test_compressed_members(self, members, tmp_path):
        assert self.index(tmp_path, members, zipfile.ZIP_DEFLATED).embedded == 0

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("embeddings.npy", np.zeros((2, 4), np.float64)),
            ("embeddings.npy", np.zeros((3, 4), np.float32)),
            ("embeddings.npy", np.zeros((2, 4), np.float32, order="F")),
            ("embeddings.npy", np.array([["a"] * 4] * 2, object)),
            ("embeddings.npy", b"\x93NUMPY\x01\x00"),
            ("embeddings.npy", b"not an array"),
            ("items.npy", np.array([0, 0])),
            ("items.npy", np.array([1, 1])),
            ("items.npy", np.array([0, 7])),
            ("items.npy", np.array([-1, 0])),
            ("items.npy", np.array([0, 1], np.int32)),
            ("starts.npy", np.array([0])),
            ("stops.npy", np.array([4, -8])),
            ("items.jsonl", b'{"id": "a"}\n'),
            ("items.jsonl", b"\xff\n"),
            ("items.jsonl", b""),
            ("attnsearch_export.json", b"{}"),
            ("attnsearch_export.json", b"\xff"),
            ("attnsearch_export.json", b" " * (2 << 20)),
        ],
    )
    def test_damaged_member(self, members, tmp_path, name, content):
        members[name] = content if isinstance(content, bytes) else self.array(content)
        with pytest.raises(InputError) as error:
            self.index(tmp_path, members)
        assert "changed.npz" in str(error.value)

    @pytest.mark.parametrize("name", ["embeddings.npy", "items.npy", "starts.npy", "stops.npy", "items.jsonl"])
    def test_member_that_is_missing(self, members, tmp_path, name):
        del members[name]
        with pytest.raises(InputError, match=r"is a damaged export: There is no item named"):
            self.index(tmp_path, members)

    def test_cut_anywhere(self, write, small, tmp_path):
        """A file of which only a part arrived."""
        update([str(write("shop.yaml", "- {id: a, title: moon}\n"))])
        raw = export("shop", tmp_path / "export.npz").read_bytes()
        for length in range(60, len(raw), 37):
            with pytest.raises(InputError):
                self.read(write(f"cut-{length}.npz", raw[:length]))

    @staticmethod
    def read(path) -> None:
        export = open_export(str(path))
        assert export
        list(export.entries)

    def test_bomb(self, members, tmp_path):
        """A line of a gigabyte, which takes a megabyte in the archive, is not read to its end."""
        members["items.jsonl"] = b"[" * (65 << 20)
        with pytest.raises(InputError, match=r"changed\.npz"):
            self.index(tmp_path, members, zipfile.ZIP_DEFLATED)

    def test_array_that_is_longer_than_its_file(self, members, tmp_path):
        header = json.loads(members["attnsearch_export.json"]) | {"keys": 1 << 40}
        members["attnsearch_export.json"] = json.dumps(header).encode()
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4)})
        members["embeddings.npy"] = out.getvalue()
        with pytest.raises(InputError, match="is a damaged export"):
            self.index(tmp_path, members)


class TestParquet:
    @pytest.fixture
    def table(self, write, small, tmp_path, monkeypatch):
        """The table of an export of two items; the home is empty."""
        from pyarrow import parquet

        update([str(write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: moon sea}\n"))])
        table = parquet.read_table(export("shop", tmp_path / "export.parquet"))
        monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))
        return table

    @staticmethod
    def index(tmp_path, table):
        from pyarrow import parquet

        parquet.write_table(table, tmp_path / "changed.parquet")
        return update([str(tmp_path / "changed.parquet")], model=MODEL)

    def test_table_that_another_program_wrote(self, table, tmp_path):
        assert self.index(tmp_path, table).embedded == 0

    @pytest.mark.parametrize("name", ["id", "text", "fields", "starts", "embeddings"])
    def test_column_that_is_missing(self, table, tmp_path, name):
        with pytest.raises(InputError, match=r"changed.parquet:1: is a damaged export"):
            self.index(tmp_path, table.drop_columns([name]))

    @pytest.mark.parametrize(
        ("name", "cells"),
        [
            ("embeddings", [[[1.0, 0, 0, 0]], None]),
            ("embeddings", [[[1.0, 0, 0, 0]], [[float("nan"), 0, 0, 0]]]),
            ("embeddings", [[[1.0, 0, 0, 0]], [[None, 0, 0, 0]]]),
            ("starts", [[0], [None]]),
            ("stops", [[4], None]),
            ("fields", ["{}", "{"]),
            ("fields", ["{}", "[]"]),
            ("id", ["a", None]),
            ("id", [b"a", b"b"]),
        ],
    )
    def test_damaged_cell(self, table, tmp_path, name, cells):
        import pyarrow as pa

        changed = table.set_column(table.schema.get_field_index(name), name, pa.array(cells))
        with pytest.raises(InputError, match=r"changed.parquet:[12]: "):
            self.index(tmp_path, changed)

    def test_rows_that_are_missing(self, table, tmp_path):
        with pytest.raises(InputError, match="it has 1 items and 1 vectors, not 2 and 2"):
            self.index(tmp_path, table.slice(0, 1))

    def test_large_rows(self, table, tmp_path, monkeypatch):
        from attnsearch.exports import parquet

        monkeypatch.setattr(parquet, "_BYTES", 1)
        assert self.index(tmp_path, table).embedded == 0
        monkeypatch.setattr(parquet, "_LONGEST", 64)
        with pytest.raises(InputError, match="an item has more than 0 MiB"):
            self.index(tmp_path, table)

    def test_metadata_that_would_abort_the_process(self, table, tmp_path):
        """Statistics of another size than the levels: `row_group(0).column(0)` ends the process by SIGABRT."""
        self.index(tmp_path, table)
        raw = (tmp_path / "changed.parquet").read_bytes()
        for position in range(len(raw) - 1_500, len(raw) - 8):
            path = tmp_path / "flipped.parquet"
            path.write_bytes(raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :])
            with contextlib.suppress(InputError):
                if export := open_export(str(path)):
                    list(export.entries)

    def test_header_that_is_damaged(self, table, tmp_path):
        with pytest.raises(InputError, match=r"changed\.parquet"):
            self.index(tmp_path, table.replace_schema_metadata({b"attnsearch_export": b"{"}))
