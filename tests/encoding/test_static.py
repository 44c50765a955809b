"""The table of word pieces against its tokenizer and plain means."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from attnsearch.encoding import static
from attnsearch.encoding.passages import split_passages
from attnsearch.encoding.static import StaticEncoder
from attnsearch.models.model import TABLE_TOKENIZER
from attnsearch.networks.table import WORDLLAMA
from tests.encoding.conftest import CLOSE, MIXED
from tests.networks import made

TEXTS = [
    "science fiction",
    "A much longer text, unbelievably " * 30,
    "",
    " ",
    "two  spaces",
    "日本の小説 🚀",
    "<s>x</s> y\n",
]


@pytest.fixture
def fresh(table) -> StaticEncoder:
    """The table, with nothing loaded yet."""
    return StaticEncoder(table.model, WORDLLAMA)


@pytest.fixture(scope="session")
def vocabulary(table) -> dict[str, int]:
    return table._vocabulary


def numbers_of(table, text: str) -> list[int]:
    return table._tokenizer.encode(text or " ", add_special_tokens=False).ids


def plain_means(table, texts: list[str]):
    x = np.array([table._table.rows[numbers_of(table, text)].astype(np.float64).mean(axis=0) for text in texts])
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("role", ["key", "query"])
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], MIXED])
def test_a_vector_is_the_mean_of_its_rows(table, fresh, texts, role):
    parts = np.full((len(texts), 256), np.nan, np.float32)
    x = fresh.encode(texts, role, parts.__setitem__)
    assert x.dtype == np.float32
    assert x == pytest.approx(plain_means(table, texts), abs=CLOSE)
    assert np.array_equal(parts, x)


@pytest.fixture
def peer(table):
    """The package's own encoder; no other test may find its code loaded."""
    from wordllama import WordLlama
    from wordllama.inference import WordLlamaInference

    tokenizer = WordLlama.load_tokenizer(table.model.folder / TABLE_TOKENIZER)
    yield WordLlamaInference(np.asarray(table._table.rows), tokenizer)
    for name in [name for name in sys.modules if name.startswith("wordllama")]:
        del sys.modules[name]


def test_wordllama_gives_the_same_vectors(table, peer):
    texts = [text for text in made.texts() if text]  # an empty one has no vector there
    assert table.encode(texts) == pytest.approx(peer.embed(texts, norm=True), abs=CLOSE)


def test_the_pieces_add_up(table):
    for text, pieces, x in zip(TEXTS, table.pieces(TEXTS), table.encode(TEXTS), strict=True):
        assert pieces.vectors.sum(axis=0) == pytest.approx(x, abs=CLOSE)
        assert list(pieces.tokens) == table.tokens(text)
        assert [span[1] for span in pieces.spans if span] == [stop for _, stop in table.spans(text)]


def test_an_empty_text_is_a_space(table):
    assert table.tokens("") == table.tokens(" ") == ["▁▁"]
    assert table.spans("") == []
    assert table.pieces([""])[0].spans == [None]


def test_what_it_is(table):
    assert (table.window, table.quick, table.precision) == (1_024, True, "float32")
    assert table.suited(10**9, "bfloat16") is table
    assert table.tokens("unbelievable sci-fi") == ["▁un", "bel", "iev", "able", "▁sci", "-", "fi"]


class TestWindow:
    def test_the_rest_is_not_read(self, table):
        text = "moon " * 1_024
        x, start = table.encode([f"{text}sea robot", text.strip()])
        assert np.array_equal(x, start)
        (pieces,) = table.pieces([f"{text}sea robot"])
        assert pieces.vectors.sum(axis=0) == pytest.approx(x, abs=CLOSE)
        assert len(pieces.spans) == len(pieces.tokens) == 1_024
        assert len(table.tokens(f"{text}sea robot")) == 1_026

    def test_no_text_takes_more_than_its_beginning(self, table, vocabulary):
        longest = max((piece.encode("latin-1").decode() for piece in vocabulary), key=len)
        text = longest.replace("▁", " ") * 5_000
        assert len(longest) < static._PIECE
        assert numbers_of(table, text[: static._PIECE * 1_024])[:1_024] == numbers_of(table, text)[:1_024]
        assert len(numbers_of(table, text[: static._PIECE * 1_024])) >= 1_024

    def test_a_long_text_is_cut_between_words(self, table):
        text = " ".join(f"unbelievable{n} story" for n in range(700))
        passages = split_passages(table, "A title", f"A title. {text}")
        assert len(passages) > 3
        for passage in passages:
            assert len(table.tokens(passage.text)) <= 1_024
            assert passage.text.endswith(("story", *map(str, range(10))))

    def test_spans_have_no_spaces_before_them(self, table):
        assert table.spans("moon  sea\n日") == [(0, 4), (5, 5), (6, 9), (9, 10), (10, 11)]


def test_a_request_is_split_without_the_tokenizer(fresh):
    """The tokenizer takes longer to load than all else that a request needs."""
    fresh.encode(["science fiction"], "query")
    assert "_opened" not in fresh.__dict__
    fresh.encode(["two  spaces"], "query")
    assert "_opened" in fresh.__dict__
