"""A logit as a double sum: what each word of the query and each word of an item add to it together.

Axis letters: r = rows, c = columns, t = word pieces, d = width.

Mean pooling makes both vectors sums over word pieces, x = Σ x_i and k = Σ k_j, and the logit is linear in each:

    x W_Q W_Kᵀ kᵀ / √d_k = Σ_i Σ_j x_i W_Q W_Kᵀ k_jᵀ / √d_k
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.pieces import Pieces
from attnsearch.engines.bias import Added
from attnsearch.explanation.words import group_pieces
from attnsearch.search.result import Hit

THE_MARKS = "the marks"  # a name that no word has: it has a space

Doubles = NDArray[np.float64]
By = Literal["words", "pieces"]
Kind = Literal["word", "piece", "mark", "others"]


class Line(NamedTuple):
    """A row or a column: a word, a word piece, or the encoder's marks; and the `sum` of its cells, in logits.

    `start` and `stop` say where it lies in its text, from one character to before another; None for marks, which are
    not in the text. The kind `others` is what `narrow` adds up.
    """

    kind: Kind
    label: str
    start: int | None
    stop: int | None
    sum: float


class Matrix(NamedTuple):
    """A hit's logit, the one that the softmax saw, as a double sum: Σ `cells` + `rounding` + all that is added.

    `rows` (r,) are the words of the `query`, `columns` (c,) those of `text`, which the encoder read of the item, both
    in reading order; `cells` (r, c), in logits, what two of them add together. By words, the encoder's marks, such as
    [CLS] and [SEP], are one row and one column, the last; by pieces, each mark has its own.

    `strongest` is the largest |cell|, against which all cells are colored. `semantic` = Σ cells + rounding is the logit
    without what is added. `rounding` is what arithmetic lost on the way: next to nothing in float32, about 0.01 if the
    stored vector was made in bfloat16. `lexical` is by term, `prior` by field, `memory` by judged request: what
    is added, in logits.
    """

    hit: Hit
    query: str
    text: str
    by: By
    rows: list[Line]
    columns: list[Line]
    cells: Doubles
    strongest: float
    semantic: float
    rounding: float
    lexical: Mapping[str, float]
    prior: Mapping[str, float]
    memory: Mapping[str, float] = {}

    @property
    def logit(self) -> float:
        """The corner: what everything adds up to."""
        return self.hit.logit

    @property
    def sum(self) -> float:
        """Σ cells, the sum of the rows' sums and that of the columns'."""
        return float(self.cells.sum())

    @property
    def strengths(self) -> Doubles:
        """The cells (r, c) as shares of the strongest; those of the others may be beyond -1 and 1."""
        return self.cells / self.strongest if self.strongest else self.cells


def cross(hit: Hit, added: Added, query: tuple[str, Pieces], item: tuple[str, Pieces], by: By) -> Matrix:
    """The matrix of a hit, to whose logit a bias has `added`, from the two texts and their pieces.

    The query's pieces are folded: x_i W_Q W_Kᵀ / √d_k (t, d).
    """
    rows, row_vectors = _group(*query, by)
    columns, column_vectors = _group(*item, by)
    cells = row_vectors @ column_vectors.T
    semantic = hit.logit - added.total
    return Matrix(
        hit=hit,
        query=query[0],
        text=item[0],
        by=by,
        rows=[line._replace(sum=float(total)) for line, total in zip(rows, cells.sum(axis=1), strict=True)],
        columns=[line._replace(sum=float(total)) for line, total in zip(columns, cells.sum(axis=0), strict=True)],
        cells=cells,
        strongest=float(np.abs(cells).max(initial=0.0)),
        semantic=semantic,
        rounding=semantic - float(cells.sum()),
        lexical=added.lexical,
        prior=added.prior,
        memory=added.memory,
    )


def narrow(matrix: Matrix, rows: int, columns: int) -> Matrix:
    """The matrix with the marks, and of the words those that add or take most: so many rows and columns, in order.

    All other rows become one, and so do all other columns: everything still adds up.
    """
    weights = np.abs(matrix.cells)
    chosen_rows, row_lines = _choose(matrix.rows, weights.sum(axis=1), rows)
    chosen_columns, column_lines = _choose(matrix.columns, weights.sum(axis=0), columns)
    cells = np.array([matrix.cells[some].sum(axis=0) for some in chosen_rows])
    cells = np.array([cells[:, some].sum(axis=1) for some in chosen_columns]).T
    return matrix._replace(rows=row_lines, columns=column_lines, cells=cells)


def _choose(lines: Sequence[Line], weights: Doubles, count: int) -> tuple[list[list[int]], list[Line]]:
    """The numbers of the lines that each new line sums up, and the new lines."""
    ranked = sorted(range(len(lines)), key=lambda i: (lines[i].kind != "mark", -weights[i]))
    chosen, others = sorted(ranked[:count]), sorted(ranked[count:])
    groups, new = [[i] for i in chosen], [lines[i] for i in chosen]
    if others:
        total = sum(lines[i].sum for i in others)
        noun = "other" if len(others) == 1 else "others"
        end = max((i for i, line in enumerate(lines) if line.kind != "mark"), default=0)
        place = sum(i <= end for i in chosen)  # after the words, before the marks at the end
        groups.insert(place, others)
        new.insert(place, Line("others", f"{len(others)} {noun}", None, None, total))
    return groups, new


def _group(text: str, pieces: Pieces, by: By) -> tuple[list[Line], Doubles]:
    """The words of a text and its marks, or its pieces: each a line without its sum, and its part of the vector."""
    if by == "pieces":
        lines = []
        for token, span in zip(pieces.tokens, pieces.spans, strict=True):
            start, stop = span or (None, None)
            lines.append(Line("piece" if span else "mark", token, start, stop, 0.0))
        return lines, pieces.vectors
    groups, marks = group_pieces(text, pieces.spans)
    lines = [Line("word", group.word, group.start, group.stop, 0.0) for group in groups]
    numbers = [group.pieces for group in groups]
    if marks:
        lines.append(Line("mark", THE_MARKS, None, None, 0.0))
        numbers.append(marks)
    return lines, np.array([pieces.vectors[some].sum(axis=0) for some in numbers])
