"""Double sums by hand, by property, and of the real model."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.attention.projections import Projections, identity
from attnsearch.encoding import loading
from attnsearch.encoding.pieces import Pieces
from attnsearch.errors import InputError
from attnsearch.explanation.matrix import Line, narrow
from attnsearch.explanation.reasons import explain_pairs
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from tests.conftest import AXES, SmallEncoder
from tests.search.conftest import index_items

EXACT = 1e-9  # logits: sums of a few thousand float64 numbers are off by 1e-13
LOST = 2e-4  # logits: float32 loses up to 1.1e-5 of 1/τ = 20, by the processor's kernel

ITEMS = "- {id: m, title: moon}\n- {id: ms, title: Moon and sea}\n- {id: r, title: robot}\n"


class MarkedEncoder(SmallEncoder):
    """The small encoder with marks, and with two pieces for each longer word: "moon" is mo, 3/4, and ##on, 1/4."""

    def encode(self, texts, role="key", progress=None):
        self.read += texts
        x = np.array([pieces.vectors.sum(axis=0) for pieces in map(self._split, texts)], np.float32)
        if progress:
            progress(range(len(texts)), x)
        return x

    def tokens(self, text):
        return list(self.pieces([text])[0].tokens)

    def pieces(self, texts, role="key"):
        return [self._split(text) for text in texts]

    def _split(self, text):
        rows = [("[CLS]", None, np.array([0.25, 0, 0.5, 0.125]))]
        for word in re.finditer(r"\w+|[^\w\s]", text):
            axis = np.eye(len(AXES) + 1)[([*AXES, word[0].lower()]).index(word[0].lower())]
            start, stop = word.span()
            if len(word[0]) < 3:
                rows.append((word[0], (start, stop), axis))
            else:
                rows.append((word[0][:2].lower(), (start, start + 2), axis * 0.75))
                rows.append((f"##{word[0][2:].lower()}", (start + 2, stop), axis * 0.25))
        rows.append(("[SEP]", None, np.array([0, -0.5, 0.25, 1.0])))
        tokens, spans, vectors = zip(*rows[: self.window], strict=True)
        x = np.array(vectors)
        return Pieces(spans, x / np.linalg.norm(x.sum(axis=0)), tokens)


@pytest.fixture
def marked(monkeypatch):
    encoder = MarkedEncoder()
    monkeypatch.setattr(loading, "load", lambda name=None, **options: encoder)
    return encoder


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


def labels(lines):
    return [line.label for line in lines]


def check(matrix, lost=LOST):
    """Rows and columns add up to their margins, these to the same, and all to the logit that is shown."""
    assert matrix.cells.shape == (len(matrix.rows), len(matrix.columns))
    assert [line.sum for line in matrix.rows] == pytest.approx(matrix.cells.sum(axis=1), abs=EXACT)
    assert [line.sum for line in matrix.columns] == pytest.approx(matrix.cells.sum(axis=0), abs=EXACT)
    for lines in (matrix.rows, matrix.columns):
        assert sum(line.sum for line in lines) == pytest.approx(matrix.sum, abs=EXACT)
    assert matrix.sum + matrix.rounding == pytest.approx(matrix.semantic, abs=EXACT)
    whole = matrix.semantic + sum(matrix.lexical.values()) + sum(matrix.prior.values())
    assert whole == pytest.approx(matrix.logit, abs=EXACT)
    assert abs(matrix.rounding) < lost
    for text, lines in ((matrix.query, matrix.rows), (matrix.text, matrix.columns)):
        for line in lines:
            assert (line.start is None) == (line.stop is None)
            if matrix.by == "words" and line.start is not None:
                assert text[line.start : line.stop] == line.label


def test_words_meet_only_where_they_are_equal_by_hand(index):
    """τ = 1/4: four times (moon + sea)/√2 with (Moon + and + sea)/√3, so 4/√6 where the words are equal."""
    result = rank_items(index, "moon sea", Setting(identity(4, 0.25)), ["ms"])
    explained, (matrix,) = explain_pairs(index, result)
    assert (labels(matrix.rows), labels(matrix.columns)) == (["moon", "sea"], ["Moon", "and", "sea"])
    each = 4 / math.sqrt(6)
    assert matrix.cells == pytest.approx(np.array([[each, 0, 0], [0, 0, each]]))
    assert (matrix.hit, matrix.query, matrix.text) == (result.hits[0], "moon sea", "Moon and sea")
    assert matrix.logit == pytest.approx(2 * each)
    assert matrix.strengths == pytest.approx(np.array([[1, 0, 0], [0, 0, 1]]))
    assert [word.word for word in explained.whys[0].item.words] == labels(matrix.columns)
    check(matrix)


def test_a_result_without_a_trace_is_refused(index):
    with pytest.raises(InputError, match="without a trace"):
        explain_pairs(index, search(index, ["moon"])[0])


def test_words_add_up_their_pieces_and_marks_stand_apart(write, marked):
    """By pieces, each mark is a row or column of its own; by words, all are the last, and the sums are the same."""
    update([str(write("x.yaml", "- {id: a, title: 'Moon, sea!'}\n- {id: b, title: robot}\n"))])
    with Index.open("x") as index:
        result = rank_items(index, "sea moon", Setting(), ["a"])
        _, (by_pieces,) = explain_pairs(index, result, "pieces")
        _, (by_words,) = explain_pairs(index, result)
    assert labels(by_pieces.rows) == ["[CLS]", "se", "##a", "mo", "##on", "[SEP]"]
    assert labels(by_pieces.columns) == ["[CLS]", "mo", "##on", ",", "se", "##a", "!", "[SEP]"]
    assert [line.kind for line in by_pieces.rows] == ["mark", *["piece"] * 4, "mark"]
    assert [(line.start, line.stop) for line in by_pieces.columns[1:4]] == [(0, 2), (2, 4), (4, 5)]
    assert (labels(by_words.rows), labels(by_words.columns)) == (
        ["sea", "moon", "the marks"],
        ["Moon", "sea", "the marks"],
    )
    assert [line.kind for line in by_words.columns] == ["word", "word", "mark"]
    rows, columns = [[1, 2], [3, 4], [0, 5]], [[1, 2, 3], [4, 5, 6], [0, 7]]
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        assert by_words.cells[i, j] == pytest.approx(by_pieces.cells[np.ix_(row, column)].sum(), abs=EXACT)
    for matrix in (by_pieces, by_words):
        check(matrix)
        assert matrix.strongest == np.abs(matrix.cells).max() > 0
        assert matrix.logit == result.hits[0].logit


def test_terms_and_priors_have_cells(write, marked):
    update([str(write("x.yaml", "- {id: a, title: moon sea, price: 1}\n- {id: b, title: robot, price: 3}\n"))])
    with Index.open("x") as index:
        result = rank_items(index, "moon", Setting(lexical=0.5, priors={"price": 2.0}), ["a"])
        explained, (matrix,) = explain_pairs(index, result)
    assert (matrix.lexical, matrix.prior) == (explained.whys[0].lexical, explained.whys[0].prior)
    assert list(matrix.lexical) == ["moon"]
    assert dict(matrix.prior) == {"price": -0.5}
    check(matrix)


def test_what_a_stored_vector_is_off_is_rounding(write, marked, monkeypatch):
    """An encoder whose vectors are one per cent longer than those that were stored."""
    update([str(write("x.yaml", "- {id: a, title: moon}\n"))])
    exact = marked.pieces
    monkeypatch.setattr(marked, "pieces", lambda texts, role="key": [
        pieces._replace(vectors=pieces.vectors * (1.01 if role == "key" else 1)) for pieces in exact(texts, role)
    ])  # fmt: skip
    with Index.open("x") as index:
        _, (matrix,) = explain_pairs(index, rank_items(index, "moon", Setting(), ["a"]))
    assert (matrix.sum, matrix.rounding) == (pytest.approx(20.2), pytest.approx(-0.2, abs=LOST))
    check(matrix, lost=0.21)


@pytest.mark.parametrize("role", ["query", "key"])
def test_an_encoder_without_pieces_is_refused(index, small, monkeypatch, role):
    exact = small.pieces
    monkeypatch.setattr(
        small, "pieces", lambda texts, asked="key": [None] * len(texts) if asked == role else exact(texts, asked)
    )
    with pytest.raises(InputError, match="can't be told with small"):
        explain_pairs(index, rank_items(index, "moon", Setting(), ["m"]))


def test_a_query_made_of_items_is_refused(index):
    with pytest.raises(InputError, match="made of items"):
        explain_pairs(index, rank_items(index, "moon", Setting(like=("r",)), ["m"]))


words = st.sampled_from(["moon", "Sea", "robot,", "of", "the", "日本", "moon-sea", "🚀", "…"])
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
long_texts = st.lists(words, min_size=2, max_size=3).map(lambda few: " ".join(word for word in few for _ in range(60)))
items = st.fixed_dictionaries({"title": texts, "description": texts | long_texts}, optional={"a": st.integers(0, 9)})
numbers = itertools.count()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_everything_adds_up(write, marked, data):
    """For random catalogs, one or several, with bias, mask, passages and matrices, by words and by pieces."""
    run = next(numbers)
    parts = data.draw(st.lists(st.lists(items, min_size=1, max_size=4), min_size=1, max_size=3))
    names = [
        index_items(write, f"c{run}-{n}", [{"id": f"i{n}-{i}", **item} for i, item in enumerate(part)])
        for n, part in enumerate(parts)
    ]
    has_numbers = any("a" in item for part in parts for item in part)
    setting = Setting(
        lexical=data.draw(st.sampled_from([None, 0.3, 2.0])),
        priors=data.draw(st.sampled_from([{}, {"a": 1.5}])) if has_numbers else {},
        where=(parse_filter("a >= 3"),) if has_numbers and data.draw(st.booleans()) else (),
    )
    if data.draw(st.booleans()):
        w_q, w_k = np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=(2, 4, 3)).astype(np.float32)
        setting = setting._replace(projections=Projections(w_q, w_k, np.eye(4, dtype=np.float32), 0.5))
    text, by = data.draw(texts), data.draw(st.sampled_from(["words", "pieces"]))
    with open_catalogs(names) as index:
        (result,) = search(index, [text], setting, trace=True)
        explained, matrices = explain_pairs(index, result, by)
    assert len(matrices) == len(explained.whys) == len(result.hits)
    for hit, why, matrix in zip(result.hits, explained.whys, matrices, strict=True):
        assert (matrix.hit, matrix.logit, matrix.query) == (hit, hit.logit, text)
        check(matrix)
        assert np.abs(matrix.strengths).max() == pytest.approx(1.0 if matrix.cells.any() else 0.0)
        assert (matrix.lexical, matrix.prior, matrix.semantic) == (why.lexical, why.prior, why.semantic)
        for lines, total in ((matrix.rows, why.query), (matrix.columns, why.item)):
            marks = sum(line.sum for line in lines if line.kind == "mark")
            assert marks == pytest.approx(total.marks, abs=LOST)
            if by == "words":
                shares = [
                    (word.word, word.start, word.stop, pytest.approx(word.share, abs=LOST)) for word in total.words
                ]
                assert [
                    (line.label, line.start, line.stop, line.sum) for line in lines if line.kind == "word"
                ] == shares


class TestNarrow:
    @pytest.fixture
    def matrix(self, write, marked):
        update([str(write("x.yaml", "- {id: a, title: the moon and a robot of the sea}\n"))])
        with Index.open("x") as index:
            _, (matrix,) = explain_pairs(index, rank_items(index, "robot robot robot or moon", Setting(), ["a"]))
            return matrix

    def test_with_room_for_all_nothing_changes(self, matrix):
        narrowed = narrow(matrix, 99, 99)
        assert (narrowed.cells == matrix.cells).all()
        assert narrowed._replace(cells=None) == matrix._replace(cells=None)

    def test_the_marks_and_the_words_that_matter_most_stay(self, matrix):
        """Of the item, robot is strongest; it stays before the marks, and after it, the others."""
        narrowed = narrow(matrix, 99, 2)
        assert labels(narrowed.columns) == ["robot", "7 others", "the marks"]
        assert narrowed.columns[1] == Line("others", "7 others", None, None, pytest.approx(
            sum(line.sum for line in matrix.columns if line.label not in ("robot", "the marks")), abs=EXACT
        ))  # fmt: skip
        numbers = [labels(matrix.columns).index(label) for label in ("robot", "the marks")]
        assert narrowed.cells[:, [0, 2]] == pytest.approx(matrix.cells[:, numbers], abs=EXACT)
        check(narrowed)

    def test_rows_are_narrowed_like_columns(self, matrix):
        assert labels(narrow(matrix, 5, 99).rows)[-2:] == ["1 other", "the marks"]
        assert labels(narrow(matrix, 1, 1).rows) == ["5 others", "the marks"]
        assert narrow(matrix, 0, 0).cells == pytest.approx(np.array([[matrix.sum]]))
        assert narrow(matrix, 2, 2).strongest == matrix.strongest

    def test_what_takes_matters_as_what_adds(self, matrix):
        """A column that is against it, and one whose cells cancel, are shown before one of zeros."""
        cells = np.zeros((2, 3))
        cells[:, 1] = 3, -3
        cells[:, 2] = -1, -1
        lines = [Line("word", name, 0, 1, total) for name, total in (("a", 0.0), ("b", 0.0), ("c", -2.0))]
        matrix = matrix._replace(rows=lines[:2], columns=lines, cells=cells)
        assert labels(narrow(matrix, 2, 1).columns) == ["b", "2 others"]
        assert labels(narrow(matrix, 2, 2).columns) == ["b", "c", "1 other"]

    def test_the_others_stand_between_the_marks(self, write, marked):
        update([str(write("y.yaml", "- {id: a, title: the moon}\n"))])
        with Index.open("y") as index:
            _, (matrix,) = explain_pairs(index, rank_items(index, "moon", Setting(), ["a"]), "pieces")
        assert labels(narrow(matrix, 2, 2).columns) == ["[CLS]", "4 others", "[SEP]"]

    def test_of_marks_alone_the_first_stay(self, matrix):
        lines = [Line("mark", name, None, None, 1.0) for name in "ab"]
        narrowed = narrow(matrix._replace(rows=lines, columns=lines, cells=np.ones((2, 2))), 1, 1)
        assert labels(narrowed.columns) == ["a", "1 other"]


THINGS = ("war", "whales", "Mars", "love", "a detective in London", "ships lost in the ice", "money")
REQUESTS = [
    "science fiction", "a", "?!", "🚀", "🚀🚀 on 👩\u200d🚀", "ein Buch über den Krieg", "un roman d'amour à Paris",
    "小説", "日本の小説 について", "книга о войне", "رواية عن الحب", "מסע אל הירח", "π ≈ 3.14", "C or C++", "café",
    "İstanbul ﬁn Straße", "[CLS] science [SEP]", "[MASK]", "x" * 300, "word " * 400, "a book, which is, long. " * 30,
    "moon\tand\nsea", "don't", "e-mail me at a@b.org", "https://example.org/a?b=c", "1984", "\x1b[31mred\x1b[0m",
    "\u202egpj", "one", "two words", "two  spaces",
    *(f"{mood} book about {thing}" for mood in ("a sad", "a funny", "any") for thing in THINGS),
]  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("by", ["words", "pieces"])
def test_the_real_model(by):
    """Each matrix of the three best books adds up to the logit, whatever the script and the length."""
    assert len(REQUESTS) > 50
    setting = Setting(lexical=0.3, priors={"year": 1.0})
    with Index.open("library") as index:
        for result in search(index, REQUESTS, setting, k=3, trace=True):
            _, matrices = explain_pairs(index, result, by)
            tokens = index.encoder.tokens(result.query)
            for matrix in matrices:
                check(matrix)
                if by == "pieces":
                    assert labels(matrix.rows)[:-1] == tokens[: index.encoder.window - 1][: len(matrix.rows) - 1]
                    assert len(matrix.rows) == min(len(tokens), index.encoder.window)
