from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.syntax import strict_json

WRONG = [
    ('{"a": 1, "a": 2}', 1, "the key 'a' is used twice"),
    ("[NaN]", 1, "NaN is not a finite number"),
    ("[-Infinity]", 1, "-Infinity is not a finite number"),
    ("[1e999]", 1, "1e999 is not a finite number"),
    (f"[{'1' * 5000}]", 1, "a number of 5,000 digits"),
    ('["\\ud800"]', 1, "half of a surrogate pair (\\ud800…) is not a character"),
    ("[" * 100_000, 1, "nested more than 64 deep"),
    ("[" * 70 + "]" * 70, 1, "nested more than 64 deep"),
    ('[{"a": ' * 40 + "1" + "}]" * 40, 1, "nested more than 64 deep"),
    ("[1,\n2", 2, "not JSON"),
    ("[1]\n\nx", 3, "not JSON: more after the end"),
    ('{"items": [\n{"id": "a"},\n{"id": }]}', 3, "not JSON: Expecting value"),
    ('{\n"x": 1,\n"x": 2}', 3, "the key 'x' is used twice"),
    ('{"items": [1', 1, "not JSON"),
    ('{"items" [1]}', 1, "not JSON: : is missing"),
    ("{a: 1}", 1, "not JSON: a key in double quotes is missing"),
    ("", 1, "not JSON"),
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG)
def test_refused(text, line, message):
    with pytest.raises(InputError) as caught:
        strict_json.parse_documents(text, where="x.json")
    assert caught.value.message.startswith(f"x.json:{line}: ")
    assert message in caught.value.message


@pytest.mark.parametrize(("text", "message"), [(text, m) for text, _, m in WRONG[:9]])
def test_one_line_is_as_strict(text, message):
    with pytest.raises(InputError, match=r"^x:7: ") as caught:
        strict_json.parse_line(text, where="x", line=7)
    assert message in caught.value.message


def test_lines_of_items():
    (listed,) = strict_json.parse_documents('[\n{"id": "a",\n "t": 1},\n\n {"id": "b"}]', where="x")
    assert [item.line for item in listed] == [2, 5]
    (headed,) = strict_json.parse_documents(
        '{"name": "n",\n "items": [{"id": "a"},\n{"id": "b"}], "x": [1]}\n', where="x"
    )
    assert headed["name"] == "n"
    assert [item.line for item in headed["items"]] == [2, 3]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)


@given(values, st.sampled_from([None, 2]))
def test_reads_what_json_writes(value, indent):
    text = json.dumps(value, indent=indent)
    if "\\ud" in text.lower() and any("\ud800" <= c <= "\udfff" for c in json.loads(f"[{text}]").__repr__()):
        return
    assert strict_json.parse_documents(text, where="x") == [value]
    assert strict_json.parse_line(text, where="x") == value
