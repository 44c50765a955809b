"""`attnsearch calibrate`, and what `info` says of it."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from attnsearch.calibration.fit_file import write_fit
from attnsearch.indexing.update import update
from attnsearch.storage.home import BUILT_IN
from tests.calibration.test_calibrate import OWN
from tests.conftest import SHOP


def test_it_says_what_it_did(run, fitting, home):
    ran = run("calibrate", "--model", "words")
    assert (ran.code, ran.err) == (0, "")
    assert all(name in ran.out for name in BUILT_IN)
    assert "(fitted on the built-in catalogs)" in ran.out
    assert "before temperature 0.05 (the usual one); none of these unknown" in " ".join(ran.out.split())
    assert [file.name for file in (home / ".fits").iterdir()] == [f"{'7' * 64}.json"]
    assert "the same" in run("calibrate").out


def test_json(run, fitting):
    before, after = (json.loads(run("calibrate", "--json").out) for _ in range(2))
    assert before["before"]["none_of_these"] is None
    assert before["none_of_these_from"] == "fitted"
    assert after["before"] == {name: before[name] for name in after["before"]}
    held_out = after["fit"]["held_out"]
    assert 0.5 < held_out["balanced_accuracy"]["low"] < held_out["balanced_accuracy"]["mean"] < 1
    assert list(held_out["catalogs"]) == ["library", "kitchen", "toolbox"]


def test_forgetting(run, fitting, home):
    run("calibrate")
    assert run("calibrate", "--forget").out == (
        "words: forgot what was fitted; it is fitted when it next indexes something\n"
    )
    assert not list((home / ".fits").iterdir())
    assert run("calibrate", "--forget").out.startswith("words: nothing was fitted")
    assert run("calibrate", "--forget", "-q").out == ""


def test_info(run, fitting, write):
    update([str(write("shop.yaml", SHOP))])
    shown, info = run("info", "shop").out, json.loads(run("info", "shop", "--json").out)
    assert "(fitted on the built-in catalogs)" in shown
    assert info["none_of_these"]["temperature"] == info["temperature"]
    assert info["none_of_these_from"] == "fitted"
    assert info["fit"]["held_out"]["requests"] > 180
    run("calibrate", "--forget")
    shown, info = run("info", "shop").out, json.loads(run("info", "shop", "--json").out)
    assert "unknown until: attnsearch calibrate --model words" in shown
    assert (info["none_of_these"], info["none_of_these_from"], info["fit"]) == (None, None, None)


def test_info_of_an_encoder_that_is_no_better_than_chance(run, small, write):
    update([str(write("shop.yaml", SHOP))])
    run("calibrate")
    shown = run("info", "shop").out
    words = r"unknown: on held-out requests, (\S+)% right \(\S+% to (\S+)%\), no better than chance"
    mean, high = map(float, re.search(words, " ".join(shown.split())).groups())
    assert mean < 50 < high
    assert "0.05 (the usual one)" in shown


def test_a_model_that_is_not_there(run):
    ran = run("calibrate", "--model", "./nowhere")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "attnsearch: ./nowhere: no such folder; name a model, or the folder that holds one\n"


def test_info_says_what_it_does_not_use(run, fitting, write, home):
    update([str(write("shop.yaml", SHOP))])
    (file,) = (home / ".fits").iterdir()
    file.write_text('{"fit": {"form": 1, "\\u001b[31m": 1}, "sum": "\\u001b]0;x\\u0007"}')
    ran = run("info", "shop")
    assert (ran.code, ran.err.count("\n"), "\x1b" in ran.err) == (0, 1, False)
    assert ran.err.startswith(f"attnsearch: {file}: it is not what was written")
    assert "unknown until" in ran.out


def test_prompts_and_dims_have_a_fit_of_their_own(run, fitting, write, home):
    plain = json.loads(run("calibrate", "--json").out)
    assert plain["use"] is None
    other = json.loads(run("calibrate", "--query-prompt", "find: ", "--json").out)
    assert other["use"] == {"query_prompt": "find: ", "key_prompt": "", "dims": 0}
    assert other["before"]["fit"] is None
    assert len(list((home / ".fits").iterdir())) == 2
    assert "'find: ' before requests" in run("calibrate", "--query-prompt", "find: ").out
    forgotten = run("calibrate", "--query-prompt", "find: ", "--forget").out
    assert forgotten.startswith("words with 'find: ' before requests: forgot what was fitted")
    assert len(list((home / ".fits").iterdir())) == 1


def test_the_command_that_info_names_is_that_of_its_prompts(run, fitting, write, home):
    run("index", str(write("shop.yaml", SHOP)), "--query-prompt", "find: ")
    run("calibrate", "--query-prompt", "find: ", "--forget")
    command = "attnsearch calibrate --model words --query-prompt 'find: ' --key-prompt ''"
    assert f"unknown until: {command}" in " ".join(run("info", "shop").out.split())
    assert run(*shlex.split(command)[1:]).code == 0
    assert "(fitted on the built-in catalogs)" in run("info", "shop").out


def test_the_temperatures_of_heads_are_those_of_a_query(run, two, write, home):
    """τ is the first head's; each head has τ divided by its weight."""
    run("index", str(write("shop.yaml", SHOP)), "--head", "vowels=0.25")
    write_fit(home / ".fits" / f"{'5' * 64}.json", OWN)
    heads = json.loads(run("info", "shop", "--json").out)["heads"]
    assert [head["temperature"] for head in heads] == pytest.approx([OWN.temperature / 0.75, OWN.temperature / 0.25])
    assert json.loads(run("query", "moon", "-c", "shop", "--json").out)["temperature"] == OWN.temperature
