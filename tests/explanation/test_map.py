"""Where items, request and output lie on the map: by hand, and whatever the order of the items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.engines.covariance import Covariance, principal_axes
from attnsearch.errors import InputError
from attnsearch.explanation.map import map_items
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import DEFAULT, Setting


def map_of(ref: str | None, text: str, setting: Setting = DEFAULT, k: int = 5):
    with Index.open(ref) as index:
        (result,) = search(index, [text], setting, k=k, trace=True)
        return map_items(index, text, setting, result), index.store.embeddings(index.store.living()), result


def index_lines(write, *titles: str, name: str = "shop.yaml") -> str:
    path = write(name, "".join(f"- {{id: {number}, title: {title}}}\n" for number, title in enumerate(titles)))
    from attnsearch.indexing.update import update

    update([str(path)])
    return path.stem


H = math.sqrt(0.5)


def test_four_points_by_hand(write, small):
    """moon (1, 0), sea (0, 1) and twice (h, h): one axis is (1, -1)/√2, the other (1, 1)/√2; h = 1/√2."""
    drawn, _, result = map_of(index_lines(write, "moon", "sea", "moon sea", "moon sea"), "moon")
    low, high = (H - 1) / 2, (1 - H) / 2
    expected = [(H, low), (-H, low), (0, high), (0, high)]
    assert np.allclose(drawn.points, expected, atol=1e-6)
    total = 1 / 4 + high**2
    assert drawn.variance == pytest.approx((1 / 4 / total, high**2 / total))
    assert drawn.request == pytest.approx((H, low), abs=1e-6)  # it is the item moon
    # logits 20, 0, 20 h and 20 h
    exps = np.exp([20, 0, 20 * H, 20 * H])
    weights = exps / exps.sum()
    assert drawn.weights.tolist() == pytest.approx(weights.tolist(), rel=1e-4)
    assert drawn.output == pytest.approx(tuple(weights @ np.array(expected)), abs=1e-5)
    assert drawn.hits == result.hits
    assert [hit.id for hit in drawn.hits] == [str(row) for row in drawn.hit_rows] == ["0", "2", "3", "1"]
    assert drawn.hidden == 0
    assert drawn.has_values


def test_a_request_beside_the_items(write, small):
    drawn, _, _ = map_of(index_lines(write, "moon", "sea", "moon sea", "moon sea"), "robot")
    assert drawn.request == pytest.approx((0, -(H + 1) / 2), abs=1e-6)


def test_one_item_and_the_request_are_as_far_apart_as_they_are(write, small):
    drawn, _, _ = map_of(index_lines(write, "moon"), "sea")
    assert np.allclose(drawn.points, [(0, 0)])
    assert drawn.request == pytest.approx((math.sqrt(2), 0))
    assert drawn.variance == (0, 0)
    drawn, _, _ = map_of("shop", "moon")
    assert drawn.request == pytest.approx((0, 0), abs=1e-6)


def test_two_items_and_the_request_lie_in_their_plane(write, small):
    drawn, _, _ = map_of(index_lines(write, "moon", "sea"), "robot")
    assert np.allclose(drawn.points, [(H, 0), (-H, 0)], atol=1e-6)
    assert math.dist(drawn.request, drawn.points[0]) == pytest.approx(math.sqrt(2))
    assert drawn.variance == pytest.approx((1, 0))


def test_a_filter_hides_items_and_moves_none(write, small):
    ref = index_lines(write, "moon", "sea", "robot", "moon sea", "moon robot")
    whole, _, _ = map_of(ref, "moon")
    some, _, _ = map_of(ref, "moon", Setting(where=(parse_filter("title = moon"),)))
    assert some.hidden == 4
    assert np.allclose(some.points, whole.points[[0]])
    assert some.request == whole.request
    assert some.variance == whole.variance
    with pytest.raises(InputError, match="every item is hidden"):
        map_of(ref, "moon", Setting(where=(parse_filter("title = mars"),)))


def test_the_order_of_the_items_does_not_matter(write, small):
    titles = ["moon", "sea", "robot", "moon sea", "moon robot robot", "sea sea robot", "mars", "mars moon"]
    maps = {}
    for order in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 2, 4, 0, 1, 6, 3, 5]):
        name = f"shop{order[0]}.yaml"
        drawn, _, _ = map_of(index_lines(write, *(titles[row] for row in order), name=name), "sea robot")
        maps[order[0]] = np.array(drawn.points)[np.argsort(order)], drawn.request, drawn.output
    for first, second in zip(*maps.values(), strict=True):
        assert np.allclose(first, second, atol=1e-6)


def test_several_catalogs_are_one(write, small):
    """The same map as of one catalog with the items of both."""
    index_lines(write, "moon", "sea robot", name="first.yaml")
    index_lines(write, "robot", "sea moon moon", name="second.yaml")
    index_lines(write, "moon", "sea robot", "robot", "sea moon moon", name="both.yaml")
    with open_catalogs(["first", "second"]) as index:
        (result,) = search(index, ["sea"], trace=True)
        union = map_items(index, "sea", DEFAULT, result)
    whole, _, _ = map_of("both", "sea")
    assert np.allclose(union.points, whole.points, atol=1e-6)
    assert np.allclose(union.weights, whole.weights, atol=1e-6)
    assert union.variance == pytest.approx(whole.variance)
    assert union.request == pytest.approx(whole.request)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3).filter(any), min_size=1, max_size=12, unique=True), st.data())
def test_any_catalog_against_a_plain_svd(counts, data):
    """Centered points, whose sizes are the singular values; the output is their mean, weighted."""
    x = np.array(counts, float)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    centered = x - x.mean(axis=0)
    covariance = Covariance(len(x), x.mean(axis=0), centered.T @ centered)
    axes, _ = principal_axes(covariance, 2)
    sizes = np.linalg.svd(centered, compute_uv=False)
    points = centered @ axes.T
    assert np.linalg.norm(points, axis=0).tolist() == pytest.approx([*sizes, 0, 0][:2], abs=1e-5)
    assert np.allclose(points.mean(axis=0), 0)
    order = data.draw(st.permutations(range(len(x))))
    shuffled = centered[order]
    again, _ = principal_axes(covariance._replace(scatter=shuffled.T @ shuffled), 2)
    assert np.allclose(shuffled @ again.T, points[order], atol=1e-6)


def test_an_item_of_several_passages_is_where_its_best_one_is(write, small):
    """So that the output is the mean of the points, weighted."""
    from attnsearch.indexing.update import update

    long = ". ".join(["moon sea"] * 60 + ["robot"] * 60)
    update([str(write("shop.yaml", f"- {{id: a, title: moon}}\n- {{id: b, title: mars, description: {long!r}}}\n"))])
    moon, x, _ = map_of("shop", "moon")
    robot, _, result = map_of("shop", "robot")
    assert len(x) > len(moon.points) == 2
    assert np.allclose(moon.points[0], robot.points[0])
    assert not np.allclose(moon.points[1], robot.points[1])
    centered = result.trace.output - x.mean(axis=0, dtype=np.float64)
    assert np.linalg.norm(robot.output) <= np.linalg.norm(centered) + 1e-6
    (key,) = (row for row in x if np.allclose(row, x[result.trace.hit_keys[0]]))
    assert key[2] > 0.9  # robot


def test_learned_values_have_no_place_on_the_map(shop):
    with Index.open("shop") as index:
        (result,) = search(index, ["moon"], trace=True)
        drawn = map_items(index, "moon", DEFAULT, result)
        projections = result.trace.projections._replace(w_v=np.eye(4, dtype=np.float32) * 2)
        doubled = result._replace(trace=result.trace._replace(projections=projections))
        assert (drawn.has_values, map_items(index, "moon", DEFAULT, doubled).has_values) == (True, False)
        with pytest.raises(InputError, match="without a trace"):
            map_items(index, "moon", DEFAULT, result._replace(trace=None))
