"""Results → the page of a query: ranked tables, why items have their logits, and the steps of the formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.output.columns import NOTHING, Shown
from attnsearch.output.notes import footer, name_catalogs, remarks
from attnsearch.output.ranking import describe
from attnsearch.pages.grid import matrix_grid
from attnsearch.pages.page import render
from attnsearch.pages.shades import shade
from attnsearch.pictures.matrix import name_added
from attnsearch.pictures.reasons import KINDS, spell_lead, strengths

if TYPE_CHECKING:
    from attnsearch.explanation.matrix import Matrix
    from attnsearch.explanation.reasons import Lead
    from attnsearch.explanation.steps import Step
    from attnsearch.pages.figures import Picture
    from attnsearch.search.result import Hit, Result, Sum, Why
    from attnsearch.search.setting import Setting

_NAMED = 1 / 4  # of the strongest word's share: from here on a word has its number under it


class _Row(NamedTuple):
    """A hit, what is shown of its text, and the cells of its fields."""

    hit: Hit
    description: str
    cells: list[str]


class _ShadedWord(NamedTuple):
    """A word, what stands before it, what it adds, the class of its shade, and whether its number is shown."""

    before: str
    word: str
    share: float
    shade: str
    is_strong: bool


class _ShadedText(NamedTuple):
    """The text of the query or of the item, whose words are shaded by what they add."""

    side: str
    words: list[_ShadedWord]
    after: str
    total: Sum


class _Reason(NamedTuple):
    """Why a hit has its logit."""

    hit: Hit
    why: Why
    texts: list[_ShadedText]


class _Answer(NamedTuple):
    """A result, with all that its section shows. `is_top` says that no item ranks above those that are shown."""

    result: Result
    rows: list[_Row]
    remarks: list[str]
    footer: str
    is_top: bool
    reasons: list[_Reason]
    steps: list[Step]


def ranking_page(
    results: Sequence[Result],
    command: Sequence[str],
    *,
    setting: Setting,
    shown: Shown = NOTHING,
    lead: Lead | None = None,
    pairs: Matrix | None = None,
    picture: Picture | None = None,
    together: Sequence[Step] = (),
) -> str:
    """The page of results in one setting.

    With `lead`, the one result has two hits, and it says what parts them; `pairs` is the double sum of its one hit.
    `picture` is the map of the items, `together` the steps of several requests at once.
    """
    return render(
        "ranking",
        command,
        answers=[_to_answer(result, shown) for result in results],
        catalogs=name_catalogs(results[0]) if results else "nothing",
        columns=shown.columns,
        setting=setting,
        lead=lead,
        lead_sentence=lead and spell_lead(lead),
        kinds=KINDS,
        picture=picture,
        together=together,
        matrix=pairs,
        grid=pairs and matrix_grid(pairs),
        added=pairs and name_added(pairs),
    )


def _to_answer(result: Result, shown: Shown) -> _Answer:
    steps = []
    if result.trace:
        from attnsearch.explanation.steps import explain_steps

        steps = explain_steps(result)
    return _Answer(
        result,
        [_Row(hit, describe(hit), shown.cells(hit)) for hit in result.hits],
        remarks(result),
        footer(result),
        all(hit.rank == number for number, hit in enumerate(result.hits, 1)),
        [_to_reason(hit, why) for hit, why in zip(result.hits, result.whys or (), strict=False)],
        steps,
    )


def _to_reason(hit: Hit, why: Why) -> _Reason:
    sides = (("query", why.query), ("item", why.item))
    return _Reason(hit, why, [_shade_text(side, total) for side, total in sides if total])


def _shade_text(side: str, total: Sum) -> _ShadedText:
    words, end = [], 0
    for word, strength in zip(total.words, strengths(total), strict=True):
        words.append(
            _ShadedWord(total.text[end : word.start], word.word, word.share, shade(strength), abs(strength) >= _NAMED)
        )
        end = word.stop
    return _ShadedText(side, words, total.text[end:].rstrip(), total)
