"""Several catalogs in one softmax: as if all of their items were in one."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.attention.projections import identity
from attnsearch.encoding import loading
from attnsearch.errors import CatalogError, InputError
from attnsearch.explanation.reasons import explain_hits
from attnsearch.hints.names import find_hint
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.items import find_id
from attnsearch.opening.union import Union, open_catalogs
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from attnsearch.storage.failures import ClosedError
from attnsearch.storage.files import LEARNED
from attnsearch.storage.learned import Learned, read_learned, write_learned
from attnsearch.syntax.formats import Reading
from tests.conftest import SmallEncoder
from tests.search.conftest import index_items

WORDS = ("moon", "sea", "robot", "stone")
# What makes a field of numbers, of dates, of text, or of several.
VALUES = (
    "1",
    "2",
    "30",
    "1,5",
    "2.25",
    "1,234",
    "$9",
    "2021",
    "2021-05-17",
    "05/06/2021",
    "17/06/2021",
    "yes",
    "red",
    "blue",
)

numbers = itertools.count()

words = st.sampled_from(WORDS)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)
long_texts = st.lists(words, min_size=2, max_size=3).map(lambda few: " ".join(word for word in few for _ in range(80)))
items = st.fixed_dictionaries(
    {"title": texts | long_texts},
    optional={"a": st.sampled_from(VALUES), "b": st.sampled_from(VALUES[:3]), "tags": st.lists(words, max_size=2)},
)  # fmt: skip
filters = st.sampled_from(
    ["a = 2", "a != red", "a < 30", "a >= 2021", "a ~ 1", "has a", "not has b", "b between 1 and 2", "tags = moon",
     "a = '1,5' or b = 30", "title ~ sea", "a = red and b = 1"],
)  # fmt: skip


@contextmanager
def opened(write, parts: list[list[dict]]) -> Iterator[tuple[Index, Index]]:
    """The union of catalogs of these items, and one catalog of them all, each item with its number as its id."""
    run, number = next(numbers), itertools.count()
    parts = [[{"id": f"i{next(number)}", **item} for item in part] for part in parts]
    names = [index_items(write, f"c{run}-{place}", part) for place, part in enumerate(parts)]
    whole = index_items(write, f"c{run}-all", [item for part in parts for item in part])
    with open_catalogs(names) as union, Index.open(whole) as oracle:
        yield union, oracle


def outcome(index, text: str, setting: Setting, **options):
    """What a query gives, or why it is refused, without the names of catalogs and the time."""
    try:
        (result,) = search(index, [text], setting, trace=True, **options)
    except InputError as error:
        return str(error).replace(index.info.name, "CATALOG")
    (result,) = explain_hits(index, [result])
    return result


def assert_same(result, oracle):
    if isinstance(oracle, str):
        assert result == oracle
        return
    assert [(hit.rank, hit.id, hit.passage) for hit in result.hits] == [
        (hit.rank, hit.id, hit.passage) for hit in oracle.hits
    ]
    for name in ("weight", "score", "logit"):
        assert [getattr(hit, name) for hit in result.hits] == pytest.approx(
            [getattr(hit, name) for hit in oracle.hits], abs=1e-6 if name != "logit" else 1e-5
        )
    assert [hit.description for hit in result.hits] == [hit.description for hit in oracle.hits]
    assert (result.items, result.masked, result.emptied_by) == (oracle.items, oracle.masked, oracle.emptied_by)
    assert result.none_of_these == pytest.approx(oracle.none_of_these, abs=1e-6)
    assert result.effective_items == pytest.approx(oracle.effective_items, abs=1e-5)
    assert result.output == pytest.approx(oracle.output, abs=1e-6)
    assert result.trace.keys_shape == oracle.trace.keys_shape
    assert result.trace.log_normalizer == pytest.approx(oracle.trace.log_normalizer, abs=1e-6)
    for readout, peer in zip(result.values, oracle.values, strict=True):
        assert (readout.field, list(readout.shares)) == (peer.field, list(peer.shares))
        assert [readout.known, *readout.shares.values()] == pytest.approx([peer.known, *peer.shares.values()], abs=1e-6)
        if isinstance(peer.mean, float):
            assert [readout.mean, readout.spread] == pytest.approx([peer.mean, peer.spread], rel=1e-6)
        else:
            assert readout.mean == peer.mean
    for why, peer in zip(result.whys, oracle.whys, strict=True):
        assert why.lexical == pytest.approx(peer.lexical, abs=1e-6)
        assert why.prior == pytest.approx(peer.prior, abs=1e-6)
        assert why.semantic == pytest.approx(peer.semantic, abs=1e-5)
        assert why.item.text == peer.item.text


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_is_one_catalog_of_all_items(write, fitted, data):
    check_union(write, data)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_always_is(write, fitted, data):
    check_union(write, data)


def check_union(write, data) -> None:
    """Compare a query of a random union, in a random setting, with one of a catalog of all items."""
    parts = data.draw(st.lists(st.lists(items, min_size=1, max_size=5), min_size=1, max_size=4))
    likes = data.draw(st.lists(st.integers(0, sum(map(len, parts)) - 1), max_size=2, unique=True))
    setting = Setting(
        where=tuple(parse_filter(text) for text in data.draw(st.lists(filters, max_size=2))),
        lexical=data.draw(st.sampled_from([None, 0.3, 2.0])),
        priors=data.draw(st.sampled_from([{}, {"a": 1.0}, {"b": -0.5, "a": 2.0}])),
        temperature=data.draw(st.sampled_from([None, 0.5])),
        like=tuple(f"i{number}" for number in likes),
    )
    if data.draw(st.booleans()):  # W_Q as training may leave it
        w = np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=(4, 4)).astype(np.float32)
        setting = setting._replace(projections=identity(4, 0.5)._replace(w_q=w), temperature=None)
    options = {
        "k": data.draw(st.sampled_from([None, 3])),
        "top_p": data.draw(st.sampled_from([1.0, 0.8])),
        "values": data.draw(st.sampled_from([(), ("a",), ("b", "tags")])),
        "output": True,
    }
    text = data.draw(texts)
    with opened(write, parts) as (union, oracle):
        assert_same(outcome(union, text, setting, **options), outcome(oracle, text, setting, **options))


A = [{"id": "m", "title": "moon"}, {"id": "s", "title": "sea", "size": 3}, {"id": "x", "title": "robot"}]
B = [{"id": "r", "title": "robot", "size": "small"}, {"id": "s", "title": "moon sea", "by": "Verne"}]


@pytest.fixture
def union(write, small):
    with open_catalogs([index_items(write, "a", A), index_items(write, "b", B)]) as index:
        yield index


def ranked(index, text: str, setting: Setting = Setting(), **options) -> list[tuple[str, str]]:  # noqa: B008
    return [(hit.catalog, hit.id) for hit in search(index, [text], setting, **options)[0].hits]


def test_hits_of_both_with_their_catalogs(union):
    (result,) = search(union, ["moon"])
    assert [(hit.catalog, hit.id) for hit in result.hits] == [
        ("a", "m"), ("b", "s"), ("a", "s"), ("a", "x"), ("b", "r"),
    ]  # fmt: skip
    assert (result.catalog, result.catalogs, result.items) == ("a, b", ["a", "b"], 5)
    assert sum(hit.weight for hit in result.hits) == pytest.approx(1)
    assert search(union, ["moon"], Setting(where=(parse_filter("by = Verme"),)))[0].emptied_by == (
        "by: no 'Verme'; did you mean 'Verne'?"
    )


def test_equal_items_go_by_the_order_of_the_catalogs(write, small):
    names = [index_items(write, "a", A), index_items(write, "b", B)]
    for order in (names, names[::-1]):
        with open_catalogs(order) as index:
            robots = ranked(index, "robot", k=2)
        assert [catalog for catalog, _ in robots] == order


def test_an_id_that_two_items_have(union):
    message = "'s' can mean the items 's' of a and 's' of b; write a:s or b:s"
    for names in ({"like": ("s",)}, {"unlike": ("s",)}):
        with pytest.raises(InputError, match=message):
            search(union, ["moon"], Setting(**names))
    with pytest.raises(InputError, match=message):
        rank_items(union, "moon", Setting(), ["s"])
    with pytest.raises(InputError, match=message):
        find_id(union.store, "s")
    assert find_id(union.store, "b:s") == "b:s"
    (result,) = search(union, [""], Setting(like=("b:s",)))
    assert (result.query, result.masked) == ("like: b:s", 1)
    assert [(hit.catalog, hit.id) for hit in result.hits][:2] == [("a", "m"), ("a", "s")]
    both = rank_items(union, "moon", Setting(), ["b:s", "a:s"])
    assert [(hit.rank, hit.catalog) for hit in both.hits] == [(2, "b"), (3, "a")]


def test_an_id_that_looks_like_one_of_another_catalog(write, small):
    rows = [{"id": "a:m", "title": "sea"}]
    with open_catalogs([index_items(write, "a", A), index_items(write, "b", rows)]) as index:
        with pytest.raises(InputError, match="'a:m' can mean the items 'm' of a and 'a:m' of b; write a:m or b:a:m"):
            find_id(index.store, "a:m")
        assert index.store.keys_of(["b:a:m", "m", "zzz"]) == {"b:a:m": [3], "m": [0]}


def test_an_item_by_two_names_is_one(union, run):
    assert [find_id(union.store, name) for name in ("a:m", "m", "moon", "b:s")] == ["m", "m", "m", "b:s"]
    asked = ["-c", "a", "-c", "b"]
    for names in (["--like", "m", "--unlike", "a:m"], ["--like", "a:m", "--unlike", "moon"]):
        assert "'m' is to be both like and unlike" in run("query", "sea", *asked, *names).err
    assert "'a:m' and 'm' are the same item" in run("explain", "sea", "a:m", "--over", "m", *asked).err


def test_an_item_by_its_title(union):
    assert find_id(union.store, "Moon Sea") == "s"  # an id that both have: whoever uses it says so
    with pytest.raises(InputError, match="2 items are called 'robot'"):
        find_id(union.store, "robot")
    with pytest.raises(InputError, match=r"a, b: no item 'mon'; did you mean 'moon'\?"):
        find_id(union.store, "mon")


def test_a_number_here_and_text_there(union):
    """One of two is too few for a field of numbers: as in one catalog of all, it is mixed."""
    assert ranked(union, "moon", Setting(where=(parse_filter("size = small"),))) == [("b", "r")]
    assert ranked(union, "moon", Setting(where=(parse_filter("size < 9"),))) == [("a", "s")]
    with pytest.raises(InputError, match="size has numbers or dates, and text"):
        search(union, ["moon"], Setting(where=(parse_filter("size < big"),)))
    with pytest.raises(InputError, match="size: 1 of 2 values are not numbers or dates, such as 'small'"):
        search(union, ["moon"], Setting(priors={"size": 1}))


def test_a_field_of_one_catalog_or_of_none(union):
    assert ranked(union, "sea", Setting(where=(parse_filter("has by"),))) == [("b", "s")]
    with pytest.raises(InputError, match="no item of a, b has a field 'siz'; did you mean 'size'"):
        search(union, ["moon"], values=["siz"])


def test_a_field_without_values(write, small):
    rows = [{"id": "n", "title": "moon", "tags": []}]
    message = "no item of a, b has a value in 'tags'"
    names = [index_items(write, "a", A), index_items(write, "b", rows)]
    with open_catalogs(names) as index, pytest.raises(InputError, match=message):
        search(index, ["moon"], values=["tags"])


def test_the_title_is_a_field_by_its_name_in_each_catalog(write, small):
    update([str(write("named.jsonl", '{"id": "n", "name": "moon"}\n'))])
    with open_catalogs([index_items(write, "a", A), "named"]) as index:
        assert ranked(index, "sea", Setting(where=(parse_filter("name = moon"),))) == [("named", "n")]
        assert ranked(index, "sea", Setting(where=(parse_filter("title = moon"),))) == [("a", "m"), ("named", "n")]


def test_a_hint_counts_both(write, small):
    rows = [{"id": str(n), "title": "moon", "by": "Jules Verne" if n > 10 else "Someone Else"} for n in range(12)]
    with open_catalogs([index_items(write, "a", rows), index_items(write, "b", rows[1:])]) as index:
        (result,) = search(index, ["moon by Verne"], k=3)
        assert find_hint(index, result) == ("by", "Verne", 2)
    many = [{"id": f"n{n}", "title": "moon", "by": f"Somebody {n}"} for n in range(1001)]  # too many to be counted
    with open_catalogs(["a", index_items(write, "c", many)]) as index:
        (result,) = search(index, ["moon by Verne"], k=3)
        assert find_hint(index, result) is None


def test_a_title_is_no_hint_by_whatever_name(write, small):
    rows = [{"id": f"n{n}", "name": "Jules Verne" if n == 9 else f"Someone {n}"} for n in range(10)]
    update([str(write("named.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))])
    with open_catalogs([index_items(write, "a", A), "named"]) as index:
        (result,) = search(index, ["moon by Verne"], k=3)
        assert find_hint(index, result) is None


class TestRefused:
    def test_another_encoder(self, write, small, monkeypatch):
        index_items(write, "a", A)
        other = SmallEncoder("other", "6" * 64)
        monkeypatch.setattr(loading, "load", lambda name=None, **options: other)
        index_items(write, "b", B)
        monkeypatch.setattr(loading, "load", lambda name=None, **options: other if name == "other" else small)
        with pytest.raises(InputError, match="a was embedded by small, b by other") as caught:
            open_catalogs(["a", "b"])
        assert caught.value.code == 2

    @pytest.mark.parametrize("identity", ["", "7" * 64])
    def test_another_tokenizer(self, union, identity):
        """Equal weights do only for a catalog of an older attnsearch, which knows no more."""
        part = union.parts[1]
        part.store.info = part.info._replace(identity=identity)
        if identity:
            with pytest.raises(InputError, match="a was embedded by small, b by small"):
                Union(union.parts)
        else:
            assert len(Union(union.parts).stores) == 2

    def test_the_same_catalog_twice(self, write, small):
        path = write("a.jsonl", '{"id": "m", "title": "moon"}\n')
        update([str(path)])
        for refs in (["a", "a"], ["a", str(path)]):
            with pytest.raises(InputError, match="the catalog 'a' is named twice"):
                open_catalogs(refs)
        with pytest.raises(InputError, match="standard input is named twice"):
            open_catalogs(["a", "-", "-"])

    def test_other_lambdas(self, write, small):
        index_items(write, "a", A)
        update([str(write("b.jsonl", '{"id": "m", "title": "moon"}\n'))], lexical=0.5)
        with open_catalogs(["a", "b"]) as index:
            with pytest.raises(InputError, match=r"different λ by default: 0\.0 in a, 0\.5 in b; say which"):
                search(index, ["moon"])
            assert search(index, ["moon"], Setting(lexical=0.3))[0].lexical == 0.3
            assert search(index, ["moon"], Setting(lexical=0.0))[0].lexical == 0

    def test_other_languages(self, write, small):
        index_items(write, "a", A)
        update([str(write("b.jsonl", '{"id": "m", "title": "moon"}\n'))], language="german")
        with open_catalogs(["a", "b"]) as index:
            assert search(index, ["moon"])[0].hits
            with pytest.raises(InputError, match="different languages: english in a, german in b"):
                search(index, ["moon"], Setting(lexical=1.0))

    def test_a_reading_for_two_files(self, write, small):
        with pytest.raises(InputError, match=r"--from can be for - or for .*x\.txt"):
            open_catalogs(["-", str(write("x.txt", "moon\n"))], reading=Reading("lines"))

    def test_what_is_open_is_closed_then(self, write, small):
        index_items(write, "a", A)
        with pytest.raises(CatalogError, match="there is no catalog 'nonesuch'"), catch_closed() as closed:
            open_catalogs(["a", "nonesuch"])
        assert closed == ["a"]


@contextmanager
def catch_closed() -> Iterator[list[str]]:
    closed, close = [], Index.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Index, "close", lambda index: (closed.append(index.info.name), close(index)))
        yield closed


class TestLearned:
    @staticmethod
    def teach(index, temperature: float = 0.5) -> None:
        info = index.info
        w = np.eye(4, dtype=np.float32)[::-1].copy()
        learned = Learned(info.model, info.sha256, w, temperature, identity=info.identity)
        write_learned(index.store.folder / LEARNED, learned)

    def test_the_same_is_used(self, union):
        for part in union.parts:
            self.teach(part)
        (result,) = search(union, ["moon"])
        assert (result.trained, result.temperature) == (True, 0.5)

    @pytest.mark.parametrize(("taught", "message"), [([0], "; a learned"), ([0, 1], "; a and b learned")])
    def test_something_else_is_refused(self, union, taught, message):
        for number in taught:
            self.teach(union.parts[number], 0.5 + number)
        with pytest.raises(InputError, match=f"the catalogs have not learned the same{message}"):
            search(union, ["moon"])
        assert not search(union, ["moon"], Setting(untrained=True))[0].trained
        learned = read_learned(union.parts[0].store.folder / LEARNED)
        assert search(union, ["moon"], Setting(learned=learned))[0].temperature == 0.5


def test_the_encoder_is_the_one_that_all_can_trust(union):
    """A catalog whose fast path was found wrong has the slow one."""
    quick, slow = SmallEncoder(), SmallEncoder()
    slow.quick = False
    for order in ([quick, slow], [slow, quick], [quick, quick]):
        parts = [Index(part.store, encoder) for part, encoder in zip(union.parts, order, strict=True)]
        assert Union(parts).encoder is (slow if slow in order else quick)


def test_a_closed_union_says_so(union):
    union.postings.ensure(["size"])
    union.close()
    assert not union.store.is_open
    for ask in (lambda: search(union, ["moon"]), lambda: union.postings.read_facets("size")):
        with pytest.raises(ClosedError):
            ask()


def test_folders_that_were_copied_have_names_of_their_own(write, small, home):
    index_items(write, "a", A)
    shutil.copytree(home / "a", home / "copy")
    with open_catalogs(["a", "copy"]) as index:
        assert ranked(index, "moon", k=2) == [("a", "m"), ("copy", "m")]
        assert index.info.name == "a, copy"
