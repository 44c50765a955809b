"""One case for each shape that a file of records can have, as YAML and as JSON."""

from __future__ import annotations

import contextlib
import json
import logging
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.readers.shapes import split_documents
from attnsearch.readers.tables import quote_step, resolve_path
from attnsearch.syntax import strict_json, yaml12

PARSERS = {
    "JSON": lambda text: strict_json.parse_documents(text, where="x"),
    "YAML": lambda text: yaml12.parse_documents(text, where="x"),
}
KETTLE, LAMP = {"title": "Kettle", "price": 9}, {"title": "Lamp", "price": 7}
TWO = [KETTLE, LAMP]


def read(value, path=None):
    """The records of a value as JSON gives them; YAML gives the same, and the same lines unless lists lie in lists."""
    text = json.dumps(value, indent=1)
    (first, second) = (list(split_documents(parse(text), "x", path).items) for parse in PARSERS.values())
    assert first == second
    assert path or [record.line for record in first] == [record.line for record in second]
    return first


def refused(value, path=None):
    with pytest.raises(InputError) as caught:
        read(value, path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (TWO, None),
        ({"items": TWO, "data": [{"title": "no"}]}, None),
        ({"data": TWO}, "data"),
        ({"total": 2, "results": TWO}, "results"),
        ({"version": [1, 2], "entries": TWO, "rows": []}, "entries"),
        ({"responseHeader": {"status": 0}, "response": {"docs": TWO}}, "response.docs"),
        ({"kind": "Listing", "data": {"after": None, "children": TWO}}, "data.children"),
        ({"a": {"b": {"c": {"d.e": TWO}}}}, 'a.b.c."d.e"'),
        ({"links": [{"href": "/next"}], "products": TWO}, "products"),
        ({"name": "places", "features": TWO}, "features"),
        ({"info": {"title": "Shop", "contacts": [{"name": "Ann"}]}, "products": TWO}, "products"),
        ({"@context": {"name": "x"}, "@graph": TWO}, "@graph"),
    ],
)
def test_the_one_list(value, path, caplog):
    assert read(value) == TWO
    assert caplog.messages == ([] if path is None else [f"x: reading the 2 records under {path}"] * 2)


@pytest.mark.parametrize(
    "value",
    [
        {"title": "Dune", "tags": ["sand"]},
        {"title": "Dune", "authors": [{"first": "Frank"}]},
        {"name": "Dune", "authors": [{"name": "Frank"}, {"name": "Brian"}], "publisher": {"name": "Chilton"}},
        {"Description": "A desert planet", "links": [{"url": "/"}]},
        {"title": {"rendered": "Dune"}, "n": [{"a": 1}]},
        {"title": ["Dune"], "n": {"a": {"title": "x"}, "b": {"title": "y"}}},
        {"title": "Dune", "items": 3},
        {"port": 80, "host": "x"},
    ],
)
def test_one_mapping_is_one_item(value):
    assert read(value) == [value]


def test_what_lies_in_an_item_is_said(caplog):
    shop = {"title": "Our shop", "products": TWO, "links": [{"href": "/"}]}
    assert read(shop) == [shop]
    assert caplog.messages[0] == "x: reading the file as one item; to read what is inside: --items products"
    assert read(shop, "products") == TWO


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"users": TWO, "posts": [{"text": "x"}]},
         "x:1: records lie in several places: users (2), posts (1); choose one: attnsearch index x --items users"),
        ({"a": {"b.c": TWO}, "d": TWO},
         """records lie in several places: a."b.c" (2), d (2); choose one: attnsearch index x --items 'a."b.c"'"""),
        ({"a": [{"x": 1}], "b": [{"y": 1}]}, "records lie in several places: a (1), b (1)"),
        ({"v": 1, "a": {"k": KETTLE, "l": LAMP}, "b": TWO}, "records lie in several places: a (2), b (2)"),
        ({"v": 1} | {f"l{n}": TWO for n in range(40)}, "l9 (2) and 30 more"),
    ],
)  # fmt: skip
def test_several_lists_are_refused(value, message):
    assert message in refused(value)


@pytest.mark.parametrize("value", [{"v": 1, "x.y": {"title": "Lamp"}}, {"v": 1, "x.y": ["Lamp"]}])
def test_the_path_in_a_message_is_one_that_items_takes(value, caplog):
    records = read(value)
    assert set(caplog.messages) == {'x: reading the one record under "x.y"'}
    assert read(value, '"x.y"') == records == [{"title": "Lamp"}]


def test_a_mapping_of_mappings():
    assert read({"kettle": KETTLE, "lamp": LAMP}) == [{"id": "kettle", **KETTLE}, {"id": "lamp", **LAMP}]
    assert read({"v": 1, "all": {"k": KETTLE}}) == [{"id": "k", **KETTLE}]
    # Without titles the keys are; if they are words.
    blurbs = {"lamp": {"description": "Light"}, "7": {"description": "Seven"}}
    assert read(blurbs) == [
        {"title": "lamp", "id": "lamp", "description": "Light"},
        {"id": "7", "description": "Seven"},
    ]
    # Records with ids of their own keep them.
    own = {"x": {"id": 1, "title": "A"}, "y": {"ID": 2, "title": "B"}, "z": {"id": "z", "title": "C"}}
    assert read(own) == [{"key": "x", "id": 1, "title": "A"}, {"key": "y", "ID": 2, "title": "B"}, own["z"]]
    # Nothing has a title or a text, but all are alike.
    assert read({"a": {"rgb": 1}, "b": {"rgb": 2}}) == [
        {"title": "a", "id": "a", "rgb": 1}, {"title": "b", "id": "b", "rgb": 2},
    ]  # fmt: skip
    assert read({"data": {"title": "Lamp"}}) == [{"title": "Lamp"}]
    assert read({"lamp": {"title": "Lamp"}}) == [{"id": "lamp", "title": "Lamp"}]


def test_a_mapping_of_mappings_in_settings(caplog):
    """As in a file for docker compose: nothing is called a title or a text, but the services are alike."""
    services = {"web": {"image": "nginx", "ports": ["80:80"]}, "db": {"image": "postgres"}}
    records = [{"title": name, "id": name, **service} for name, service in services.items()]
    settings = {"version": "3.8", "services": services, "volumes": {"data": None}}
    assert read(settings) == records
    assert caplog.messages[0] == "x: reading the 2 records under services"
    assert read({"info": {"title": "Lamp"}, **settings}) == [{"title": "Lamp"}]
    for others in ({"web": {"image": "nginx"}}, {"a": {"x": 1}, "b": {"y": 1}}):
        assert read({"version": "3.8", "services": others}) == [{"version": "3.8", "services": others}]


def test_a_mapping_of_lists():
    value = {
        "entries": {"lamp": [{"name": "lamp", "v": 2}, {"name": "lamp", "v": 1}], "kettle": [{"name": "K", "v": 1}]}
    }
    assert read(value) == [
        {"name": "lamp", "v": 2}, {"name": "lamp", "v": 1}, {"key": "kettle", "name": "K", "v": 1},
    ]  # fmt: skip
    assert [record["key"] for record in read({"fruits": TWO, "nuts": TWO[:1]})] == ["fruits", "fruits", "nuts"]


def test_texts():
    assert read(["Kettle", "Lamp"]) == [{"title": "Kettle"}, {"title": "Lamp"}]
    assert read({"items": ["Kettle"]}) == [{"title": "Kettle"}]
    assert read({"count": 2, "names": ["Kettle", "Lamp"]}) == [{"title": "Kettle"}, {"title": "Lamp"}]
    assert read({"kettle": "Boils water", "lamp": "Gives light"}) == [
        {"title": "kettle", "description": "Boils water"}, {"title": "lamp", "description": "Gives light"},
    ]  # fmt: skip
    assert read([1984, 1.5]) == [{"title": "1984"}, {"title": "1.5"}]
    (title, description) = ({"a": "x", "b": "y"}, {"id": "a", "b": "y"})
    assert len(read(title)) == 2
    assert read(description) == [description]  # `id` is the name of a field


@pytest.mark.parametrize("wrap", [lambda texts: texts, lambda texts: {"books": texts}])
def test_texts_under_a_key_each(wrap, caplog):
    expected = [{"title": "Emma", "description": "A young woman."}, {"title": "Dune", "description": "Sand."}]
    assert read(wrap([{"Emma": "A young woman."}, {"Dune": "Sand."}])) == expected
    assert "reading each key as a title and its text as the description" in caplog.text


@pytest.mark.parametrize(
    "records",
    [
        [{"Emma": "A young woman."}],
        [{"Emma": "A young woman."}, {"Emma": "Another."}],
        [{"Emma": "A young woman."}, {"emma": "Another."}],
        [{"Emma": "A young woman."}, {"Title": "Dune"}],
        [{"Emma": "A young woman."}, {"Dune": 3}],
        [{"Emma": "A young woman."}, {"Dune": "Sand.", "year": 1965}],
    ],
)
def test_texts_under_names_of_fields(records, caplog):
    assert read(records) == records
    assert caplog.text == ""


def test_openapi():
    value = {
        "openapi": "3.0.0", "info": {"title": "Pets"}, "servers": [{"url": "/", "description": "here"}],
        "paths": {"/pets": {"get": {"summary": "List pets"}, "post": {"summary": "Add a pet"}, "parameters": []},
                  "/pets/{id}": {"summary": "One pet", "get": {"summary": "Show a pet"}}},
        "tags": [{"name": "pets", "description": "All of them"}],
    }  # fmt: skip
    assert [(record["id"], record["method"], record["path"], record["summary"]) for record in read(value)] == [
        ("GET /pets", "get", "/pets", "List pets"),
        ("POST /pets", "post", "/pets", "Add a pet"),
        ("GET /pets/{id}", "get", "/pets/{id}", "Show a pet"),
    ]
    assert read(value, "paths") == read(value)


@pytest.mark.parametrize(
    ("record", "lifted"),
    [
        ({"key": "A-1", "fields": {"summary": "Crash"}}, {"key": "A-1", "summary": "Crash"}),
        ({"kind": "t3", "data": {"title": "Crash"}}, {"kind": "t3", "title": "Crash"}),
        ({"type": "books", "id": "1", "attributes": {"title": "Dune"}}, {"type": "books", "id": "1", "title": "Dune"}),
        ({"_id": "1", "_source": {"name": "Dune"}}, {"_id": "1", "name": "Dune"}),
        ({"key": "K", "data": {"key": "K", "title": "T"}}, {"key": "K", "title": "T"}),
        ({"id": 1, "fields": {"id": 2, "title": "T"}}, {"id": 1, "title": "T", "fields": {"id": 2}}),
        ({"node": {"title": "T"}}, {"title": "T"}),
        ({"title": "T", "data": {"title": "U"}}, {"title": "T", "data": {"title": "U"}}),
        ({"id": 1, "other": {"title": "U"}}, {"id": 1, "other": {"title": "U"}}),
        ({"type": "Feature", "id": 4, "geometry": None, "properties": {"type": "pub", "HOTEL": "x"}},
         {"id": 4, "geometry": None, "type": "pub", "HOTEL": "x"}),
    ],
)  # fmt: skip
def test_fields_in_an_inner_mapping(record, lifted, caplog):
    assert read([record, {"title": "plain"}]) == [lifted, {"title": "plain"}]
    assert ("reading the fields under" in caplog.text) == (lifted != record)


def test_lines_of_records():
    text = '{"n": 1,\n"response": {"docs": [\n{"title": "A"},\n\n{"title":\n "B"}]}}'
    for parse in PARSERS.values():
        assert [record.line for record in split_documents(parse(text), "x").items] == [3, 5]
    text = '{"v": 1, "all": {\n"a": {"title": "A"},\n"b":\n{"title": "B"}}}'
    for parse in PARSERS.values():
        assert [record.line for record in split_documents(parse(text), "x").items] == [2, 4]


def test_several_documents(caplog):
    for text in ("a: 1\n---\nb: 2\n", "---\na: 1\n---\n---\nb: 2\n...\n"):
        assert list(split_documents(PARSERS["YAML"](text), "x").items) == [{"a": 1}, {"b": 2}]
    assert list(split_documents(PARSERS["JSON"]('{\n"a": 1}\n{"b": 2}'), "x").items) == [{"a": 1}, {"b": 2}]
    pages = '[{"a": 1}]\n[]\n[{"b": 2}]'
    assert list(split_documents(PARSERS["JSON"](pages), "x").items) == [{"a": 1}, {"b": 2}]
    pages = '{"data": [{"a": 1}]}{"data": [{"b": 2}]}'
    assert list(split_documents(PARSERS["JSON"](pages), "x", "data").items) == [{"a": 1}, {"b": 2}]
    for wrong in ('[{"a": 1}]\n{"b": 2}', '["a"]["b"]'):
        with pytest.raises(InputError, match="x: the 2 documents are not of one kind"):
            split_documents(PARSERS["JSON"](wrong), "x")


def test_a_path():
    value = {"a": {"b.c": TWO, "d": [{"e": TWO}, {"f": 1}, {"e": TWO[:1]}]}, "info": KETTLE}
    assert read(value, 'a."b.c"') == TWO
    assert read(value, "a.d.e") == [*TWO, KETTLE]
    assert read(value, "info") == [KETTLE]
    assert read(value, ".") == [value]
    assert "x:1: nothing lies under inof; did you mean info?" in refused(value, "inof")
    assert 'x:1: nothing lies under z; there are: "b.c", d' in refused(value, "a.z")
    assert "the items are not a list" in refused(value, "info.price")
    for wrong in ("", "a..b", '"a', 'a"b"c"', "a."):
        with pytest.raises(InputError):
            read(value, wrong)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_quoted_path_leads_there(keys):
    document = TWO
    for key in reversed(keys):
        document = {key: document}
    text = json.dumps(document)
    (document,) = PARSERS["JSON"](text) if "\\ud" not in text else [None]
    if document is not None:
        assert resolve_path(document, ".".join(map(quote_step, keys)), "x").value == TWO


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["a", "b c"]),
    lambda inside: st.lists(inside, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "title", "text", "data", "items", "a", "/b", "get", "fields"]), inside,
                      max_size=3),
    max_leaves=20,
)  # fmt: skip


@given(values)
def test_any_value_is_read_or_refused(value):
    with mock.patch.object(logging.getLogger("attnsearch"), "warning"), contextlib.suppress(InputError):
        for record in read(value):
            assert isinstance(record, dict)
            assert record.line >= 1
