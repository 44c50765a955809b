from __future__ import annotations

import io
import zipfile

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import raw_file, records


def zipped(*names: str, first: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if first:
            archive.writestr("mimetype", first)
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


BINARY = {
    "shop.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "is an Excel workbook of the old form, or"),
    "shop.xlsb": (zipped("[Content_Types].xml", "xl/workbook.bin"), "is an Excel workbook of the binary form; save it"),
    "shop.docx": (zipped("[Content_Types].xml", "word/document.xml"), "is a Word document; save it as plain text"),
    "shop.pptx": (zipped("ppt/presentation.xml"), "is a PowerPoint presentation"),
    "shop.ods": (zipped(first=b"application/vnd.oasis.opendocument.spreadsheet"), "is an OpenDocument spreadsheet;"),
    "shop.odt": (zipped(first=b"application/vnd.oasis.opendocument.text"), "is an OpenDocument text;"),
    "shop.epub": (zipped(first=b"application/epub+zip"), "is an EPUB book"),
    "shop.zip": (zipped("a.csv"), "is a zip archive; unpack it"),
    "shop.tar": (b"a.csv".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 99, "is a tar archive"),
    "shop.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document; save its text"),
    "shop.rtf": (b"{\\rtf1\\ansi Kettle}", "is a document in Rich Text Format"),
    "shop.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG image"),
    "shop.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is a JPEG image"),
    "shop.gif": (b"GIF89a\x01\0\x01\0\x80", "is a GIF image"),
    "shop.webp": (b"RIFF\x1a\0\0\0WEBPVP8 ", "is a recording or an image"),
    "shop.mp4": (b"\0\0\0\x18ftypmp42\0\0", "is a video or an image"),
    "shop.so": (b"\x7fELF\x02\x01\x01\0", "is a program"),
    "shop.exe": (b"MZ\x90\0\x03\0", "is a program"),
    "shop.npy": (b"\x93NUMPY\x01\0v\0{'descr'", "is a NumPy array"),
    "shop.pkl": (b"\x80\x04\x95\x0f\0\0\0\0\0\0\0]\x94(K\x01K\x02e.", "is a Python pickle; it could run code"),
    "shop.bz2": (b"BZh91AY&SY\0\xff", "is compressed (bzip2); decompress it"),
    "shop.xz": (b"\xfd7zXZ\0\0\x04", "is compressed (xz); decompress it"),
    "shop.arrow": (b"ARROW1\0\0\xff\xff", "is an Arrow file"),
    "shop.h5": (b"\x89HDF\r\n\x1a\n\0", "is an HDF5 file"),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("suffix", ["", ".csv", ".jsonl", ".yaml", ".txt"])
def test_a_file_is_called_what_it_is(write, name, suffix):
    """Whatever its name says."""
    content, message = BINARY[name]
    with pytest.raises(InputError) as caught:
        list(records.read_records(str(write(f"{name}{suffix}", content))).items)
    assert f"{name}{suffix}: {message}" in str(caught.value)


@pytest.mark.parametrize("text", ["MZ,title\n1,Kettle\n", "BZh\n", "GIF8;a\n", "ID3\ttitle\n", "PAR1,b\n", "%PDF-\n"])
def test_a_text_that_begins_like_a_binary_file_is_text(write, text):
    assert list(records.read_records(str(write("x.csv", text))).items) is not None


@pytest.mark.parametrize(
    ("source", "name"),
    [("a/x.jsonl.gz", "x.jsonl"), ("x.csv.ZST", "x.csv"), ("x.csv", "x.csv"), ("x", "x"), ("x.gz", "x")],
)
def test_the_name_inside(source, name):
    assert raw_file.inner_name(source) == name


def test_nothing_is_left_open(write):
    """Records that nobody reads: a file that is not closed is a warning, and that an error."""
    records.read_records(str(write("x.csv", "title\nmoon\n")))


def test_a_file_that_is_not_to_be_read(write):
    path = write("x.csv", "title\n")
    path.chmod(0)
    try:
        path.open().close()
    except PermissionError:
        with pytest.raises(InputError, match=r"x\.csv: can't be read: Permission denied"):
            records.read_records(str(path))
