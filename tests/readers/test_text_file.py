from __future__ import annotations

import codecs
import gzip
import io
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.readers import records, text_file
from attnsearch.readers.raw_file import HEAD
from attnsearch.syntax.formats import Reading

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n\ufeff"), max_size=30)
by_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path, **options) -> list[str]:
    return list(text_file.open_text(str(path), **options))


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


@by_file
@given(
    st.lists(TEXTS, min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "gb18030"]),
)
def test_lines_come_back_as_they_were(write, lines, end, encoding):
    """In every encoding and with each line end; without a mark in the file, the encoding is named."""
    given_encoding = encoding if encoding in ("utf-16-le", "utf-16-be", "gb18030") else None
    text = end.join([*lines, ""])
    path = write("x.txt", text.encode(encoding))
    expected = [f"{line}{end}" for line in lines]
    if end == "\r":
        assert "".join(read(path, encoding=given_encoding)) == text
        if lines[0]:
            assert read(path, encoding=given_encoding) == expected
    else:
        assert read(path, encoding=given_encoding) == expected


@pytest.mark.parametrize("size", [HEAD - 1, HEAD, HEAD + 1, 3 * HEAD])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_not_cut_where_the_file_is_read_in_pieces(write, size, end):
    lines = ["a" + end, "é" * size + end, "b" + end, "c"]
    assert read(write("x.txt", "".join(lines).encode())) == lines


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff"])
def test_one_byte_order_mark_is_not_text(write, mark):
    assert read(write("x.txt", f"{mark}a\n".encode())) == [f"{mark[1:]}a\n"]


def test_other_characters_end_no_line(write):
    line = "a\x0b\x0c\x1c\x85\u2028\u2029b\n"
    assert read(write("x.txt", line.encode())) == [line]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Café\n".encode("cp1252"), "x.txt:1: not UTF-8; save the file as UTF-8, or say what it is: with --encoding "
                                    "cp1252, it reads 'Café' there"),
        ("a\nCafé\nb\nNaïve\n".encode("cp1252"), "x.txt:2: not UTF-8; 1 more lines are not; save"),
        (b"a\n\x81\xe9\n", "x.txt:2: not UTF-8; save the file as UTF-8, or say what it is: with --encoding latin-1"),
        ("é\n".encode() * 9 + b"a\xffb\n" + "é\n".encode(), "x.txt:10: not UTF-8; other lines are: mend it"),
        (b"a\n" * 99_999 + b"\xe9\n" + b"a\n" * 99_999 + b"\xe9\n", "x.txt:100000: not UTF-8; 1 more lines are not;"),
        (b"a\rb\r\xe9\rc\r", "x.txt:3: not UTF-8; save"),
        (b"a\r" * 99_999 + b"\xe9\rb\r\xe9\r", "x.txt:100000: not UTF-8; 1 more lines are not;"),
        (b"\xff\xfea\0\r\0b\0\r\0\0\xd8b\0", "x.txt:3: not utf-16-le: illegal UTF-16 surrogate"),
        (b"\xff\xfea\0\n\0b", "x.txt:2: not utf-16-le: truncated data"),
        (b"\xff\xfea\0\n\0\0\xd8b\0", "x.txt:2: not utf-16-le: illegal UTF-16 surrogate"),
        ("ab\ncd".encode("utf-16-le"), "x.txt: seems to be UTF-16 without a byte order mark; if that is right, say "
                                       "--encoding utf-16-le"),
        ("ab\ncd".encode("utf-16-be"), "x.txt: seems to be UTF-16 without a byte order mark; if that is right, say "
                                       "--encoding utf-16-be"),
        (b"a\nb\nc\0d\n", "x.txt:3: has a NUL byte"),
        (b"\0" * 99, "x.txt:1: has a NUL byte"),
    ],
)  # fmt: skip
def test_refused(write, content, message):
    assert refusal(write("x.txt", content)).startswith(message)


def test_the_lines_before_a_wrong_byte_are_read(write):
    lines = iter(text_file.open_text(str(write("x.txt", b"a\nb\n\xe9\n"))))
    assert [next(lines), next(lines)] == ["a\n", "b\n"]
    with pytest.raises(InputError, match=r"x\.txt:3: not UTF-8"):
        next(lines)


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"a", "nonsense", "unknown encoding 'nonsense'"),
        (b"a", "cp1251x", "unknown encoding 'cp1251x'; did you mean cp1251?"),
        (b"a", "base64", "unknown encoding 'base64'"),
        (b"a", "punycode", "unknown encoding 'punycode'"),
        (b"a", "", "unknown encoding ''"),
        (b"a", "a\0b", "unknown encoding"),
        (b"a", "utf-16", "x.txt: utf-16 can mean two things here"),
        (b"\xef\xbb\xbfa", "cp1252", "x.txt: begins with the byte order mark of UTF-8, so it is not cp1252"),
        (b"\xff\xfea\0", "utf-8", "x.txt: begins with the byte order mark of UTF-16-LE, so it is not utf-8"),
        (b"a\n\x81", "cp1252", "x.txt:2: not cp1252"),
        (b"a\n\x80", "shift-jis", "x.txt:2: not shift_jis"),
    ],
)
def test_a_named_encoding_is_refused(write, content, encoding, message):
    assert refusal(write("x.txt", content), encoding=encoding).startswith(message)


@pytest.mark.parametrize("name", ["cp1252", "latin-1", "CP437", "mac_roman", "utf8", "iso-8859-15"])
def test_a_named_encoding(write, name):
    assert read(write("x.txt", "Café\n".encode(name)), encoding=name) == ["Café\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "cp1252"])
def test_the_codec_is_pythons_own(encoding):
    assert codecs.lookup(text_file.check_encoding(encoding)).name == codecs.lookup(encoding).name


class TestCompressed:
    CONTENT = b'{"title": "moon"}\n{"title": "sea"}\n'

    def read(self, path, **options):
        return [record["title"] for record in records.read_records(str(path), **options).items]

    def compress(self, kind: str, content: bytes) -> bytes:
        if kind == "gz":
            return gzip.compress(content)
        return pytest.importorskip("backports.zstd").compress(content)

    @pytest.mark.parametrize("kind", ["gz", "zst"])
    @pytest.mark.parametrize("name", ["x.jsonl.{}", "x.JSONL.{}", "x.jsonl", "x.ndjson.{}", "x", "x.{}"])
    def test_it_is_known_by_its_bytes(self, write, kind, name):
        path = write(name.format(kind), self.compress(kind, self.CONTENT))
        assert self.read(path) == ["moon", "sea"]

    @pytest.mark.parametrize("kind", ["gz", "zst"])
    def test_standard_input(self, kind, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(self.compress(kind, self.CONTENT))))
        assert self.read("-") == ["moon", "sea"]

    def test_a_name_alone_does_not_compress(self, write):
        assert self.read(write("x.jsonl.gz", self.CONTENT)) == ["moon", "sea"]

    def test_several_parts(self, write):
        first, second = self.CONTENT.splitlines(keepends=True)
        path = write("x.jsonl.gz", gzip.compress(first) + gzip.compress(second) + b"\0" * 99)
        assert self.read(path) == ["moon", "sea"]

    @pytest.mark.parametrize("kind", ["gz", "zst"])
    def test_the_files_own_bytes_are_observed(self, write, kind):
        packed = self.compress(kind, self.CONTENT * 10_000)
        pieces: list[bytes] = []
        self.read(write(f"x.jsonl.{kind}", packed), observe=pieces.append)
        assert b"".join(pieces) == packed

    @pytest.mark.parametrize("kind", ["gz", "zst"])
    @pytest.mark.parametrize("damage", ["cut", "flipped"])
    def test_damage_is_refused(self, write, kind, damage):
        packed = bytearray(self.compress(kind, bytes(range(1, 128)) * 9))
        packed = packed[:-9] if damage == "cut" else packed[:30] + bytes([packed[30] ^ 255]) + packed[31:]
        with pytest.raises(InputError, match=r"x\.csv\.gz.*: "):
            self.read(write("x.csv.gz", bytes(packed)))

    @pytest.mark.parametrize("name", ["x.jsonl.gz", "x.yaml.gz", "x.csv.gz"])
    def test_a_bomb_is_refused(self, write, name):
        path = write(name, gzip.compress(b"x" * (65 << 20), 1))
        with pytest.raises(InputError, match=r"more than 16 MiB|over 64 MiB"):
            self.read(path)

    @pytest.mark.parametrize("kind", ["gz", "zst"])
    def test_twice(self, write, kind):
        path = write("x.csv.gz", gzip.compress(self.compress(kind, self.CONTENT)))
        with pytest.raises(InputError, match=r"is compressed twice \((gzip|zstd)\); decompress it once"):
            self.read(path)

    def test_without_the_library(self, write, monkeypatch):
        path = write("x.csv.zst", b"\x28\xb5\x2f\xfd" + b"\0" * 9)
        for name in ("backports", "compression"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InputError, match=r"is compressed \(zstd\); pip install backports-zstd, or"):
            self.read(path, reading=Reading())
