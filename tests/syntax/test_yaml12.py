from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.syntax import yaml12


def load(text, **options):
    documents = yaml12.parse_documents(text, where="x.yaml", **options)
    return documents[0] if documents else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.2.2, 10.3.2, the core schema
        ("null", None), ("~", None), ("Null", None), ("nULL", "nULL"),
        ("true", True), ("False", False), ("On", "On"), ("yes", "yes"), ("y", "y"), ("OFF", "OFF"),
        ("0", 0), ("-19", -19), ("007", "007"), ("-01", "-01"), ("00.5", "00.5"),
        ("0.5", 0.5), ("!!int 007", 7), ("0o7", 7), ("0x3A", 58), ("0b1", "0b1"), ("1_000", "1_000"),
        ("0.", 0.0), ("-.5", -0.5), ("12e03", 12000.0), ("+1.5E-2", 0.015), (".", "."), ("1e", "1e"),
        ("12:30:45", "12:30:45"), ("2001-12-14", "2001-12-14"), ("=", "="), ("'1984'", "1984"), ('"~"', "~"),
        ("!!str 1984", "1984"), ("!!float 3", 3.0), ("!!int '3'", 3), ("! 12", 12),
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"),
    ],
)  # fmt: skip
def test_scalars(text, value):
    scalar = load(f"- {text}")[0]
    assert scalar == value
    assert type(scalar) is type(value)


def test_nothing():
    assert load("") is None
    assert load("# only a comment\n---\n") is None


def test_containers_and_lines():
    items = load("# head\n- a: 1\n  b: [x, {c: 2}]\n-\n  a: 3\n")
    assert items == [{"a": 1, "b": ["x", {"c": 2}]}, {"a": 3}]
    assert [item.line for item in items] == [2, 5]


def test_aliases_stand_for_values():
    assert load("- &x [a, b]\n- *x\n- {k: *x}\n") == [["a", "b"], ["a", "b"], {"k": ["a", "b"]}]


def test_as_text():
    items = load("- {title: 1984, year: 1984, id: 007}\n- {title: 1.10}\n- {title: ~, id: }\n",
                 as_text=frozenset({"title", "id"}))  # fmt: skip
    assert items == [{"title": "1984", "year": 1984, "id": "007"}, {"title": "1.10"}, {"title": None, "id": None}]


def test_a_list_as_text():
    items = load("- {ids: [007, 1.10, ~], n: [1.10]}\n- {n: &n [1], ids: *n}\n", as_text=frozenset({"ids"}))
    assert items == [{"ids": ["007", "1.10", None], "n": [1.1]}, {"n": [1], "ids": [1]}]


def test_as_text_whatever_the_case_and_separators():
    (item,) = load("- {Product_Name: 1984, _id: 007, year: 1984}\n", as_text=frozenset({"product name", "ID"}))
    assert item == {"Product_Name": "1984", "_id": "007", "year": 1984}
    assert load("[1984, 1.10, ~, [7]]", as_text=frozenset({""})) == ["1984", "1.10", None, ["7"]]


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("{<<: *a, y: 3}", {"x": 1, "y": 3}),
        ("{y: 3, <<: *a}", {"x": 1, "y": 3}),
        ("{<<: [*a, *b]}", {"x": 1, "y": 2, "z": 9}),
        ("{<<: [*b, *a]}", {"x": 8, "y": 2, "z": 9}),
        ("{<<: {k: 1}, j: 2}", {"k": 1, "j": 2}),
        ("{<<: []}", {}),
        ("{<<: *c}", {"x": 1, "y": 2, "w": 5}),
        ("{!!merge <<: *a}", {"x": 1, "y": 2}),
        ("{'<<': *a}", {"<<": {"x": 1, "y": 2}}),
        ("{k: <<}", {"k": "<<"}),
    ],
)
def test_merge_keys(text, item):
    """As PyYAML does them, apart from the key in quotes, which is no merge key for us."""
    anchors = "a: &a {x: 1, y: 2}\nb: &b {x: 8, z: 9}\nc: &c {<<: *a, w: 5}\nv: "
    value = load(anchors + text)["v"]
    assert value == item
    if "'" not in text and text != "{k: <<}":  # which PyYAML refuses
        assert list(value) == list(yaml.safe_load(anchors + text)["v"])
        assert value == yaml.safe_load(anchors + text)["v"]
    assert load(anchors + text)["a"] == {"x": 1, "y": 2}  # what is merged stays as it was


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3), min_size=1, max_size=4), st.data()
)
def test_merge_keys_of_any_mappings(mappings, data):
    text = ""
    for number, mapping in enumerate(mappings):
        merged = data.draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        fields = [f"{key}: {value}" for key, value in mapping.items()]
        fields.insert(data.draw(st.integers(0, len(fields))), f"<<: [{', '.join(f'*m{i}' for i in merged)}]")
        text += f"- &m{number} {{{', '.join(fields)}}}\n"
    assert [list(mapping.items()) for mapping in load(text)] == [
        list(mapping.items()) for mapping in yaml.safe_load(text)
    ]


MERGES = "- &a0 {x: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n" + "".join(
    f"- &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
)
BOMB = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' was already used on line 1"),
        ("- a: 1\n- {b: 1,\n   b: 2}\n", 3, "the key 'b' was already used on line 2"),
        ("- !!python/object/apply:os.system ['true']\n", 1, "is not one of YAML's own"),
        ("- !thing x\n", 1, "is not one of YAML's own"),
        ("- !!map [a]\n", 1, "is not one of YAML's own"),
        ("- !!int x\n", 1, "'x' is not a YAML int"),
        ("- !!float 0x3A\n", 1, "'0x3A' is not a YAML float"),
        ("- !!float 0xF\n", 1, "'0xF' is not a YAML float"),
        ("- !!float 0o7\n", 1, "'0o7' is not a YAML float"),
        ("- .nan\n", 1, ".nan is not a finite number"),
        ("a: 1\nb: -.inf\n", 2, "-.inf is not a finite number"),
        ("- 1e999\n", 1, "1e999 is not a finite number"),
        (f"- {'9' * 1_000_000}\n", 1, "a number of 1,000,000 digits"),
        ("a: [1, 2\n", 2, "not YAML: did not find expected ',' or ']'"),
        ("a: 'x\n", 2, "not YAML: found unexpected end of stream"),
        ("- a\n- b\x07c\n", 2, "not YAML: "),
        ('- "\\ud800"\n', 1, "not YAML: "),
        ("- *nowhere\n", 1, "alias *nowhere has no anchor"),
        ("- a: !!merge <<\n", 1, "is not one of YAML's own"),
        ("- {!!merge a: 1}\n", 1, "is not one of YAML's own"),
        ("- <<: 1\n", 1, "a merge key (<<) takes a mapping or a list of mappings"),
        ("- <<:\n", 1, "a merge key (<<) takes a mapping or a list of mappings"),
        ("- {<<: [{a: 1},\n b]}\n", 2, "a merge key (<<) takes a mapping or a list of mappings"),
        ("- a: 1\n  <<: {b: 1}\n  <<: {c: 1}\n", 3, "the key '<<' was already used on line 2"),
        ("- &a {<<: *a}\n", 1, "alias *a has no anchor"),
        ("- &a [1]\n---\n- *a\n", 3, "alias *a has no anchor"),
        ("- {[a]: 1}\n", 1, "a key must be text"),
        ("- ? {a: 1}\n  : 2\n", 1, "a key must be text"),
        ("[" * 100_000, 1, "nested more than 64 deep"),
        ("- " * 5000 + "a", 1, "nested more than 64 deep"),
        (BOMB, 7, "aliases repeat too much"),
        (MERGES, 7, "aliases repeat too much"),
    ],
)
def test_refused(text, line, message):
    with pytest.raises(InputError) as caught:
        load(text)
    assert caught.value.message.startswith(f"x.yaml:{line}: ")
    assert message in caught.value.message


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inside, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(values)
def test_reads_what_pyyaml_writes(value):
    # In quotes and with tags where needed: the two versions of YAML differ only in plain scalars.
    text = yaml.safe_dump([value], default_style='"', allow_unicode=True)
    assert load(text) == [value]


@given(st.text(st.sampled_from("ab:- \n\t#&*!|>'\"%@`,[]{}?~0.\u2028é")))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(InputError):
        load(text)
