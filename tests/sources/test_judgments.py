from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.sources import items, judgments
from attnsearch.storage import home

SAME = [("a moon", {"m": 1.0, "007": 1.0}), ("a robot", {"r": 2.0, "s": 0.0, "t": 0.5}), ("nothing", {})]
FORMS = {
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


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(write, name):
    path = write(name, FORMS[name])
    found = judgments.read_judgments(str(path))
    assert [(one.query, one.grades) for one in found] == SAME
    assert [one.relevant for one in found] == [["m", "007"], ["r", "t"], []]
    assert found[0].place == f"{path}:1"


def test_numbers_are_ids_and_queries(write):
    (one,) = judgments.read_judgments(str(write("x.jsonl", '{"query": 1984, "relevant": [12, "b", 1.5]}')))
    assert (one.query, one.relevant) == ("1984", ["12", "b", "1.5"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"relevant": ["a"]}',
            "2: the query is missing; queries without judgments are given together with their qrels",
        ),
        ('{"query": null, "relevant": ["a"]}', "2: the query is missing"),
        ('{"query": ["x"], "relevant": ["a"]}', "2: the query is no text"),
        ('{"query": true, "relevant": ["a"]}', "2: the query is no text"),
        ('{"query": " \\t", "relevant": ["a"]}', "2: the query is empty"),
        ('{"query": "%s", "relevant": []}' % ("x" * 131_073), "2: the query has 131,073 characters; at most 131,072"),
        ('{"query": "x"}', "2: the query has no 'relevant' and no 'grades'; write 'relevant: []' where nothing is"),
        ('{"query": "x", "relevant": [], "grades": {}}', "2: the query has both 'relevant' and 'grades'; leave one"),
        ('{"query": "x", "relevant": "a"}', "2: 'relevant' is no list of ids"),
        ('{"query": "x", "relevant": null}', "2: 'relevant' is no list of ids; write '[]' where nothing is right"),
        ('{"query": "x", "relevant": ["a", "b", "a"]}', "2: the item 'a' is named twice"),
        ('{"query": "x", "relevant": [["a"]]}', "2: an id is no text"),
        ('{"query": "x", "relevant": [null]}', "2: an id is missing"),
        ('{"query": "x", "relevant": [""]}', "2: an id is empty"),
        ('{"query": "x", "grades": ["a"]}', "2: 'grades' is no mapping of ids to numbers"),
        ('{"query": "x", "grades": {"a": -1}}', "2: the grade of 'a' is -1; a grade is a number, and 0 for what is"),
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
        ("x.yaml", "- just a query\n", "x.yaml: item 1 is 'just a query'; an item is a mapping"),
        ("none.yaml", None, "none.yaml: no such file"),
    ],
)
def test_files_refused(write, monkeypatch, tmp_path, name, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        write(name, content)
    assert refused(name).startswith(message)


TREC = [("the moon", {"a": 1.0, "b": 0.0}), ("sea & land", {"b": 3.0})]
QUERIES = {
    "rows": "1\tthe moon\n\n02\tsea & land\n",
    "rows with names": "query-id\ttext\n1\tthe moon\n02\tsea & land\n",
    "objects": '{"id": 1, "text": "the moon"}\n{"id": "02", "text": "sea & land", "more": []}\n',
    "other objects": '{"_id": "1", "query": "the moon"}\n{"query-id": "02", "text": "sea & land"}\n',
    "topics": "<top>\n<num> Number: 1\n<title> Topic: the\nmoon\n\n<desc> Description:\nWhat is it?\n</top>\n\n"
    "<top>\n<num> Number: 02\n<title> sea & land\n<narr> Narrative:\nNot <b>this</b>.\n</top>\n",
    "closed topics": "<topics>\n<TOP><num>1</num><title>the moon</title><desc>no</desc></TOP>\n"
    "<top>\n <num>02</num>\n <title>sea &amp; land</title>\n</top></topics>",
}
QRELS = {
    "classic": "1 0 a 1\n1 0 b 0\n02 0 b 3\n",
    "classic with tabs": "1\tQ0\ta\t1\n1\tQ0\tb\t-2\n02\tQ0\tb\t3\n",
    "three columns": "query-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\t0\n02\tb\t3.0\n",
    "without a header": "1\ta\t1\n1\tb\t0\n\n02\tb\t3\n",
}


@pytest.mark.parametrize("queries", QUERIES)
@pytest.mark.parametrize("qrels", QRELS)
def test_trec(write, queries, qrels, caplog):
    found = judgments.read_judgments(str(write("queries", QUERIES[queries])), str(write("qrels", QRELS[qrels])))
    assert [(one.query, one.grades) for one in found] == TREC
    assert caplog.text == ""


def test_queries_that_nobody_judged(write, caplog):
    queries = write("q.tsv", "3\tc\n1\ta\n2\tb\n")
    (one,) = judgments.read_judgments(str(queries), str(write("r", "1 0 x 1\n")))
    assert (one.query, one.place) == ("a", f"{queries}:2")
    assert [record.message for record in caplog.records] == [
        f"{queries}: 2 of 3 queries have no judgments, and are left out"
    ]


@pytest.mark.parametrize(
    ("queries", "qrels", "message"),
    [
        ("", "1 0 a 1\n", "q: no queries"),
        ("1\tx\n", "", "r: no judgments"),
        ("1 x\n", "1 0 a 1\n", "q:1: no tab between the query's id and its text"),
        ("1\t \n", "1 0 a 1\n", "q:1: the query is empty"),
        (" \tx\n", "1 0 a 1\n", "q:1: the query's id is empty"),
        ("1\tx\n2\ty\n1\tz\n", "1 0 a 1\n", "q:3: the query '1' was already on line 1"),
        ('{"id": "1"}\n', "1 0 a 1\n", "q:1: the query is missing"),
        ('{"text": "x"}\n', "1 0 a 1\n", "q:1: the query's id is missing"),
        ('{"id": "1", "text": "x"}\n[1]\n', "1 0 a 1\n", "q:2: not a JSON object"),
        ('{"id": "1", "text": "x"}\n{"id": }\n', "1 0 a 1\n", "q:2: not JSON"),
        ("<topics></topics>", "1 0 a 1\n", "q: no queries"),
        ("<top>\n<num>1\n<title>x\n", "1 0 a 1\n", "q:1: a topic has no end; close it with </top>"),
        ("<top>\n<num>1\n<top>\n<title>x\n</top>", "1 0 a 1\n", "q:1: a topic has no end"),
        ("\n<top><num>1</num></top>", "1 0 a 1\n", "q:2: the query is empty"),
        ("<top><title>x</title></top>", "1 0 a 1\n", "q:1: the topic's <num> is empty"),
        ("<top><title>" + "x\n" * 70_000 + "</title></top>", "1 0 a 1\n", "q:1: a topic of over 131,072 characters"),
        ("1\tx\n", "1 0 a 1\n2 0 a 1\n", "r:2: there is no query '2'; the queries are those of q"),
        ("1\tx\n", "1 0 a 1\n1 0 b 1\n1 0 a 0\n", "r:3: 'a' is judged twice for the query '1'"),
        ("1\tx\n", "1 0 a 1\n1 a\n", "r:2: 2 columns; write 'query item grade'"),
        ("1\tx\n", "1 0 a 1 1\n", "r:1: 5 columns"),
        ("1\tx\n", "1 0 a yes\n", "r:1: the grade 'yes' is no number"),
        ("1\tx\n", "query-id doc-id grade\nquery-id doc-id grade\n", "r:2: the grade 'grade' is no number"),
        ("1\tx\n", "1 0 a nan\n", "r:1: the grade 'nan' is no number"),
        ("1\tx\n", "1 0 a " + "9" * 400 + "\n", "r:1: the grade '9999"),
        ("1\tcaf\xe9\n".encode("latin-1"), "1 0 a 1\n", "q:1: not UTF-8"),
    ],
)
def test_trec_refused(write, monkeypatch, tmp_path, queries, qrels, message):
    monkeypatch.chdir(tmp_path)
    write("q", queries)
    write("r", qrels)
    assert refused("q", "r").startswith(message)


def test_the_judgments_of_the_library():
    file = home.built_in_file("library")
    judged = judgments.read_judgments(str(file.with_name("library.judgments.yaml")))
    ids = {item.id for item in items.read_items([str(file)]).items}
    assert {ident for one in judged for ident in one.grades} == ids  # each is there, and each is asked for
    assert len([one for one in judged if one.relevant]) >= 70
    assert len([one for one in judged if not one.relevant]) >= 12
    assert all(set(one.grades.values()) <= {1, 2} for one in judged)
