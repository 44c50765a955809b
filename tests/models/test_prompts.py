"""Which prompts a model has: as sentence-transformers reads its files, else as its card says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from attnsearch.errors import InputError, ModelError
from attnsearch.models.model import Model
from attnsearch.models.prompts import CARDS, find_usual, use_of_files
from attnsearch.models.use import LONGEST_PROMPT, PLAIN, Use, Wanted, parse_use


@pytest.fixture
def made(tmp_path):
    """A model with this name and configuration; without one, the file is missing."""

    def made(config=None, name="org/model") -> Model:
        file = tmp_path / "config_sentence_transformers.json"
        if config is not None:
            file.write_text(config if isinstance(config, str) else json.dumps(config))
        return Model(name, tmp_path)

    return made


@pytest.mark.parametrize(
    ("config", "use"),
    [
        (None, PLAIN),
        ({}, PLAIN),
        ({"prompts": {}}, PLAIN),
        ({"prompts": {"query": None, "document": ""}}, PLAIN),
        ({"prompts": {"query": "q: "}}, Use("q: ")),
        ({"prompts": {"query": "q: ", "document": "d: "}}, Use("q: ", "d: ")),
        ({"prompts": {"query": "{}\n\x1b[31m", "document": "ü 🚀"}}, Use("{}\n\x1b[31m", "ü 🚀")),
        # No prompt is found by its default: encode_query and encode_document always have one of their own.
        ({"prompts": {"query": "", "other": "x: "}, "default_prompt_name": "other"}, PLAIN),
        ({"prompts": {"passage": "p: ", "corpus": "c: "}}, PLAIN),
    ],
    ids=str,
)
def test_files(made, config, use):
    assert use_of_files(made(config).folder) == use


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "{",
        "[" * 99_999,
        '{"prompts": null}',
        *({"prompts": prompts} for prompts in ([], 3, "query: ", {"query": 1}, {"query": {}}, {"document": ["d: "]})),
        '{"prompts": {"query": "\\ud800"}}',
        {"prompts": {"query": "x" * (LONGEST_PROMPT + 1)}},
        {"default_prompt_name": "query2"},
        {"default_prompt_name": []},
    ],
    ids=lambda config: str(config)[:40],
)
def test_hostile_files(made, config):
    with pytest.raises(ModelError) as caught:
        use_of_files(made(config).folder)
    assert "config_sentence_transformers.json: " in str(caught.value)


class TestUsual:
    def test_the_files_come_before_the_card(self, made):
        name = "intfloat/e5-small-v2"
        assert find_usual(made(name=name)) == (CARDS[name], f"https://huggingface.co/{name}")
        assert find_usual(made({"prompts": {"query": "q: "}}, name)).use == Use("q: ")

    @pytest.mark.parametrize(
        ("name", "is_known"),
        [
            ("BAAI/bge-small-en-v1.5", True),
            ("/models/bge-small-en-v1.5", True),
            ("/models/bge-small-en-v1.5-tuned", False),
            ("other/bge-small-en-v1.5", False),  # another model of that name
            ("bge-small-en-v1.5", False),
        ],
    )
    def test_names(self, made, name, is_known):
        assert (find_usual(made(name=name)).use == CARDS["BAAI/bge-small-en-v1.5"]) == is_known

    def test_every_card_can_be_recorded(self):
        for name, use in CARDS.items():
            assert parse_use(json.loads(json.dumps(use))) == use
            assert use != PLAIN
            assert name.count("/") == 1
            assert name == name.strip()
        assert len({Path(name).name for name in CARDS}) == len(CARDS)

    @pytest.mark.parametrize("hidden", ["passage", "corpus"])
    def test_a_prompt_that_may_be_meant_for_texts(self, made, hidden):
        """sentence-transformers leaves it out, and its manual says that it does not: so the user decides."""
        model = made({"prompts": {"query": "q: ", hidden: "it's: "}})
        with pytest.raises(InputError, match=f"called '{hidden}', which sentence-transformers does not") as caught:
            find_usual(model)
        assert caught.value.hint == "say --key-prompt 'it'\"'\"'s: ' to use it, or --key-prompt '' to do without"
        assert find_usual(model, Wanted(key_prompt="")).use == Use("q: ")


@pytest.mark.parametrize(
    "value",
    [3, "abc", [], ["a"], ["", "", "", ""], [1, "", 0], ["", None, 0], ["", "", 0.0], ["", "", True], ["", "", -1],
     ["", "", 1 << 40], ["x" * (LONGEST_PROMPT + 1), "", 0], ["\ud800", "", 0], {"a": 1}],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_what_no_catalog_records(value):
    with pytest.raises((TypeError, ValueError)):
        parse_use(value)


def test_wanted():
    use = Use("q", "k", 3)
    assert Wanted().over(use) == use
    assert Wanted("", None, 0).over(use) == Use("", "k", 0)
    assert use.prompt("query") + use.prompt("key") == "qk"


def test_the_document_lists_the_cards():
    listed = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text().partition("\n## Prompts\n")[2]
    entries = [" ".join(entry.split()) for entry in re.split(r"\n+- |\n\n", listed.partition("\n## ")[0])]
    for name, use in CARDS.items():
        whole = re.compile(rf"(?<![\w-]){re.escape(name.partition('/')[2])}(?![\w.-]*\w)")
        (entry,) = [entry for entry in entries if entry.startswith("`") and whole.search(entry)]
        assert re.findall("`([^`]*)`", entry) == [prompt for prompt in use[:2] if prompt]
