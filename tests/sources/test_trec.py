"""TREC's queries and qrels, as `read_judgments` gives them."""

from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.sources import judgments, trec

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
def test_every_format_gives_the_same_requests(write, queries, qrels, caplog):
    requests = judgments.read_judgments(str(write("queries", QUERIES[queries])), str(write("qrels", QRELS[qrels])))
    assert [(request.query, request.grades) for request in requests] == TREC
    assert caplog.text == ""


def test_queries_without_judgments(write, caplog):
    queries = write("q.tsv", "3\tc\n1\ta\n2\tb\n")
    (request,) = judgments.read_judgments(str(queries), str(write("r", "1 0 x 1\n")))
    assert (request.query, request.place) == ("a", f"{queries}:2")
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
        ("<top><num>1<title>&#" + "1" * 5000 + ";</top>", "1 0 a 1\n", "q:1: a character reference of too many digits"),
        ("1\tx\n", "1 0 a 1\n2 0 a 1\n", "r:2: there is no query '2'; the queries are those of q"),
        ("1\tx\n", "1 0 a 1\n1 0 b 1\n1 0 a 0\n", "r:3: 'a' is judged twice for the query '1'"),
        ("1\tx\n", "1 0 a 1\n1 a\n", "r:2: 2 columns; write 'query item grade'"),
        ("1\tx\n", "1 0 a 1 1\n", "r:1: 5 columns"),
        ("1\tx\n", "1 0 a yes\n", "r:1: the grade 'yes' is not a number"),
        ("1\tx\n", "query-id doc-id grade\nquery-id doc-id grade\n", "r:2: the grade 'grade' is not a number"),
        ("1\tx\n", "1 0 a nan\n", "r:1: the grade 'nan' is not a number"),
        ("1\tx\n", "1 0 a " + "9" * 400 + "\n", "r:1: the grade '9999"),
        ("1\tcaf\xe9\n".encode("latin-1"), "1 0 a 1\n", "q:1: not UTF-8"),
    ],
)
def test_refused(write, monkeypatch, tmp_path, queries, qrels, message):
    monkeypatch.chdir(tmp_path)
    write("q", queries)
    write("r", qrels)
    with pytest.raises(InputError) as caught:
        judgments.read_judgments("q", "r")
    assert str(caught.value).startswith(message)


def test_a_label_begins_its_text(write):
    """Only there: elsewhere it is a word of the title."""
    path = write("topics", "<top>\n<num>  number :\n 7\n<title>\n Topic:  The topic: sand\n</top>\n")
    assert [(query.id, query.text) for query in trec.read_queries(str(path)).values()] == [("7", "The topic: sand")]
