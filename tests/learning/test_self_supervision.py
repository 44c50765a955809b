"""The requests that a catalog makes of itself."""

from __future__ import annotations

from attnsearch.indexing.update import update
from attnsearch.learning.examples import find_first_keys
from attnsearch.learning.self_supervision import draw_requests
from attnsearch.opening.index import Index


def test_the_requests_are_titles_and_passages_of_the_items(write, small):
    story = [f"word{n}" for n in range(60)]
    lines = [f"- {{id: long, title: moon, description: {' '.join(story)}}}\n", "- {id: short, title: sea}\n"]
    update([str(write("made.yaml", "".join(lines)))])
    with Index.open("made") as index:
        requests = draw_requests(index.store, find_first_keys(index.store), seed=1)
        assert requests == draw_requests(index.store, find_first_keys(index.store), seed=1)
        texts = {item.id: item.text.split() for _, item in index.store.items()}
    assert {request.query: request.relevant for request in requests[:2]} == {"moon": ["long"], "sea": ["short"]}
    passages = requests[2:]
    assert len(passages) == 1000
    for first, second in zip(passages[::2], passages[1::2], strict=True):  # no item twice before the other came once
        assert {*first.relevant, *second.relevant} == {"long", "short"}
    for request in passages:
        words, text = request.query.split(), texts[request.relevant[0]]
        assert " ".join(words) in " ".join(text)
        assert len(words) == len(text) or 12 <= len(words) <= 25
