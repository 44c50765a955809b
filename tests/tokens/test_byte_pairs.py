"""Requests split by the table's vocabulary alone, against its tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import ModelError
from attnsearch.tokens.byte_pairs import read_vocabulary, split_text

LETTERS = "aeinorst'.-\n1é日🚀"


@pytest.fixture(scope="session")
def vocabulary(table) -> dict[str, int]:
    return table._vocabulary


def numbers_of(table, text: str) -> list[int]:
    return table._tokenizer.encode(text or " ", add_special_tokens=False).ids


@given(st.lists(st.text(LETTERS, max_size=12), max_size=6).map(" ".join) | st.text(max_size=30))
def test_as_the_tokenizer_would(table, vocabulary, text):
    assert split_text(text, vocabulary) in (None, numbers_of(table, text))


def test_it_splits_what_people_write(table, vocabulary):
    texts = [
        "science fiction",
        "unbelievable sci-fi, naïve 日本 🚀",
        "grep -rn 'foo' | xargs -0 rm",
        "a\nb",
        "Ⅷ",
    ]
    assert [split_text(text, vocabulary) for text in texts] == [numbers_of(table, text) for text in texts]


@pytest.mark.parametrize("text", ["two  spaces", " before", "after ", "a ▁b", "</s>", "x" * 99, ""])
def test_it_leaves_the_unusual_to_the_tokenizer(vocabulary, text):
    assert split_text(text, vocabulary) is None


class TestBrokenFiles:
    """Only files whose hashes are known are read. Should they change afterwards, that ends in an error of ours."""

    @pytest.mark.parametrize(
        "content", [b"", b"{}", b'"vocab": "merges"', b'"vocab": {"a": "merges"', b'"vocab": 3, "merges"']
    )
    def test_no_vocabulary(self, tmp_path, content):
        (tmp_path / "t.json").write_bytes(content)
        with pytest.raises(ModelError, match=r"t\.json: has no vocabulary"):
            read_vocabulary(tmp_path / "t.json")

    def test_no_file(self, tmp_path):
        with pytest.raises(ModelError, match="can't be read: No such file"):
            read_vocabulary(tmp_path / "t.json")
