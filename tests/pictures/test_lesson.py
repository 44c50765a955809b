from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from attnsearch.lesson import library
from attnsearch.lesson.slide import Column, Group, Slide, Table
from attnsearch.lesson.steps import steps
from attnsearch.lesson.variations import variations
from attnsearch.output.safe_text import Screen, simplified
from attnsearch.pictures.lesson import draw_slide
from attnsearch.pictures.palette import letter_style

SLIDES = [*steps(), *variations()]
NUMBER = re.compile(r"<?-?(?:\d[\d.]*|∞)%?")
COLORS = re.compile(r"\x1b\[[\d;]*m")


def numbers(slide: Slide, width: int) -> list[str]:
    """The numbers in the tables of a drawn slide, sorted: those of rows, not of the story or of headings."""
    names = sorted({name for table in slide.tables for name in table.rows}, key=len, reverse=True)
    printed = []
    for line in draw_slide(slide, Screen(width=width)).splitlines():
        for name in names:
            start = next((name[:end] for end in range(len(name), 4, -1) if line.startswith(name[:end])), "")
            start = start or (name if line.startswith(f"{name} ") else "")
            if start and re.fullmatch(r"…? *[<\d.% ∞█▏▎▍▌▋▊▉-]+", line[len(start) :]):
                printed += NUMBER.findall(line[len(start) :])
                break
    return sorted(printed)


@pytest.mark.parametrize("width", [24, 32, 40, 47, 56, 64, 72, 80, 100])
@pytest.mark.parametrize("slide", SLIDES, ids=lambda slide: slide.name)
def test_no_number_is_cut_and_no_line_is_too_wide(slide, width):
    lines = draw_slide(slide, Screen(width=width)).splitlines()
    assert max(map(cell_len, lines)) <= width
    expected = numbers(slide, 80)
    assert len(expected) > 3
    assert numbers(slide, width) == expected


def test_the_widest_window_has_the_story_beside_the_numbers():
    slide = SLIDES[5]
    lines = draw_slide(slide, Screen(width=200)).splitlines()
    assert max(map(cell_len, lines)) <= 120
    assert len(lines) < len(draw_slide(slide, Screen(width=119)).splitlines())
    (row,) = (line for line in lines if library.TITLES[0] in line and "7.389" in line)
    assert re.match(r"\w+ \w+", row)


@pytest.mark.parametrize("colors", [16, 256, 1 << 24])
@pytest.mark.parametrize("is_light", [False, True])
def test_colors_change_no_character(colors, is_light):
    for slide in SLIDES:
        colored = draw_slide(slide, Screen(width=80, colors=colors, is_light=is_light))
        assert COLORS.sub("", colored) == draw_slide(slide, Screen(width=80))
        assert colored != COLORS.sub("", colored)


def test_q_k_and_v_have_the_same_colors_in_words_and_in_numbers():
    screen = Screen(width=80, colors=16)
    drawn = draw_slide(SLIDES[2], screen)
    codes = {"magenta": "35", "green": "32", "yellow": "33", "cyan": "36", "blue": "34", "red": "31"}
    for letter, number in (("k", "  4"), ("v", "450")):
        code = codes[letter_style(letter, screen).removeprefix("bright_").split()[-1]]
        pattern = rf"\x1b\[(?:1;)?[39]{code[1]}m *{number.strip()}\x1b"
        assert re.search(pattern, drawn), (letter, pattern)
        assert re.search(rf"\x1b\[(?:1;)?[39]{code[1]}m{letter.upper()}\x1b", drawn)


def test_a_total_is_not_shaded_and_a_weight_is():
    drawn = draw_slide(SLIDES[5], Screen(width=80, colors=1 << 24)).splitlines()
    (row,) = (line for line in drawn if library.TITLES[0] in line and "7.389" in line)
    (total,) = (line for line in drawn if "11.475" in line)
    assert "48;2;" in row
    assert "48;2;" not in total


def test_hostile_names_are_inert_and_cut():
    title = "\x1b[31m月‮" * 50
    table = Table((title, "x"), (Group("", (Column("[bold]q[/bold]", (1.0, 2.0)),)),))
    slide = Slide(1, "x", "x", "y", (f"{title} [red]",), (table,))
    drawn = draw_slide(slide, Screen(width=60))
    assert "\x1b" not in drawn
    assert "‮" not in drawn
    assert "[red]" in drawn
    assert [line.split()[-1] for line in drawn.splitlines()[-2:]] == ["1", "2"]
    assert max(map(cell_len, drawn.splitlines())) <= 60


def test_a_screen_without_unicode_has_no_other_characters_in_its_tables():
    drawn = draw_slide(SLIDES[9], Screen(width=80, unicode=False))
    assert "-inf" in drawn
    assert "∞" not in "".join(line for line in drawn.splitlines() if line.startswith(library.TITLES[0]))


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_slides_in_ascii_fit_the_window(width):
    for slide in SLIDES:
        lines = simplified(draw_slide(slide, Screen(width=width, unicode=False))).splitlines()
        assert max(map(len, lines)) <= width, slide.number
