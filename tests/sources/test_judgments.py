from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import text_file
from attnsearch.sources import items, judgments
from attnsearch.storage import home

SAME = [("a moon", {"m": 1.0, "007": 1.0}), ("a robot", {"r": 2.0, "s": 0.0, "t": 0.5}), ("nothing", {})]
FILES = {
    "x.yaml": "- {query: a moon, relevant: [m, 007]}\n"
    "- {query: a robot, grades: {r: 2, s: 0, t: 0.5}}\n- {query: nothing, relevant: []}\n",
    "x.jsonl": '{"query": "a moon", "relevant": ["m", "007"]}\n\n'
    '{"query": "a robot", "grades": {"r": 2, "s": 0, "t": 0.5}}\n{"query": " nothing", "grades": {}, "note": "x"}\n',
    "x.json": '[{"query": "a moon", "relevant": ["m", "007"]},'
    '{"query": "a robot", "grades": {"r": 2, "s": 0, "t": 0.5}}, {"query": "nothing", "relevant": []}]',
    "x": '{"query": "a moon", "relevant": ["m", "007"]}\n'
    '{"query": "a robot", "grades": {"r": 2, "s": 0, "t": 0.5}}\n{"query": "nothing", "relevant": []}\n',
}


def refused(*paths) -> str:
    with pytest.raises(InputError) as caught:
        judgments.read_judgments(*map(str, paths))
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_requests(write, name):
    path = write(name, FILES[name])
    requests = judgments.read_judgments(str(path))
    assert [(request.query, request.grades) for request in requests] == SAME
    assert [request.relevant for request in requests] == [["m", "007"], ["r", "t"], []]
    assert requests[0].place == f"{path}:1"


def test_numbers_are_ids_and_queries(write):
    (request,) = judgments.read_judgments(str(write("x.jsonl", '{"query": 1984, "relevant": [12, "b", 1.5]}')))
    assert (request.query, request.relevant) == ("1984", ["12", "b", "1.5"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"relevant": ["a"]}', "2: the query is missing; queries without judgments need a file of qrels"),
        ('{"query": null, "relevant": ["a"]}', "2: the query is missing"),
        ('{"query": ["x"], "relevant": ["a"]}', "2: the query is not text"),
        ('{"query": true, "relevant": ["a"]}', "2: the query is not text"),
        ('{"query": " \\t", "relevant": ["a"]}', "2: the query is empty"),
        (
            '{"query": "%s", "relevant": []}' % ("x" * 131_073),
            "2: the query has 131,073 characters; at most 131,072 are allowed",
        ),
        ('{"query": "x"}', "2: the query has no 'relevant' and no 'grades'; write 'relevant: []' if nothing is right"),
        ('{"query": "x", "relevant": [], "grades": {}}', "2: the query has both 'relevant' and 'grades'; leave one"),
        ('{"query": "x", "relevant": "a"}', "2: 'relevant' is not a list of ids"),
        ('{"query": "x", "relevant": null}', "2: 'relevant' is not a list of ids; write '[]' if nothing is right"),
        ('{"query": "x", "relevant": ["a", "b", "a"]}', "2: the item 'a' is listed twice"),
        ('{"query": "x", "grades": {"a": 1, " a": 2}}', "2: the item 'a' is listed twice"),
        ('{"query": "x", "relevant": [["a"]]}', "2: an id is not text"),
        ('{"query": "x", "relevant": [null]}', "2: an id is missing"),
        ('{"query": "x", "relevant": [""]}', "2: an id is empty"),
        ('{"query": "x", "grades": ["a"]}', "2: 'grades' is not a mapping of ids to numbers"),
        ('{"query": "x", "grades": {"a": -1}}', "2: the grade of 'a' is -1; a grade is a number; 0 means wrong"),
        ('{"query": "x", "grades": {"a": true}}', "2: the grade of 'a' is True"),
        ('{"query": "x", "grades": {"a": "2"}}', "2: the grade of 'a' is 2"),
        ('{"query": "x", "grades": {"a": null}}', "2: the grade of 'a' is None"),
        ('{"query": "x", "grades": {"a": 1%s}}' % ("0" * 400), "2: the grade of 'a' is too large"),
        ('{"query": "x", "grades": {"a": NaN}}', "2: NaN is not a finite number"),
        ('{"query": "x", "grades": {"a": 1, "a": 2}}', "2: the key 'a' is used twice"),
        ('{"query": " first", "relevant": ["b"]}', "2: the query was already judged on line 1"),
    ],
)
def test_refused(write, line, message):
    path = write("x.jsonl", '{"query": "first", "relevant": ["a"]}\n' + line)
    assert refused(path).startswith(f"{path}:{message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.yaml", "", "x.yaml: no judgments; "),
        ("x.jsonl", "\n", "x.jsonl: no judgments; "),
        ("x.yaml", "- {query: x, relevant: [a]}\n- {query: y, grades: {a: .nan}}\n", "x.yaml:2: .nan is not a finite"),
        ("x.yaml", "- {query: x, grades: {a: 1, b: 2, a: 1}}\n", "x.yaml:1: the key 'a' was already used on line 1"),
        ("x.yaml", "- just a query\n", "x.yaml:1: the query is missing"),
        ("none.yaml", None, "none.yaml: no such file"),
    ],
)
def test_files_refused(write, monkeypatch, tmp_path, name, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        write(name, content)
    assert refused(name).startswith(message)


@pytest.mark.parametrize("catalog", ["library", "kitchen", "toolbox"])
def test_the_judgments_of_the_built_in_catalogs(catalog):
    file = home.built_in_file(catalog)
    requests = judgments.read_judgments(str(file.with_name(f"{catalog}.judgments.yaml")))
    ids = {item.id for item in items.read_items([str(file)]).items}
    assert {item_id for request in requests for item_id in request.grades} == ids  # each exists, and each is asked for
    assert len([request for request in requests if request.relevant]) >= 60
    assert len([request for request in requests if not request.relevant]) >= 18
    assert all(set(request.grades.values()) <= {1, 2} for request in requests)
    assert len({request.query for request in requests}) == len(requests)


@pytest.mark.parametrize("names", [("x.jsonl",), ("x.tsv", "qrels.txt"), ("queries.tsv", "x.txt")])
def test_a_file_that_is_too_large_is_read_no_further(write, monkeypatch, names):
    monkeypatch.setattr(text_file, "WHOLE", 1 << 20)
    line = {"x.jsonl": '{"query": "moon %d", "relevant": []}', "x.tsv": "%d\tmoon"}.get(names[0], "1 0 %d 1")
    paths = [write(name, "1\tmoon\n" if name == "queries.tsv" else "1 0 a 1\n") for name in names]
    large = next(path for path in paths if path.stem == "x")
    large.write_text("".join(f"{line % number}\n" for number in range(200_000)))
    with pytest.raises(InputError, match=r"x\.\w+:\d+: the file has over 1 MiB"):
        judgments.read_judgments(*map(str, paths))
