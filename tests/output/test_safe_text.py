from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.output.safe_text import error, inert, to_json
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
