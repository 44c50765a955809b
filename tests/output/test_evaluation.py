from __future__ import annotations

import json
import math

import pytest
from rich.cells import cell_len

from attnsearch.evaluation.mass import Mass, Top
from attnsearch.evaluation.metrics import Bin
from attnsearch.evaluation.report import METRICS, Evaluation, NoneOfThese, Row
from attnsearch.evaluation.significance import Comparison
from attnsearch.output.evaluation import SecondSetting, as_json, table
from attnsearch.output.safe_text import Screen


def report(*rows: Row, **fields) -> Evaluation:
    usual = {
        "catalog": "shop", "model": "small", "temperature": 0.05, "items": 3, "k": 10, "unknown_ids": 0,
        "means": dict.fromkeys(METRICS, 0.5), "calibration_error": 0.25, "none_of_these": None, "unanswerable": 0,
        "rows": list(rows),
    }  # fmt: skip
    return Evaluation(**{**usual, **fields})


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_in_a_window(columns):
    """Texts are cut, numbers are not."""
    long = Row("moon " * 30, "x.jsonl:1", 1, ndcg=1 / math.log2(3), mrr=0.5, first=2, top="a", top_title="moon")
    out = table(report(long), Screen(width=columns, quiet=True))
    row = out.splitlines()[-1]
    assert row.split()[:5] == [f"{1 / math.log2(3):.3f}", "rank", "2", "moon", "moon"]
    assert all(len(line) <= columns for line in out.splitlines())
    assert ("…" in row) == (columns < 200)
    assert row.endswith("  moon")


# Two cells a character; a wide base and its mark; marks that fill no cell; one picture of five characters; in turns.
WIDE = {
    "kanji": "月面基地で起きた事件を調べる刑事の物語" * 3,
    "decomposed kana": "か\u3099" * 60,
    "accents": "e\u0301\u0323" * 90,
    "joined": "👩\u200d👩\u200d👧" * 60,
    "mixed": "a月b面c基d地" * 12,
}


def column_of(line: str, word: str) -> int:
    """The cell of a line in which a word begins."""
    return cell_len(line[: line.index(word)])


@pytest.mark.parametrize("script", WIDE)
@pytest.mark.parametrize("columns", [*range(44, 61), 80, 120])
def test_wide_characters_in_a_window(columns, script):
    """The worst requests: each line fits, its numbers are whole, and its texts begin below their names."""
    rows = [
        Row(WIDE[script], "x:1", 1, ndcg=0.125, mrr=0.1, first=12345, top="a", top_title=f"@{WIDE[script]}"),
        Row("moon", "x:2", 1, ndcg=0.25, mrr=0.5, first=2, top="b", top_title=f"@{WIDE[script][:4]}"),
        Row(WIDE[script], "x:3", 1, ndcg=0.5, mrr=0.5, first=None, top="c", top_title="@sea"),
    ]
    _, _, worst = table(report(*rows), Screen(width=columns, quiet=True)).split("\n\n")
    header, *lines = worst.splitlines()
    assert all(cell_len(line) <= columns for line in (header, *lines))
    assert [line[:5] for line in lines] == ["0.125", "0.250", "0.500"]
    assert [line[9:].split("  ")[0] for line in lines] == ["rank 12,345", "rank 2", "nowhere"]
    assert {column_of(line, "@") for line in lines} == {column_of(header, "on r")}
    assert column_of(lines[1], "moon") == column_of(header, "request")
    assert "…" in lines[0]
    assert "…" in lines[2]


@pytest.mark.parametrize("columns", [60, 61, 80])
def test_wide_options_in_a_window(columns):
    """Another setting: its options are cut, the measures and their values are not."""
    first, other = report(), report(means=dict.fromkeys(METRICS, 12.125))
    comparison = Comparison({}, 30, 0.1, 0.2, 0.04)
    out = table(
        first, Screen(width=columns, quiet=True), second=SecondSetting("--where '" + WIDE["kanji"], other, comparison)
    )
    header, *lines = out.split("\n\n")[0].splitlines()
    assert all(cell_len(line) <= columns for line in (header, *lines))
    assert "…" in header
    assert [line.split()[-3:] for line in lines[:5]] == [["0.500", "12.125", "+11.625"]] * 5
    assert [line.split("  ")[0] for line in lines[:2]] == ["nDCG@10", "MRR"]
    assert {column_of(line, "+11") for line in lines[:5]} == {column_of(header, "difference")}


def test_options_are_not_markup():
    """Where rich would read `[/]` as markup, and fail."""
    second = SecondSetting("--where 'a = [/]'", report(), Comparison({}, 30, 0.1, 0.2, 0.04))
    assert "--where 'a = [/]'" in table(report(), second=second)


def test_counts_of_one():
    row = Row("moon", "x:1", 1, ndcg=1.0, mrr=1.0, first=1, top="a")
    out = table(report(row, items=1, trained_on=1))
    assert "1 of these 1 request was learned from or is remembered, which flatters the figures:" in out
    assert out.endswith("\n1 request with an answer, 0 without · shop, 1 item · temperature 0.05 · small\n")


def perfect(count: int, **fields) -> Evaluation:
    return report(*[Row(str(n), "", 1, **dict.fromkeys(METRICS, n % 2)) for n in range(count)], **fields)


def test_means_of_few_requests_come_after_their_intervals():
    lines = table(perfect(49), Screen(quiet=True)).splitlines()
    assert lines[0].split() == ["measure", "95%", "interval", "mean"]
    assert lines[1].split() == ["nDCG@10", "0.345", "to", "0.635", "0.500"]
    assert "49 requests are few: trust the intervals, not the means" in lines
    many = table(perfect(50), Screen(quiet=True))
    assert many.splitlines()[0].split() == ["measure", "value", "interval"]
    assert many.splitlines()[1].split() == ["nDCG@10", "0.500", "0.356", "to", "0.644"]
    assert "few" not in many
    assert "few" not in table(report())


def test_the_mass_and_none_of_these():
    tops = [Top(share / 10, share / 20, 3.5, 0.25) for share in range(1, 10)]
    null = NoneOfThese(0.75, 0.25, 0.5, 0.0625, 0.125, [Bin(0.7, 0.8, 4, 0.75, 0.5)])
    evaluation = perfect(60, mass=Mass(0.4, 0.22, tops), none_of_these=null)
    values = {line[:29].strip(): line[30:].split()[0] for line in table(evaluation).split("\n\n")[0].splitlines()[1:]}
    assert list(values)[5:] == [
        "calibration error, top weight", "calibration error, all weight", "weight on the right items",
        "right items in the top 50%", "right items in the top 90%", "none of these when true",
        "none of these when false", "its balanced accuracy", "its calibration error", "its Brier score",
    ]  # fmt: skip
    assert list(values.values())[6:10] == ["0.220", "0.400", "0.250", "0.450"]
    assert list(values.values())[-2:] == ["0.125", "0.062"]
    fields = json.loads(as_json(evaluation, ["x.yaml"]))
    assert fields["mass"]["weight"] == 0.4
    assert fields["mass"]["tops"][8] == {"share": 0.9, "covered": 0.45, "items": 3.5, "right": 0.25}
    assert fields["none_of_these"]["brier"] == 0.0625
    assert fields["none_of_these"]["reliability"] == [
        {"low": 0.7, "high": 0.8, "cases": 4, "confidence": 0.75, "accuracy": 0.5}
    ]
    assert fields["intervals"]["ndcg"]["low"] == pytest.approx(0.37, abs=0.01)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({}, ""), ({"is_graded": True}, "gain linear · "), ({"gain": "exp"}, "gain exp · ")],
)
def test_the_gain(fields, words):
    assert table(report(**fields)).endswith(f"temperature 0.05 · {words}small\n")
    assert json.loads(as_json(report(**fields), []))["gain"] == fields.get("gain", "linear")
