from __future__ import annotations

import io
import zipfile

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import raw_file, records
from attnsearch.syntax import formats


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


# Texts of other programs: what begins so, and what is said of it.
OTHER_FORMS = {
    "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<TITLE>Bookmarks</TITLE>\n": "bookmarks of a browser (HTML), which is not",
    "<!doctype html>\n<p>Kettle\n": "a web page (HTML), which is not read; save its text",
    "\ufeff\n<html><table><tr><td>Kettle</td></tr></table></html>": "a web page (HTML)",
    '<?xml version="1.0"?>\n<!-- a, b -->\n<rss version="2.0"><channel/></rss>\n': "a news feed (XML)",
    '<?xml version="1.0"?>\n<feed xmlns="x"><entry/></feed>\n': "a news feed (XML)",
    '<?xml version="1.0"?>\n<!DOCTYPE opml>\n<opml version="2.0"/>\n': "an outline (OPML)",
    '<?xml version="1.0"?>\n<gpx><wpt lat="1" lon="2"/></gpx>\n': "XML, which is not read; convert it to JSON",
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n": "a calendar (iCalendar)",
    "BEGIN:VCARD\nVERSION:3.0\nFN:Ada\n": "contacts (vCard)",
    "% a comment\n\n@article{brook2019,\n  title = {On Hedges}, year = {2019},\n}\n": "a bibliography (BibTeX)",
    "TY  - JOUR\nTI  - On Hedges\nER  - \n": "references (RIS)",
    "From ada@example.org Tue Mar  5 10:00:00 2024\nFrom: Ada\nSubject: Kettle\n\nBoils.\n": "a mailbox (mbox)",
    "1\r\n00:00:01,000 --> 00:00:04,000\r\nWhere is the kettle?\r\n": "subtitles, which is not read; --from lines",
    "WEBVTT\n\n00:01.000 --> 00:04.000\nThere.\n": "subtitles",
    '# German\nmsgid ""\nmsgstr ""\n': "translations (gettext)",
    '{"cells": [{"cell_type": "markdown", "source": ["# Tides"]}], "nbformat": 4}': "a Jupyter notebook",
}
OTHER_PLAIN_FORMS = {
    "<resources><string name='a'>Kettle</string></resources>": "XML or HTML",
    "#!/bin/sh\necho kettle\n": "a script",
    f"commit {'0123456789' * 4}\nAuthor: Ada\n\n    Boil\n": "the output of git log, which is not read; use git log",
    "total 8\n-rw-r--r-- 1 ada ada 12 Mar  5 10:00 kettle.txt\n": "the output of ls -l",
    "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-Kettle\n": "a patch",
    "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n": "a dump of a database (SQL)",
    "-- MySQL dump\n\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `a`;\n": "a dump of a database (SQL)",
    '# generated\nversion = 3\n\n[[package]]\nname = "kettle"\n': "TOML or INI",
    "[Desktop Entry]\nName=Files\nComment=Organizes files, folders and more\n": "TOML or INI",
    "Package: kettle\nDescription: boils\n water\n\nPackage: lamp\n": "paragraphs of fields, as Debian writes them",
    '10.0.0.1 - - [05/Mar/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 512\n': "the log of a web server",
    "Package Version\n------- -------\nkettle  1.0\n": "a table with blanks between its columns",
    " id | name\n----+-----\n  1 | Kettle\n": "a table with blanks between its columns",
}


@pytest.mark.parametrize(
    ("text", "suffix"),
    [*((text, suffix) for text in OTHER_FORMS for suffix in ("", ".csv")), *((text, "") for text in OTHER_PLAIN_FORMS)],
)
def test_a_text_of_another_program_is_called_what_it_is(write, text, suffix):
    path = str(write(f"x{suffix}", text))
    with pytest.raises(InputError) as caught:
        records.read_records(path)
    assert f"x{suffix}: looks like {(OTHER_FORMS | OTHER_PLAIN_FORMS)[text]}" in str(caught.value)
    lines = list(records.read_records(path, reading=formats.Reading(form="lines")).items)
    assert len(lines) == len([line for line in text.removeprefix("\ufeff").splitlines() if line.strip()])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "<b>Name</b>,Text\nKettle,Boils\n"),
        ("x.csv", "From,To\nAda,Ben\n"),
        ("x.csv", "@article,title\n1,Kettle\n"),
        ("x.csv", "subtitles,title\n1,00:00:01 --> 2\n"),
        ("x.json", '{"cells": [{"name": "A", "cell_type": "neuron"}]}'),
        ("x.yaml", "[kettle]\n"),
        ("x", "Package: kettle\nDescription: boils\n\nname: x\n"),
        ("x", "a = b,title\n1,Kettle\n"),
        ("x", "commit,title\n0123456,Kettle\n"),
        ("x", "# a comment\ntitle: Kettle\n"),
        ("x", "---\n- title: Kettle\n"),
        ("x", "total|title\n-1|Kettle\n"),
    ],
)
def test_a_text_that_begins_like_that_of_another_program_is_read(write, name, text):
    assert len(list(records.read_records(str(write(name, text))).items)) > 0


@pytest.mark.parametrize(
    "text", ["<!---->", "<!-- -->\n", "%\n", "#\n", "/**/", "-- a\n", "[a\n", "a: b\n\n", "a = b\n"]
)
def test_other_forms_are_told_in_linear_time(text):
    """Patterns that backtrack would never end."""
    raw_file.describe_text((text * (raw_file.HEAD // len(text))).encode(), is_named=False)


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
