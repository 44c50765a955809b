"""A catalog that has learned something: where it counts, and where it does not. W_Q by hand."""

from __future__ import annotations

import json
import math
import os
import shutil

import numpy as np
import pytest

from attnsearch.attention import null_key
from attnsearch.attention.memory import Recall
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import textbook
from attnsearch.attention.softmax import State
from attnsearch.errors import InputError
from attnsearch.evaluation.report import evaluate
from attnsearch.explanation import reasons
from attnsearch.explanation.following import follow_requests
from attnsearch.explanation.several import explain_together
from attnsearch.explanation.steps import explain_steps
from attnsearch.indexing.check import find_problems
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from attnsearch.sources.judgments import Judged
from attnsearch.storage import files, learned
from attnsearch.storage.learned import Learned
from tests.asking import query
from tests.conftest import SmallEncoder, logits_of, scores_of

SWAPS = np.eye(4, dtype=np.float32)[[1, 0, 2, 3]]  # moon asks for the sea, and the sea for the moon
LN3 = 1 / math.log(3)  # the temperature at which a cosine of 1 weighs three times one of 0
STORY = {"from": "2 judged requests", "gain": {"ndcg": 0.0625, "certain": True}, "when": "2026-01-02"}
ASKED = frozenset(learned.short_hash(query) for query in ("moon", "sea"))
SWAPPED = Learned("small", "5" * 64, SWAPS, LN3, 0.7, None, ASKED, STORY)


@pytest.fixture
def trained(shop, home):
    """The folder of the shop (moon, sea, robot), which has learned to swap two axes."""
    learned.write_learned(home / "shop" / files.LEARNED, SWAPPED)
    return home / "shop"


@pytest.fixture
def index(trained):
    with Index.open("shop") as opened:
        yield opened


def answer(run, *argv: str) -> dict:
    """The JSON answer to "moon"."""
    ran = run("query", "moon", "-c", "shop", "--json", *argv)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def ids(run, *argv: str) -> list[str]:
    return [hit["id"] for hit in answer(run, *argv)["hits"]]


def test_what_was_learned_is_in_every_query(index):
    result = query(index, "moon")
    assert [hit.id for hit in result.hits] == ["b", "a", "c"]
    assert [hit.weight for hit in result.hits] == pytest.approx([3 / 5, 1 / 5, 1 / 5], rel=1e-5)
    assert [hit.score for hit in result.hits] == pytest.approx([0, 1, 0])
    assert (result.temperature, result.trained) == (LN3, True)


def test_untrained_as_if_nothing_had_been_learned(index, trained):
    before = query(index, "moon", untrained=True)
    (trained / files.LEARNED).unlink()
    with Index.open("shop") as plain:
        after = query(plain, "moon")
    assert before._replace(elapsed_ms=0) == after._replace(elapsed_ms=0)
    assert (after.temperature, after.trained, after.hits[0].id) == (0.05, False, "a")


def test_a_temperature_changes_the_scale_alone(index):
    result = query(index, "moon", temperature=1 / math.log(6))
    assert [(hit.id, hit.weight) for hit in result.hits] == [(ident, pytest.approx(w / 8, rel=1e-5)) for ident, w in
                                                             (("b", 6), ("a", 1), ("c", 1))]  # fmt: skip
    assert result.temperature == 1 / math.log(6)


def test_the_textbook_is_what_it_is(index):
    result = search(index, ["moon"], Setting(textbook(4)))[0]
    assert [hit.weight for hit in result.hits] == pytest.approx(np.exp([0.5, 0, 0]) / (math.exp(0.5) + 2), rel=1e-5)
    assert not result.trained


def test_another_librarian(index):
    plain = Setting(learned=SWAPPED._replace(w=np.eye(4, dtype=np.float32)))
    assert [hit.id for hit in search(index, ["moon"], plain)[0].hits] == ["a", "b", "c"]
    assert search(index, ["moon"], plain)[0].temperature == LN3


@pytest.mark.parametrize(
    "foreign", [SWAPPED._replace(sha256="6" * 64), SWAPPED._replace(w=np.eye(3, dtype=np.float32))]
)
def test_another_librarian_for_another_encoder(index, foreign):
    with pytest.raises(InputError, match=r"shop: has small .* the projections were learned for small"):
        search(index, ["moon"], Setting(learned=foreign))


@pytest.mark.parametrize(
    ("catalog", "asked", "expected"),
    [(0.0, None, 0.0), (0.5, None, 0.7), (0.0, "auto", 0.7), (0.5, "auto", 0.7), (0.5, 0.0, 0.0), (0.0, 0.4, 0.4)],
)
def test_the_weight_of_terms(index, catalog, asked, expected):
    index.store.info = index.info._replace(lexical=catalog)
    assert Setting(lexical=asked).resolve(index, ["moon"]).lexical == expected
    without = {None: catalog, "auto": 0.3}.get(asked, asked)
    assert Setting(lexical=asked, untrained=True).resolve(index, ["moon"]).lexical == without
    assert Setting(textbook(4), lexical=asked).resolve(index, ["moon"]).lexical == without
    assert Setting(lexical=asked, learned=SWAPPED._replace(lexical=None)).resolve(index, ["moon"]).lexical == without


def test_a_null_key_of_its_own(index, monkeypatch):
    fitted = NullKey(0.0, 1.0)
    monkeypatch.setattr(null_key, "FITTED", {"5" * 64: fitted})
    own = SWAPPED._replace(null=NullKey(2.0, 0.5))
    state = State.from_logits(np.array([[20.0, 0.0, 0.0]]), k=0)  # the plain cosines, whatever was learned
    by_hand = {
        key: null_key.chance(key, state.maximum, state.log_normalizer(), state.visible) for key in (fitted, own.null)
    }
    assert scores_of(index, ["moon"]).none_of_these == pytest.approx(by_hand[fitted], rel=1e-5)
    assert scores_of(index, ["moon"], Setting(learned=own)).none_of_these == pytest.approx(by_hand[own.null], rel=1e-5)
    assert scores_of(index, ["moon"], Setting(untrained=True)).none_of_these == pytest.approx(by_hand[fitted], rel=1e-5)


@pytest.mark.parametrize("texts", [["moon sea"], ["moon", "sea robot", "what"] * 5], ids=["one", "many"])
@pytest.mark.parametrize("where", ["", "n >= 2", "n = 5"])
def test_the_null_key_sees_plain_cosines(write, small, home, monkeypatch, texts, where):
    """Of the best passage of each item that is not hidden, as if nobody had learned."""
    monkeypatch.setattr(null_key, "FITTED", {"5" * 64: NullKey(1.0, 0.3)})
    filler = "robot " * 110
    lines = [f"- {{id: i{n}, title: {title}, n: {n}}}" for n, title in
             enumerate(["moon", "sea", "robot moon", f"{filler}moon", f"sea {filler}", "what sea"])]  # fmt: skip
    update([str(write("six.yaml", "\n".join(lines)))])
    setting = Setting(where=(parse_filter(where),) if where else ())
    with Index.open("six") as index:
        assert index.info.keys > index.info.items
        plain = scores_of(index, texts, setting)
        scores, z = logits_of(index, texts, setting._replace(learned=SWAPPED))
        x = SmallEncoder().encode(texts) @ SWAPS
        every = index.store.embeddings(range(index.store.size))
    assert scores.none_of_these == pytest.approx(plain.none_of_these, rel=1e-5)
    shown = np.isfinite(z)
    assert shown.any()
    assert z[shown] == pytest.approx((x @ every.T / LN3)[shown], abs=1e-5)


def test_for_other_weights_it_is_not_used_and_says_so_once(trained, run, caplog, shop):
    learned.write_learned(trained / files.LEARNED, SWAPPED._replace(sha256="6" * 64))
    with Index.open("shop") as index:
        assert query(index, "moon").hits[0].id == query(index, "sea moon moon").hits[0].id == "a"
        assert Setting().resolve(index, []).projections.temperature == 0.05
    assert len(caplog.records) == 1
    assert "train again, or 'attnsearch reset shop'" in caplog.text
    ran = run("query", "moon", "sea", "-c", "shop", "--jsonl")
    assert (ran.code, ran.err.count("\n")) == (0, 1)
    assert "other weights" in ran.err
    assert run("query", "moon", "-c", "shop", "--jsonl", "--untrained").err == ""
    words = " ".join(run("info", "shop").out.split())
    assert "not in use: it is for other weights, another tokenizer, prompt or head of small" in words
    info = json.loads(run("info", "shop", "--json").out)
    assert (info["learned"]["in_use"], info["temperature"]) == (False, 0.05)


def test_a_memory_for_other_weights_is_remembered_anew(run, shop, home):
    run("feedback", "moon", "--good", "c", "-c", "shop")
    file = home / "shop" / files.LEARNED
    learned.write_learned(file, learned.read_learned(file)._replace(sha256="6" * 64))
    err = run("query", "moon", "-c", "shop", "--jsonl").err
    assert "not used; the next feedback remembers it anew, or 'attnsearch reset shop'" in err
    run("feedback", "sea", "--good", "b", "-c", "shop")
    ran = run("query", "moon", "-c", "shop", "--jsonl")
    assert (ran.err, json.loads(ran.out)["hits"][0]["id"]) == ("", "c")


def test_damaged(trained, run):
    file = trained / files.LEARNED
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    ran = run("query", "moon", "-c", "shop")
    assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
    assert "attnsearch reset shop" in ran.err
    assert ids(run, "--untrained") == ids(run, "--textbook") == ["a", "b", "c"]


def test_each_logit_is_a_sum_of_what_was_learned(index):
    (result,) = reasons.explain_hits(index, search(index, ["moon robot"], trace=True))
    assert [hit.id for hit in result.hits] == ["b", "c", "a"]
    for hit, why in zip(result.hits, result.whys, strict=True):
        assert hit.logit == why.semantic
        for text in (why.query, why.item):
            total = sum(word.share for word in text.words) + text.marks + text.rounding
            assert total == pytest.approx(why.semantic, abs=1e-9)
    assert [word.share for word in result.whys[0].query.words] == pytest.approx([math.log(3) / math.sqrt(2), 0])
    (pair,) = reasons.explain_hits(index, [rank_items(index, "moon robot", Setting(), ["b", "a"])])
    lead = reasons.compare_hits(pair)
    assert lead.difference == pytest.approx(math.log(3) / math.sqrt(2), abs=1e-5)
    assert sum(part.difference for part in lead.parts) == pytest.approx(lead.difference, abs=1e-9)
    steps = {step.name: step.says for step in explain_steps(result)}
    assert "the learned W_Q (4, 4) makes it the query" in steps["query"]
    assert "W_K = I" in steps["keys"]
    (result,) = search(index, ["robot"], trace=True)  # which is as it was, by chance
    steps = {step.name: step.says for step in explain_steps(result)}
    assert steps["logits"].endswith("a logit is the product divided by it.")


def test_a_step_says_what_was_learned(index):
    """The axes of moon and sea change places: a right angle for the moon, none for the robot."""
    moon, robot, both = (
        follow_requests(index, texts, Setting(), k=2) for texts in (["moon"], ["robot"], ["moon", "robot"])
    )
    step = explain_steps(moon[0])[-1]
    assert (step.name, step.columns) == ("training", ("rank", "item", "old rank", "weight", "old weight"))
    assert "turns x by 90.0°" in step.says
    assert "at the temperature 0.05" in step.says
    assert [row[:3] for row in step.rows] == [(1, "sea", 2), (2, "moon", 1)]
    e = math.exp(-20)
    assert [row[3] for row in step.rows] == pytest.approx([3 / 5, 1 / 5], rel=1e-5)
    assert [row[4] for row in step.rows] == pytest.approx([e / (1 + 2 * e), 1 / (1 + 2 * e)], rel=1e-5)
    assert "turns x by 0.0°" in explain_steps(robot[0])[-1].says
    step = explain_together(both)[-1]
    assert "turns the requests by 90.0°, 0.0°" in step.says
    assert [row[:5] for row in step.rows] == [
        (1, "moon", "sea", 1, 2), (1, "moon", "moon", 2, 1), (1, "moon", "robot", 3, 3),
        (2, "robot", "sea", 3, 3), (2, "robot", "moon", 2, 2), (2, "robot", "robot", 1, 1),
    ]  # fmt: skip
    assert [row[:3] for row in explain_steps(both[1])[-1].rows] == [(1, "robot", 1), (2, "moon", 2), (3, "sea", 3)]
    untrained = follow_requests(index, ["moon"], Setting(untrained=True), k=2)
    assert explain_steps(untrained[0])[-1].name == "output"


def test_the_words_of_the_commands(run, trained, tmp_path):
    assert ids(run) == ["b", "a", "c"]
    assert answer(run)["trained"] is True
    assert "trained" not in answer(run, "--untrained")
    assert ids(run, "--untrained") == ids(run, "--untrained", "--textbook") == ["a", "b", "c"]
    assert [answer(run, *argv)["temperature"] for argv in ([], ["--untrained"], ["--textbook"])] == [LN3, 0.05, 2]
    assert [answer(run, *argv).get("lexical") for argv in ([], ["--lexical"], ["--lexical", "--untrained"])] == [
        None, 0.7, 0.3]  # fmt: skip
    assert " · trained · temperature 0.91 · " in run("query", "moon", "-c", "shop").out
    why = ("explain", "moon", "b", "--over", "a", "-c", "shop")
    assert run(*why).out.splitlines()[-1].split() == ["+1.10", "total"]
    assert run(*why, "--untrained").out.splitlines()[-1].split() == ["-20.00", "total"]
    assert "the learned W_Q (4, 4)" in run("explain", "moon", "-c", "shop").out
    explained = run("query", "moon", "-c", "shop", "--explain").out
    assert "#1 sea: 1.10 = 1.10 semantic\n   query: mostly moon +1.10" in explained
    other = tmp_path / "other.safetensors"
    learned.write_learned(other, SWAPPED._replace(w=np.eye(4, dtype=np.float32)[[2, 1, 0, 3]], lexical=None))
    assert ids(run, "--projections", str(other)) == ["c", "a", "b"]
    assert answer(run, "--projections", str(other), "--lexical")["lexical"] == 0.3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--projections", "none"], "none: --projections: No such file or directory"),
        (["--projections", "."], ".: --projections: Is a directory"),
        (["--projections", "shop.yaml"], "shop.yaml: --projections: it is not what was written"),
        (["--projections", "other", "--untrained"], "--untrained and --projections exclude each other; leave one of"),
        (["--projections", "other", "--textbook"], "--textbook and --projections exclude each other; leave one of"),
        (["--projections", "other"], "shop: has small (555555555555…, 4 wide), but the projections were learned for"),
        (["--projections", "newer"], "newer: was learned by a newer attnsearch"),
    ],
)
def test_refused(run, trained, argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learned.write_learned(tmp_path / "other", SWAPPED._replace(sha256="6" * 64))
    with monkeypatch.context() as newer:
        newer.setattr(learned, "VERSION", 4)
        memory = learned.Remembered(["moon"], np.eye(1, 4, dtype=np.float32), [{}], Recall(0.5, 0.02, 0.9))
        learned.write_learned(tmp_path / "newer", SWAPPED._replace(memory=memory, null=NullKey(1.0, 2.0, 0.02)))
    for command in (["query", "moon"], ["explain", "moon"]):
        ran = run(*command, "-c", "shop", *argv)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert ran.err.startswith(f"attnsearch: {message}")


def judge(*texts: str) -> list[Judged]:
    return [Judged(text, {"a": 1}, text) for text in texts]


def test_eval_says_what_was_learned_from(index):
    evaluation = evaluate(index, judge("moon", "Sea ", "robot"))
    assert (evaluation.trained_on, evaluation.temperature) == (2, LN3)
    assert [row.first for row in evaluation.rows] == [2, 1, 2]
    elsewhere = Setting(learned=SWAPPED._replace(requests=frozenset()))
    for setting in (Setting(untrained=True), Setting(textbook(4)), elsewhere):
        assert evaluate(index, judge("moon", "sea"), setting).trained_on == 0
    assert evaluate(index, judge("robot")).trained_on == 0


def test_eval_in_words(run, trained, write):
    judged = write("judged.yaml", "- {query: moon, relevant: [a]}\n- {query: robot, relevant: [c]}\n")
    warning = "1 of these 2 requests was learned from or is remembered, which flatters the figures:"
    assert warning in run("eval", judged, "-c", "shop").out
    assert warning in run("eval", judged, "-c", "shop", "-q").out
    assert warning not in run("eval", judged, "-c", "shop", "--untrained").out
    ran = run("eval", judged, "-c", "shop", "--untrained", "--compare", "--temperature 0.1")
    assert warning in ran.out
    fields = json.loads(run("eval", judged, "-c", "shop", "--compare", "--untrained", "--json").out)
    assert (fields["taught"], fields["compare"]["taught"]) == (1, 0)
    assert (fields["temperature"], fields["compare"]["temperature"]) == (LN3, 0.05)
    assert fields["compare"]["differences"]["mrr"] == pytest.approx(0.25)
    ran = run("eval", judged, "-c", "shop", "--compare", "--projections none")
    assert (ran.code, ran.err) == (2, "attnsearch: none: --projections: No such file or directory\n")


def test_info(run, trained, shop):
    fields = json.loads(run("info", "shop", "--json").out)
    assert (fields["temperature"], fields["lexical"]) == (LN3, 0)
    assert fields["learned"] == {
        "in_use": True, "model": "small", "weights_sha256": "5" * 64, "model_sha256": None, "w": [4, 4],
        "temperature": LN3, "lexical": 0.7,
        "none_of_these": None, "requests": 2, "story": SWAPPED.story,
        "memory": None,
    }  # fmt: skip
    rows = dict(line.split("  ", 1) for line in run("info", "shop").out.splitlines() if "  " in line)
    assert {name: value.strip() for name, value in rows.items() if name.startswith("learned")} == {
        "learned": "from 2 judged requests",
        "learned temperature": "0.9102",
        "learned lexical": "0.7",
        "learned gain": "ndcg 0.0625, certain yes",
        "learned when": "2026-01-02",
    }
    assert run("index", shop, "--lexical").code == 0
    assert json.loads(run("info", "shop", "--json").out)["lexical"] == 0.7
    (trained / files.LEARNED).unlink()
    assert json.loads(run("info", "shop", "--json").out)["learned"] is None
    assert "learned" not in run("info", "shop").out


def test_it_outlives_another_run_of_index(trained, shop):
    (trained / "feedback.jsonl").write_text("{}\n")
    shop.write_text("- {id: a, title: sea}\n- {id: z, title: moon}\n")
    update([str(shop)])
    with Index.open("shop") as index:
        assert [hit.id for hit in query(index, "moon").hits] == ["a", "z"]
    assert (trained / "feedback.jsonl").read_text() == "{}\n"


def test_a_repair_takes_it_along(trained, run):
    (trained / "feedback.jsonl").write_text("{}\n")
    assert find_problems(trained) == []
    (segment,) = (trained / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1] + b"!")
    assert repair(trained).embedded == 3
    assert find_problems(trained) == []
    assert ids(run) == ["b", "a", "c"]
    assert (trained / "feedback.jsonl").read_text() == "{}\n"


def test_a_repair_leaves_out_what_is_damaged(trained, run):
    file = trained / files.LEARNED
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (problem,) = find_problems(trained)
    assert problem.startswith("learned.safetensors: it is not what was written")
    assert run("check", "shop").code == 3
    ran = run("check", "shop", "--repair")
    assert ran.code == 0
    assert "shop: what was learned is lost, since learned.safetensors is damaged" in ran.err
    assert not file.exists()
    assert ids(run) == ["a", "b", "c"]


def test_no_link_is_followed(trained, run, tmp_path):
    for name in (files.LEARNED, "feedback.jsonl"):
        (trained / name).unlink(missing_ok=True)
        (trained / name).symlink_to(tmp_path / "elsewhere")
        ran = run("query", "moon", "-c", "shop")
        assert (ran.code, ran.out) == (3, "")
        assert "is a link, and links are not followed here" in ran.err
        (trained / name).unlink()


def test_a_pipe_holds_nobody_up(trained, run):
    (trained / files.LEARNED).unlink()
    os.mkfifo(trained / files.LEARNED)
    assert run("query", "moon", "-c", "shop").code == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"w": np.eye(4, 3, dtype=np.float32)},
        {"w": np.full((4, 4), np.nan, np.float32)},
        {"temperature": "1"},
        {"temperature": 0.0},
        {"lexical": -1.0},
        {"lexical": float("inf")},
        {"null": NullKey(1.0, "x")},
        {"story": ["x"]},
        {"story": {"x": float("nan")}},
        {"model": 3},
    ],
)
def test_what_nobody_learned_is_refused(trained, run, wrong):
    learned.write_learned(trained / files.LEARNED, SWAPPED._replace(**wrong))
    ran = run("query", "moon", "-c", "shop")
    assert (ran.code, ran.out) == (3, "")
    assert "learned.safetensors: it is not what was written" in ran.err


def test_removed_with_all_of_the_catalog(trained, run):
    copy = trained.with_name("copy")
    shutil.copytree(trained, copy)
    assert run("remove", "copy", "--all").code == 0
    assert not copy.exists()
