"""A pupil with a pocket calculator: each step is computed from what is printed before it, and from nothing else."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import pytest

from attnsearch.cli import main
from attnsearch.lesson import library
from attnsearch.lesson.story import LAST

BOOKS = library.TITLES
NUMBER = re.compile(r"(?<![\w.])(<?-?(?:[\d,]+(?:\.\d+)?|∞)%?)(?![\w.])")

Row = list[str]


class Pipe(io.StringIO):
    """What reads stdout, in UTF-8."""

    encoding = "utf-8"


def printed(number: int) -> str:
    """The text of a slide."""
    with contextlib.redirect_stdout(Pipe()) as pipe:
        assert main(["lesson", "--plain", "--step", str(number)]) == 0
    return pipe.getvalue()


SLIDES = {number: printed(number) for number in range(1, LAST)}


def rows(number: int, name: str) -> list[Row]:
    """The numbers in each row of a slide that has this name, as they are printed."""
    lines = [line for line in SLIDES[number].splitlines() if re.match(rf"{re.escape(name)} {{2}}", line)]
    assert lines, (number, name)
    return [NUMBER.findall(line[len(name) :]) for line in lines]


def row(number: int, name: str) -> Row:
    (only,) = rows(number, name)
    return only


def values(cells: Sequence[str]) -> list[float]:
    """The numbers of cells: a percentage is a share, and what is below a tenth of a percent counts as nothing."""
    return [
        0.0
        if cell.startswith("<")
        else float(cell[:-1]) / 100
        if cell.endswith("%")
        else float(cell.replace("∞", "inf"))
        for cell in cells
    ]


def write_like(number: float, cell: str) -> str:
    """A number as a pupil writes it down: rounded to the digits of the printed cell, halves up."""
    is_share = cell.endswith("%")
    if is_share and 0 < number < 0.0005:
        return "<0.1%"
    bare = cell.removeprefix("<").removesuffix("%")
    digits = Decimal(1).scaleb(-len(bare.partition(".")[2]))
    rounded = Decimal(repr(round(number * (100 if is_share else 1), 9))).quantize(digits, ROUND_HALF_UP) + 0
    return f"{rounded if rounded else abs(rounded)}{'%' * is_share}"


def assert_printed(numbers: Sequence[float], cells: Sequence[str]) -> None:
    assert [write_like(number, cell) for number, cell in zip(numbers, cells, strict=True)] == list(cells)


def softmax_by_hand(
    logits: Sequence[float], exps: Sequence[str], weights: Sequence[str], totals: Sequence[str]
) -> None:
    """Check exps from printed logits, their sum from printed exps, weights from printed exps and sum, and 100%."""
    assert_printed([math.exp(logit) for logit in logits], exps)
    assert_printed([sum(values(exps)), 1.0], totals)
    total = values(totals)[0]
    assert_printed([exp / total for exp in values(exps)], weights)
    assert_adds_up(weights)


def assert_adds_up(weights: Sequence[str]) -> None:
    """Check that percentages add up to 100.0, as they are printed."""
    assert sum(Decimal(cell.removesuffix("%")) for cell in weights if not cell.startswith("<")) == 100


def times(vector: Sequence[float], matrix: Sequence[Sequence[float]]) -> list[float]:
    return [
        sum(number * cell for number, cell in zip(vector, column, strict=True)) for column in zip(*matrix, strict=True)
    ]


def matrices(number: int, *widths: int) -> list[list[list[float]]]:
    """The matrices side by side in the rows space, love and fear, of these widths."""
    cells = [values(row(number, name)) for name in library.CARD]
    starts = [sum(widths[:i]) for i in range(len(widths))]
    return [[line[start : start + width] for line in cells] for start, width in zip(starts, widths, strict=True)]


class TestSteps:
    def test_1_the_words_add_up_to_x(self):
        words = [values(row(1, name)) for name in library.WORDS]
        assert_printed([sum(column) for column in zip(*words, strict=True)], row(1, "x"))

    def test_2_q_is_x_times_w_q(self):
        x, w_q, added = matrices(2, 1, 4, 4)
        assert [number for (number,) in x] == values(row(1, "x"))
        for (number,), weights, products in zip(x, w_q, added, strict=True):
            assert [number * weight for weight in weights] == products
        assert_printed([sum(column) for column in zip(*added, strict=True)], row(2, "q"))

    def test_3_k_and_v_are_cards_times_w_k_and_w_v(self):
        w_k, w_v = matrices(3, 4, 3)
        for book in BOOKS:
            cells = row(3, book)
            card = values(cells[:3])
            assert_printed([*times(card, w_k), *times(card, w_v)], cells[3:])

    def test_4_products_add_up_to_q_times_k(self):
        q = row(4, "q")
        assert q == row(2, "q")
        for book in BOOKS:
            cells = row(4, book)
            assert cells[:4] == row(3, book)[3:7]
            parts = [a * b for a, b in zip(values(q), values(cells[:4]), strict=True)]
            assert_printed(parts, cells[4:8])
            assert_printed([sum(values(cells[4:8]))], cells[8:])

    def test_5_logits_are_half_the_products(self):
        assert "d_k = 4, and √d_k = 2" in " ".join(SLIDES[5].split())
        for book in BOOKS:
            product, logit = row(5, book)
            assert product == row(4, book)[8]
            assert_printed([float(product) / 2], [logit])

    def test_6_weights_are_the_softmax_of_logits(self):
        cells = [row(6, book) for book in BOOKS]
        logits, exps, weights = zip(*cells, strict=True)
        assert list(logits) == [row(5, book)[1] for book in BOOKS]
        softmax_by_hand(values(logits), exps, weights, row(6, "sum"))

    def test_7_the_output_is_the_weighted_sum_of_v(self):
        cells = [row(7, book) for book in BOOKS]
        for book, line in zip(BOOKS, cells, strict=True):
            assert line[0] == row(6, book)[2]
            assert line[1:4] == row(3, book)[7:]
            assert_printed([values(line[:1])[0] * value for value in values(line[1:4])], line[4:])
        assert_printed(
            [sum(column) for column in zip(*(values(line[4:]) for line in cells), strict=True)], row(7, "output")
        )

    def test_the_story_has_the_numbers_of_the_tables(self):
        first, second = (row(6, book)[2] for book in BOOKS[:2])
        wonder, tears, chills = row(7, "output")
        text = " ".join(SLIDES[7].split())
        assert f"You walk home with {first} of {BOOKS[0]}, {second} of {BOOKS[1]}" in text
        assert f"{wonder} pages of wonder, {tears} of tears and {chills} of chills" in text
        assert f"{first} of her attention is on {BOOKS[0]}" in SLIDES[6]


class TestVariations:
    def test_8_divided_by_the_root_others_keep_a_share(self):
        cells = [row(8, book) for book in BOOKS]
        products, bare, divided, scaled, lengths, cosines, halves, weights = zip(*cells, strict=True)
        assert_printed([4 * values(row(4, book)[8:])[0] for book in BOOKS], products)
        assert_shares(values(products), bare)
        assert_printed([number / 4 for number in values(products)], divided)
        assert_shares(values(divided), scaled)
        assert_printed([math.sqrt(sum(n * n for n in values(row(3, book)[3:7]))) for book in BOOKS], lengths)
        q_length = math.sqrt(sum(number * number for number in values(row(2, "q"))))
        assert q_length == 2
        products = [values(row(4, book)[8:])[0] for book in BOOKS]
        assert_printed([p / (q_length * k) for p, k in zip(products, values(lengths), strict=True)], cosines)
        assert_printed([number / 2 for number in values(cosines)], halves)
        assert_shares(values(halves), weights)
        assert f"4 / (2 × {lengths[0]}) = {cosines[0]}" in " ".join(SLIDES[8].split())

    def test_9_each_temperature_has_its_weights(self):
        cells = [row(9, book) for book in BOOKS]
        cosines, *strip = zip(*cells, strict=True)
        assert list(cosines) == [row(8, book)[5] for book in BOOKS]
        (head,) = (line for line in SLIDES[9].splitlines() if line.split()[:1] == ["cosine"] and "/" not in line)
        temperatures = [float(number) for number in head.split()[1:]]
        assert temperatures == [2, 1, 0.2, 0.05, 0.02]
        for temperature, weights in zip(temperatures, strip, strict=True):
            assert_shares([cosine / temperature for cosine in values(cosines)], weights)
        assert strip[0] == tuple(row(8, book)[7] for book in BOOKS)

    def test_10_a_masked_book_has_no_weight(self):
        cells = [row(10, book) for book in BOOKS]
        logits, exps, weights = zip(*cells, strict=True)
        assert logits == ("-∞", *(row(6, book)[0] for book in BOOKS[1:]))
        softmax_by_hand(values(logits), exps, weights, row(10, "sum"))

    def test_11_a_bias_is_added_to_the_logit(self):
        cells = [row(11, book) for book in BOOKS]
        before, bias, logits, exps, weights = zip(*cells, strict=True)
        assert list(before) == [row(6, book)[0] for book in BOOKS]
        assert_printed([a + b for a, b in zip(values(before), values(bias), strict=True)], logits)
        softmax_by_hand(values(logits), exps, weights, row(11, "sum"))

    def test_12_a_null_key_takes_its_share(self):
        cells = [row(12, name) for name in (*BOOKS, library.NOTHING)]
        for start, total in ((0, 0), (3, 2)):
            logits, exps, weights = zip(*(line[start : start + 3] for line in cells), strict=True)
            expected = [row(6, book)[0] if not start else "0" for book in BOOKS]
            assert list(logits) == [*expected, "1.5"]
            softmax_by_hand(values(logits), exps, weights, row(12, "sum")[total : total + 2])
        assert values(cells[-1])[5] > 0.5
        assert f"that card gets {cells[-1][5]}" in " ".join(SLIDES[12].split())

    def test_13_a_learned_w_q_changes_the_answer(self):
        x, before, learned = matrices(13, 1, 4, 4)
        assert [number for (number,) in x] == values(row(1, "x"))
        q = row(13, "q")
        assert_printed([*times([n for (n,) in x], before), *times([n for (n,) in x], learned)], q)
        cells = [row(13, book) for book in BOOKS]
        for line in cells:
            assert_printed([sum(a * b for a, b in zip(values(q[4:]), values(line[:4]), strict=True))], line[5:6])
        *_, old, products, logits, exps, weights = zip(*cells, strict=True)
        assert list(old) == [row(6, book)[2] for book in BOOKS]
        assert_printed([number / 2 for number in values(products)], logits)
        softmax_by_hand(values(logits), exps, weights, row(13, "sum")[1:])
        assert max(values(weights)) == values(weights)[1] != max(values(old))


def assert_shares(logits: Sequence[float], weights: Sequence[str]) -> None:
    """Check weights whose exps are not printed: they come from the printed logits, and add up to 100%."""
    exps = [math.exp(logit) for logit in logits]
    assert_printed([exp / sum(exps) for exp in exps], weights)
    assert_adds_up(weights)


@pytest.mark.parametrize("number", SLIDES)
def test_a_slide_fits_a_screen_of_24_rows(number):
    """With the line below it that waits for Enter."""
    lines = SLIDES[number].splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80


@pytest.mark.real
def test_14_the_numbers_of_the_encoder_follow_within_their_digits():
    """Its numbers were not chosen: a pupil's may be off by what the printed digits leave open."""
    text = printed(LAST)
    assert len(text.splitlines()) <= 23
    rows = [NUMBER.findall(line) for line in text.splitlines() if line.endswith("%")]
    *best, (_, others, rest), (total, whole) = [[cell.replace(",", "") for cell in cells] for cells in rows]
    assert len(best) == 4
    for product, logit, exp, weight in best:
        assert float(product) / 19.5959 == pytest.approx(float(logit), abs=2e-4)
        assert math.exp(float(logit)) == pytest.approx(float(exp), rel=1e-3)
        assert float(exp) / float(total) == pytest.approx(values([weight])[0], abs=1e-3)
    assert sum(float(exp) for exp in [*(line[2] for line in best), others]) == pytest.approx(float(total), abs=3)
    assert sum(values([*(line[3] for line in best), rest])) == pytest.approx(1, abs=3e-3)
    assert whole == "100.0%"
    (factor,) = re.findall(r"by (391\.918) = √384 / 0\.05", " ".join(text.split()))
    assert math.sqrt(384) / 0.05 == pytest.approx(float(factor), abs=1e-3)
    for name in ("1st number", "2nd number", "3rd number", "length"):
        (line,) = (line for line in text.splitlines() if line.startswith(name))
        x, q, *_ = (float(cell) for cell in NUMBER.findall(line.removeprefix(name)))
        assert x * float(factor) == pytest.approx(q, abs=0.01)
