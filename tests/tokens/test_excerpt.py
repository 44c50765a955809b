"""A tokenizer with a part of the vocabulary: it cuts every text as that with all of it does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.tokens import excerpt
from attnsearch.tokens.excerpt import open_excerpt
from attnsearch.tokens.tokenizer import AS_IN_ITS_FILE, load_tokenizer
from tests.networks.made import texts, unigrams

WINDOW = 12


@pytest.fixture(scope="module", autouse=True)
def _small_ones_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excerpt, "LEAST", 0)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A tokenizer as XLM-R has it, with pieces of quotes and backslashes, of which some are parts of others."""
    folder = tmp_path_factory.mktemp("tokenizer")
    unigrams().save_pretrained(folder)
    frame = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = frame["model"]["vocab"]
    pieces = ['"', "\\", '▁"', '\\"', '",', "]]", "[", ":", '":', "▁:", "the▁", "<", "s>", "▁<", "x" * 40, "x" * 39]
    vocabulary[4:4] = [[piece, -3 - number / 8] for number, piece in enumerate(pieces)]
    # An unknown ☃ costs 10 more than the least likely piece, so that ⓐ ☃ⓑ ⓒ ⓓ is likelier than ⓐ ☃ ⓑⓒⓓ by little.
    vocabulary += [["ⓐ", -3.0], ["☃ⓑ", -20.0], ["ⓑⓒⓓ", -3.0], ["ⓒ", -45.0], ["ⓓ", -45.0], ["least", -99.5]]
    for token in frame["added_tokens"]:
        token["id"] = next(number for number, (piece, _) in enumerate(vocabulary) if piece == token["content"])
    write(folder / "tokenizer.json", frame)
    return folder / "tokenizer.json"


def write(path, frame, **options) -> None:
    path.write_text(json.dumps(frame, **{"ensure_ascii": False, "indent": 2, **options}))


def same(part, whole, text: str) -> None:
    tokenizer, numbers = part.cover([text])
    ours, theirs = tokenizer.encode(text), whole.encode(text)
    assert numbers[ours.ids].tolist() == theirs.ids
    assert ours.offsets == theirs.offsets
    assert ours.special_tokens_mask == theirs.special_tokens_mask
    assert [tokenizer.id_to_token(n) for n in ours.ids] == [whole.id_to_token(n) for n in theirs.ids]


@pytest.mark.parametrize("indent", [2, None])
def test_mixed_texts(file, tmp_path, indent):
    write(tmp_path / "tokenizer.json", json.loads(file.read_text()), indent=indent)
    part = open_excerpt(tmp_path / "tokenizer.json", WINDOW, AS_IN_ITS_FILE)
    whole = load_tokenizer(file, WINDOW)
    for text in texts(200):
        same(part, whole, text)
        same(open_excerpt(tmp_path / "tokenizer.json", WINDOW, AS_IN_ITS_FILE), whole, text)  # of that text alone


@given(st.text(st.sampled_from('the moon <s>"\\[]:,x</> \n▁é🚀한') | st.characters(codec="utf-8"), max_size=60))
def test_any_text(file, text):
    same(open_excerpt(file, WINDOW, AS_IN_ITS_FILE), load_tokenizer(file, WINDOW), text)


@pytest.mark.parametrize("word", ["x" * 100, "x" * 39, "moonthesea" * 9, "🚀x🚀", "ⓐ☃ⓑⓒⓓ"])
def test_long_words_and_unknown_letters(file, word):
    same(open_excerpt(file, 300, AS_IN_ITS_FILE), load_tokenizer(file, 300), word)


def test_it_grows(file):
    part = open_excerpt(file, WINDOW, AS_IN_ITS_FILE)
    first, numbers = part.cover(["the moon"])
    assert part.cover(["the", "moon the"])[0] is first
    second, more = part.cover(["the sea"])
    assert len(more) > len(numbers)
    assert part.cover(["the moon", "sea"])[0] is second
    assert len(more) < load_tokenizer(file, None).get_vocab_size()


def test_numbers_of_words(file):
    part, whole = open_excerpt(file, WINDOW, AS_IN_ITS_FILE), load_tokenizer(file, None)
    for piece in ("▁the", "moon", '"', "\\", '\\"', "never", "<s>"):
        assert part.number(piece) == whole.token_to_id(piece)


def test_the_number_of_a_word_that_was_added(file, tmp_path):
    frame = json.loads(file.read_text())
    frame["added_tokens"].append({**frame["added_tokens"][0], "content": "never", "id": len(frame["model"]["vocab"])})
    write(tmp_path / "tokenizer.json", frame)
    part = open_excerpt(tmp_path / "tokenizer.json", WINDOW, AS_IN_ITS_FILE)
    assert part.number("never") == load_tokenizer(tmp_path / "tokenizer.json", None).token_to_id("never")


class TestAnotherFile:
    """What is not written as usual is left to the tokenizer itself."""

    @pytest.fixture
    def frame(self, file):
        return json.loads(file.read_text())

    def opened(self, frame, tmp_path, **options):
        write(tmp_path / "t.json", frame, **options)
        return open_excerpt(tmp_path / "t.json", WINDOW, AS_IN_ITS_FILE)

    def test_as_it_is(self, frame, tmp_path):
        assert self.opened(frame, tmp_path)

    def test_letters_as_numbers(self, frame, tmp_path):
        assert self.opened(frame, tmp_path, ensure_ascii=True) is None

    def test_other_members_of_a_model(self, frame, tmp_path):
        assert self.opened({**frame, "model": {**frame["model"], "type": "BPE"}}, tmp_path) is None
        assert self.opened({**frame, "model": {**frame["model"], "byte_fallback": True}}, tmp_path) is None
        assert self.opened({**frame, "model": {**frame["model"], "unk_id": 10**6}}, tmp_path) is None
        assert self.opened({**frame, "model": {**frame["model"], "unk_id": None}}, tmp_path) is None
        assert self.opened({**frame, "model": {**frame["model"], "other": [["a", 1.0]]}}, tmp_path) is None

    def test_what_follows_the_model(self, frame, tmp_path):
        added = frame.pop("added_tokens")
        assert self.opened({**frame, "added_tokens": added}, tmp_path) is None

    def test_another_post_processor(self, frame, tmp_path):
        assert self.opened({**frame, "post_processor": None}, tmp_path) is None
        assert self.opened({**frame, "post_processor": {"type": "ByteLevel"}}, tmp_path) is None

    @pytest.mark.parametrize("content", ["", "{", '"vocab":', '{"vocab":[]}', '"vocab": ]', "[" * 99_999, "\x00"])
    def test_damaged(self, content, tmp_path):
        (tmp_path / "t.json").write_text(content)
        assert open_excerpt(tmp_path / "t.json", WINDOW, AS_IN_ITS_FILE) is None

    def test_a_missing_one(self, tmp_path):
        assert open_excerpt(tmp_path / "t.json", WINDOW, AS_IN_ITS_FILE) is None
