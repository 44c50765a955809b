"""Which words are one piece of an encoder's vocabulary each."""

from __future__ import annotations

import pytest

from attnsearch.encoding.encoder import find_whole_words
from attnsearch.encoding.heads import HeadsEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from tests.conftest import SmallEncoder

WORDS = ["zebra", "moon", "sience", "the", "café", "größe", "paris", "ing", "xqzt"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["[UNK]", "the", "moon", "##ing", "zebra", "cafe", "paris"], ["the", "moon", "zebra", "café", "paris"]),
        (["<unk>", "▁moon", "▁the", "ebra", "▁Paris"], ["moon", "the"]),
        (["Paris", "Moon"], ["paris", "moon"]),
        (["Ġmoon", "Ġcafé"], ["moon", "café"]),
        ([], []),
    ],
)
def test_in_the_vocabulary_s_order(pieces, expected):
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    assert find_whole_words(WORDS, vocabulary.get) == expected


def test_of_several_heads_the_first_decides():
    first, second = SmallEncoder(), SmallEncoder("twin", "6" * 64)
    first.vocabulary, second.vocabulary = ["moon"], ["zebra"]
    assert HeadsEncoder([first, second], [0.5, 0.5]).whole_words(WORDS) == ["moon"]


@pytest.mark.real
def test_real(real):
    words = real.whole_words(WORDS)
    assert {"the", "moon", "paris", "café", "zebra"} <= {*words}
    assert not {"sience", "größe", "xqzt"} & {*words}
    assert real.whole_words(["zebra", "moon", "the"]) == ["the", "moon", "zebra"]  # the commonest first


@pytest.mark.real
@pytest.mark.slow
def test_as_sentence_transformers_has_it(real):
    assert SentenceEncoder(real.model).whole_words(WORDS) == real.whole_words(WORDS)
