"""Near paraphrases of judged requests have the item that was right on rank 1; requests that mean something else do not.

The real encoder, whose cosines the default recall was measured with.
"""

from __future__ import annotations

import pytest

from attnsearch.opening.index import Index
from attnsearch.search.memory import embedding_of
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.teaching.feedback import add_judgment

JUDGED = {
    "something sour for a cold day": ("a sour dish for cold days", "chilaquiles-verdes"),
    "breakfast with eggs for lazy weekends": ("an egg breakfast for a lazy weekend", "congee"),
    "what can I cook with chickpeas": ("dishes I can make from chickpeas", "harira"),
    "bread that needs no yeast": ("yeast-free bread", "arepas"),
    "quick noodles after work": ("fast noodle dish after work", "zaru-soba"),
    "dip for raw vegetables": ("a dip to go with raw vegetables", "tzatziki"),
    "spicy stew with tofu": ("a hot tofu stew", "kimchi-jjigae"),
    "what to bring to a barbecue": ("things to bring along to a barbecue", "chimichurri"),
}
OTHERS = ["something sweet for a cold day", "what can I cook with lentils", "cake that needs no sugar", "goat curry"]


@pytest.mark.real
def test_they_are_answered_alike():
    with Index.open("kitchen") as index:
        for query, (_, right) in JUDGED.items():
            add_judgment(index.store.folder, query, {right: 1}, embedding=embedding_of(index))
    with Index.open("kitchen") as index:
        asked = [*JUDGED, *(paraphrase for paraphrase, _ in JUDGED.values())]
        rights = [right for _, right in JUDGED.values()] * 2
        for result, plain, right in zip(
            search(index, asked, k=1), search(index, asked, Setting(untrained=True), k=1), rights, strict=True
        ):
            assert result.hits[0].id == right, result.query
            assert plain.hits[0].id != right or result.query in JUDGED, result.query
        for result, plain in zip(
            search(index, OTHERS, k=3), search(index, OTHERS, Setting(untrained=True), k=3), strict=True
        ):
            assert [hit.id for hit in result.hits] == [hit.id for hit in plain.hits], result.query
