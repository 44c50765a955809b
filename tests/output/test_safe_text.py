from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attnsearch.errors import InputError
from attnsearch.output.safe_text import error, inert, inert_lines, safe_url, simplified, to_json, unstacked
from tests.output.examples import RAW


@given(st.text())
def test_inert(text):
    shown = inert(text)
    assert not RAW.search(shown)
    assert "\n" not in shown
    assert json.loads(to_json(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))) is not None


@pytest.mark.parametrize("char", "\x00\x1b\x7f\x80\x9b\x9f\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\ud800")
def test_each_of_them_is_spelled_out(char):
    assert inert(f"a{char}b") in (f"a\\x{ord(char):02x}b", f"a\\u{ord(char):04x}b")
    assert char not in to_json(f"a{char}b")


def test_errors():
    problem = InputError("odd\x1b[2J", where="x.yaml:3", hint="mend it")
    assert error(problem) == "attnsearch: x.yaml:3: odd\\x1b[2J; mend it\n"
    assert json.loads(error(problem, as_json=True)) == {
        "error": {"code": 2, "message": "x.yaml:3: odd\x1b[2J", "hint": "mend it"}
    }


def test_details_of_errors():
    problem = InputError("odd", details="  a   b\n  1\x1b[2J 2\n")
    assert error(problem) == "attnsearch: odd\n  a   b\n  1\\x1b[2J 2\n"
    assert json.loads(error(problem, as_json=True))["error"]["details"] == problem.details


@given(st.text())
def test_inert_lines(text):
    shown = inert_lines(text)
    assert not RAW.search(shown.replace("\n", ""))
    assert shown.count("\n") <= len(text.splitlines())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org", "https://example.org"),
        ("HTTP://Example.org/A?b=c&d=%20#e", "HTTP://Example.org/A?b=c&d=%20#e"),
        (" https://example.org/ ", "https://example.org/"),
        ("https://例え.jp/猫", "https://%E4%BE%8B%E3%81%88.jp/%E7%8C%AB"),
        ('https://example.org/"<>\\^`{|}', "https://example.org/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://example.org/" + "a" * 1980, "https://example.org/" + "a" * 1980),
        ("https://example.org/" + "a" * 1981, ""),
        ("https://example.org/" + "é" * 400, ""),
        *((text, "") for text in ("", "example.org", "https://", "https:///x", "https://?x", "https://a b", "ftp://a.org",
                                  "javascript:alert(1)", "file:///etc/passwd", "xhttps://a.org", "mailto:a@b.org",
                                  "https://a.org/\x1b]8;;", "https://a.org/\x07", "https://a.org/\u202e",
                                  "https://a.org/\n", "https://a.org/x\ny", "https://a.org/\ud800", "https://a.org/\x9c")),
    ],
)  # fmt: skip
def test_addresses(text, url):
    assert safe_url(text) == ("https://a.org/" if text == "https://a.org/\n" else url)


@given(st.text())
def test_no_address_acts_on_a_terminal(text):
    url = safe_url(f"https://a{text}")
    assert url == "" or (url.isascii() and url.isprintable() and " " not in url)


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301\u0323",
        "שָׁלוֹם",
        "सत्यम्",
        "ที่นี่",
        "བསྒྲུབས",
        "\U0001f469\U0001f3fd\u200d\U0001f680" * 20,
        "月の海" * 9,
        "…" * 20,
        "",
    ],
)
def test_what_people_write_has_all_of_its_marks(text):
    assert unstacked(text) == text


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u0e49", "\u20dd", "\u0301\u200d", "\u034f\u0323"])
def test_marks_do_not_pile_up(mark):
    shown = unstacked(f"月{mark * 500}b{mark * 500}")
    assert sum(shown.count(char) for char in mark if char != "\u200d") == 12
    assert shown.count("…") == 2
    assert shown.replace("\u200d", "").endswith("b" + (mark.replace("\u200d", "") * 6)[:6] + "…")


@pytest.mark.parametrize("text", ["moon\u200b\u200d\u2060 sea", "ที่นี่", "월月の", "m\u0489", "\u05e9\u05b8"])
def test_what_has_no_cells_has_no_question_mark(text):
    assert len(simplified(text)) == cell_len(text)
