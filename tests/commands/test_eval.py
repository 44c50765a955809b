"""`attnsearch eval`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from attnsearch.evaluation import report
from attnsearch.search import scoring
from attnsearch.sources import judgments

JUDGED = """\
- query: moon
  relevant: [a]
- query: robot
  grades: {c: 2, b: 1}
- query: sea
  relevant: [c]
- query: elsewhere
  relevant: []
"""


@pytest.fixture
def judged(write, shop, monkeypatch, tmp_path):
    """The shop's items are moon, sea and robot: two requests are answered, one is not, as it was judged."""
    monkeypatch.chdir(tmp_path)
    return write("judged.yaml", JUDGED)


def test_a_table(run, judged):
    code, out, err = run("eval", "judged.yaml", "-c", "shop")
    assert (code, err) == (0, "")
    means, doubt, worst, footer = out.split("\n\n")
    robot = 2 / (2 + 1 / math.log2(3)) + (1 / 2) / (2 + 1 / math.log2(3))  # sea comes third: a tie, and a is before it
    ndcg = (1 + robot + 1 / 2) / 3
    assert means.splitlines()[0].split() == ["measure", "95%", "interval", "mean"]
    assert doubt == "3 requests are few: trust the intervals, not the means"
    answer = {line[:30].strip(): line[-5:] for line in means.splitlines()[1:]}
    assert answer["nDCG@10"] == f"{ndcg:.3f}"
    assert answer["MRR"] == f"{(1 + 1 + 1 / 3) / 3:.3f}"
    assert answer["recall@10"] == "1.000"
    assert answer["precision at 1"] == "0.667"
    assert list(answer)[4:] == [
        "KL to the right items, nats", "calibration error, top weight", "calibration error, all weights",
        "weight on the right items", "right items in the top 50%", "right items in the top 90%",
    ]  # fmt: skip
    assert [line.split() for line in worst.splitlines()] == [
        ["nDCG@10", "first", "right", "request", "on", "rank", "1"],
        ["0.500", "rank", "3", "sea", "sea"],
        [f"{robot:.3f}", "rank", "1", "robot", "robot"],
    ]
    assert footer == "3 requests with an answer, 1 without · shop, 3 items · temperature 0.05 · gain linear · small\n"


def test_options(run, judged):
    assert "sea" not in run("eval", "judged.yaml", "-c", "shop", "--worst", "0").out
    assert len(run("eval", "judged.yaml", "-c", "shop", "--worst", "1").out.split("\n\n")[2].splitlines()) == 2
    assert "requests with" not in run("eval", "judged.yaml", "-c", "shop", "-q").out
    assert "temperature 0.5 ·" in run("eval", "judged.yaml", "-c", "shop", "--temperature", "0.5").out
    assert "temperature 2 ·" in run("eval", "judged.yaml", "-c", "shop", "--textbook").out
    lines = run("eval", "judged.yaml", "-c", "shop", "-k", "1").out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("recall@1 ")] == [f"{(1 + 1 / 2 + 0) / 3:.3f}"]


def test_json(run, judged):
    code, out, err = run("eval", "judged.yaml", "-c", "shop", "--json", "-k", "2", "--worst", "1")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert list(answer) == ["schema", "judgments", "catalog", "model", "items", "k", "gain", "queries", "unanswerable",
                          "unknown_ids", "worst", "temperature", "taught", "metrics", "intervals",
                            "reliability", "mass", "none_of_these", "per_query"]  # fmt: skip
    assert (answer["schema"], answer["judgments"], answer["k"]) == (1, ["judged.yaml"], 2)
    assert (answer["queries"], answer["unanswerable"], answer["unknown_ids"], answer["worst"]) == (4, 1, 0, ["sea"])
    assert list(answer["metrics"]) == [*report.METRICS, "calibration_error"]
    assert [row["query"] for row in answer["per_query"]] == ["moon", "robot", "sea", "elsewhere"]
    assert answer["per_query"][2] == {
        "query": "sea", "place": "judged.yaml:5", "relevant": 1, "ndcg": 0.5, "mrr": 1 / 3, "recall": 0.0,
        "precision_at_1": 0.0, "kl": pytest.approx(20, abs=1e-4),
        "mass": pytest.approx(math.exp(-20), rel=1e-4), "first": 3, "top": "b", "top_title": "sea",
        "top_weight": pytest.approx(1), "none_of_these": None,
    }  # fmt: skip
    assert answer["per_query"][3]["ndcg"] is None
    assert answer["metrics"]["ndcg"] == pytest.approx(sum(row["ndcg"] for row in answer["per_query"][:3]) / 3)


def test_the_gain_of_both_settings(run, judged):
    """Ranks for "robot": c, and b on the third; as 2^2 - 1 = 3 to 1."""
    exp = (3 + 1 / 2) / (3 + 1 / math.log2(3))
    argv = ["eval", "judged.yaml", "-c", "shop", "--gain", "exp"]
    answer = json.loads(run(*argv, "--compare", "--temperature 1", "--json").out)
    assert answer["gain"] == "exp"
    for setting in (answer, answer["compare"]):
        assert setting["per_query"][1]["ndcg"] == pytest.approx(exp)
    assert "· gain exp ·" in run(*argv).out
    assert run(*argv[:-1], "cubic").code == 2


def test_compare(run, judged):
    argv = ["eval", "judged.yaml", "-c", "shop", "--compare", "--temperature 1", "--worst", "0"]
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["measure", "as", "asked", "--temperature", "1", "difference"]
    sharp, flat = (20 + math.log(1 + 2 * math.exp(-20)), 1 + math.log(1 + 2 / math.e))
    line = next(line for line in out.splitlines() if line.startswith("KL")).split()[-3:]
    answer = json.loads(run(*argv, "--json").out)
    one, other = answer["metrics"]["kl"], answer["compare"]["metrics"]["kl"]
    assert line == [f"{one:.3f}", f"{other:.3f}", f"{other - one:+.3f}"]
    assert answer["per_query"][2]["kl"] == pytest.approx(sharp, abs=1e-4)
    assert answer["compare"]["per_query"][2]["kl"] == pytest.approx(flat, abs=1e-4)
    assert answer["compare"]["differences"]["kl"] == pytest.approx(other - one)
    assert (answer["temperature"], answer["compare"]["temperature"], answer["compare"]["options"]) == (
        0.05,
        1,
        "--temperature 1",
    )
    assert answer["compare"]["test"] == {
        "metric": "ndcg", "confidence": 0.95, "queries": 3, "low": 0, "high": 0, "p_value": 1,
    }  # fmt: skip
    assert "+0.000 to +0.000 with 95% confidence, p = 1.000 (paired t-test, 3 requests)" in out


def test_compare_with_the_textbook(run, judged):
    answer = json.loads(run("eval", "judged.yaml", "-c", "shop", "--compare=--textbook", "--json").out)
    assert answer["compare"]["temperature"] == 2
    answer = json.loads(run("eval", "judged.yaml", "-c", "shop", "--textbook", "--compare", "", "--json").out)
    assert (answer["temperature"], answer["compare"]["temperature"]) == (2, 0.05)


def test_one_request_is_too_few_to_test(run, judged, write):
    write("one.yaml", "- {query: moon, relevant: [a]}\n")
    out = run("eval", "one.yaml", "-c", "shop", "--compare", "--textbook").out
    assert "no test: it needs at least two requests with an answer" in out
    assert "on rank 1" not in out  # none is wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--tmperature 1", "no such option: --tmperature"),
        ("--temperature", "option '--temperature' requires an argument"),
        ("--temperature x", "invalid value for '--temperature': 'x' is not a number"),
        ("--temperature '1", "no closing quotation"),
        ("hot", "unexpected argument: hot"),
        ("--help", "no such option: --help"),
        ("-c other", "no such option: -c"),
        ("--temperature 0", "invalid temperature 0; give a number of at least 0.000001"),
        ("--textbook --temperature 1", "--textbook and --temperature exclude each other"),
    ],
)
def test_options_that_are_none(run, judged, options, message):
    code, out, err = run("eval", "judged.yaml", "-c", "shop", "--compare", options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_trec(run, judged, write):
    write("q.tsv", "1\tmoon\n2\tsea\n3\tx\n")
    write("r.tsv", "query-id\tdoc-id\tgrade\n1\ta\t1\n2\tc\t1\n2\tgone\t1\n")
    code, out, err = run("eval", "q.tsv", "r.tsv", "-c", "shop", "--json")
    assert code == 0
    assert err == (
        "attnsearch: q.tsv: 1 of 3 queries have no judgments, and are left out\n"
        "attnsearch: shop: 1 of 3 judged ids are not in the catalog, such as 'gone'; they count as never found\n"
    )
    answer = json.loads(out)
    assert (answer["judgments"], answer["unknown_ids"], answer["queries"]) == (["q.tsv", "r.tsv"], 1, 2)


def test_from_a_pipe(run, judged):
    assert run("eval", "-", "-c", "shop", stdin=JUDGED.encode()).out == run("eval", "judged.yaml", "-c", "shop").out


def test_chances_that_nothing_fits(run, judged, monkeypatch):
    chances = [0.75 if request.query == "elsewhere" else 0.25 for request in judgments.read_judgments(str(judged))]

    def score_all(*given):
        scores, z = scoring.score_all(*given)
        return scores._replace(none_of_these=np.array(chances)), z

    monkeypatch.setattr(report, "score_all", score_all)
    out = run("eval", "judged.yaml", "-c", "shop").out
    shown = {line[:30].strip(): line[30:].strip() for line in out.split("\n\n")[0].splitlines()}
    assert [shown[name] for name in ("none of these when true", "none of these when false")] == ["0.750", "0.250"]
    assert [shown[f"its {name}"] for name in ("balanced accuracy", "calibration error", "Brier score")] == [
        "1.000", "0.250", "0.062",
    ]  # fmt: skip
    answer = json.loads(run("eval", "judged.yaml", "-c", "shop", "--json").out)
    reliability = answer["none_of_these"].pop("reliability")
    assert answer["none_of_these"] == {
        "where_true": 0.75, "where_false": 0.25, "balanced_accuracy": 1, "brier": 0.0625, "calibration_error": 0.25,
    }  # fmt: skip
    assert [(part["cases"], part["confidence"], part["accuracy"]) for part in reliability] == [
        (3, 0.25, 0), (1, 0.75, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["none.yaml"], 2, "none.yaml: no such file"),
        (
            ["shop.yaml"],
            2,
            "shop.yaml:1: the query is missing; queries without judgments need a file of qrels",
        ),
        (["judged.yaml", "none"], 2, "judged.yaml:1: no tab between"),
        (["judged.yaml", "-c", "none"], 3, "there is no catalog 'none'"),
        (
            ["other.yaml", "-c", "shop"],
            2,
            "shop: none of the 1 judged ids is in the catalog; name the catalog that was",
        ),
        (["judged.yaml", "-k", "0"], 2, "invalid value for '-k'"),
        ([], 2, "missing argument 'JUDGMENTS'"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_errors_are_one_line(run, judged, write, argv, code, message, form):
    write("other.yaml", "- {query: moon, relevant: [x]}\n")
    ran = run("eval", *argv, *(["--json"] if form == "json" else []))
    assert (ran.code, ran.out) == (code, "")
    if form == "json":
        assert json.loads(ran.err)["error"]["message"].startswith(message.split(";")[0])
    else:
        assert ran.err.startswith(f"attnsearch: {message}")
        assert ran.err.count("\n") == 1


def test_nothing_acts_on_a_terminal(run, judged, write):
    nasty = "moon \x1b[31m\u202e[bold]x"
    write("x.jsonl", json.dumps({"query": nasty, "relevant": ["b"]}) + "\n")
    out = run("eval", "x.jsonl", "-c", "shop").out
    assert "moon \\x1b[31m\\u202e[bold]x" in out
    answer = run("eval", "x.jsonl", "-c", "shop", "--json").out
    assert "\x1b" not in out + answer
    assert "\u202e" not in out + answer
    assert json.loads(answer)["per_query"][0]["query"] == nasty
