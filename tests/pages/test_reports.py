"""The pages of an evaluation and of a training."""

from __future__ import annotations

import json

import pytest

from attnsearch.evaluation.report import NoneOfThese
from attnsearch.evaluation.significance import compare_evaluations
from attnsearch.output.evaluation import SecondSetting
from attnsearch.pages.evaluation import evaluation_page
from tests.output.test_evaluation import report
from tests.pages.hostile import HOSTILE
from tests.pages.reading import numbers, numbers_of_json, read_page, text_of, texts

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize("options", [[], ["--compare", "--temperature 0.5"]], ids=["one", "two"])
def test_an_evaluation_has_the_numbers_of_json(run, judged, options):
    argv = ["eval", "judged.yaml", "-c", "shop", *options]
    tree = read_page(run(*argv, "-f", "html").out.encode())
    answer = json.loads(run(*argv, "--json").out)
    assert numbers(tree) == {*numbers_of_json(answer)}
    assert texts(tree, "h1") == ["How well shop answers"]
    assert "has no answer" in text_of(tree)


def test_every_measure_has_its_change():
    first = report(none_of_these=NoneOfThese(0.75, 0.25, 0.5, 0.1, 0.2, []))
    other = report(none_of_these=NoneOfThese(0.5, 0.25, 0.625, 0.1, 0.2, []), calibration_error=None)
    second = SecondSetting("", other, compare_evaluations(first, other))
    page = evaluation_page(first, ["attnsearch", "eval"], second=second)
    rows = [texts(row, "td") for row in read_page(page.encode()).find(".//tbody").iter("tr")]
    assert rows[5:] == [
        ["0.250", "", ""],
        ["0.750", "0.500", "-0.250"],
        ["0.250", "0.250", "+0.000"],
        ["0.500", "0.625", "+0.125"],
        ["0.200", "0.200", "+0.000"],
        ["0.100", "0.100", "+0.000"],
    ]


def test_the_worst_requests(run, judged):
    tree = read_page(run("eval", "judged.yaml", "-c", "shop", "--worst", "1", "-f", "html").out.encode())
    tables = [table for table in tree.iter("table") if text_of(table.find("caption")).startswith("The requests")]
    assert [texts(table, "th")[11:] for table in tables] == [["sea"]]
    tree = read_page(run("eval", "judged.yaml", "-c", "shop", "--worst", "0", "-f", "html").out.encode())
    assert "The worst" not in texts(tree, "h2")


@pytest.mark.parametrize("options", [[], ["--force"]], ids=["refused", "forced"])
def test_a_training_has_the_numbers_of_json(run, world, write, options):
    _, judged = world
    lines = [json.dumps({"query": request.query, "relevant": request.relevant}) for request in judged[:30]]
    argv = ["train", write("judged.jsonl", "\n".join(lines)), "-c", "world", "--dry-run", *options]
    tree = read_page(run(*argv, "-f", "html").out.encode())
    answer = json.loads(run(*argv, "--json").out)
    del answer["held_out"]["confidence"]
    beside = [answer[name]["held_out"] for name in ("memory", "words")]
    for gain in (gain for gains in (answer["held_out"], *beside) for gain in gains.values()):
        assert gain["before"] + gain.pop("change") == pytest.approx(gain.pop("after"))
    assert numbers(tree) == {*numbers_of_json(answer)}
    assert dict(zip(texts(tree, "dt"), texts(tree, "dd"), strict=True))["in use"] == "no"


def test_a_training_on_next_to_nothing(run, judged):
    tree = read_page(run("train", "judged.yaml", "-c", "shop", "-f", "html").out.encode())
    assert "nothing learned" in text_of(tree)


def test_hostile_requests_are_inert(run, shop, write):
    judged = [{"query": text, "relevant": ["a"]} for text in HOSTILE[:8]]
    path = write("judged.json", json.dumps(judged))
    ran = run("eval", path, "-c", "shop", "-f", "html", "--compare", "--temperature 0.5")
    assert ran.code == 0
    shown = text_of(read_page(ran.out.encode()))
    assert all(" ".join(text.split()) in shown for text in HOSTILE[:8])
