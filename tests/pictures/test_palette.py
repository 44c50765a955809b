"""Colors, by the arithmetic of eyes: WCAG 2's contrast, OKLab's lightness and distance, simulated color blindness."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from rich.color import Color, ColorSystem
from rich.style import Style

from attnsearch.output.safe_text import Screen
from attnsearch.pictures.palette import color, ink, letter_color, letter_style, mark, strength_of, style

STRENGTHS = np.linspace(-1, 1, 401)
MANY, FEW = 1 << 24, 16
BACKGROUNDS = {False: [(0, 0, 0), (30, 30, 30), (40, 42, 54)], True: [(255, 255, 255), (253, 246, 227)]}  # of terminals

# What dichromats see, in linear RGB (Machado, Oliveira and Fernandes 2009, severity 1): no red, green or blue cones.
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
# OKLab (Ottosson 2020): linear RGB to the cones, their cube roots to lightness and two axes of hue.
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
AXES = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766]]  # fmt: skip

# The first eight colors of terminals as they come, and the eight bright ones.
THEMES = {
    "VGA": "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa "
        "555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff",
    "xterm": "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
        "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff",
    "Windows": "0c0c0c c50f1f 13a10e c19c00 0037da 881798 3a96dd cccccc "
        "767676 e74856 16c60c f9f1a5 3b78ff b4009e 61d6d6 f2f2f2",
    "macOS": "000000 c23621 25bc24 adad27 492ee1 d338d3 33bbc8 cbcccd "
        "818383 fc391f 31e722 eaec23 5833ff f935f8 14f0f0 e9ebeb",
    "GNOME": "171421 c01c28 26a269 a2734c 12488b a347ba 2aa1b3 d0cfcc "
        "5e5c64 f66151 33d17a e9ad0c 2a7bde c061cb 33c7de ffffff",
    "VS Code": "000000 cd3131 0dbc79 e5e510 2472c8 bc3fbc 11a8cd e5e5e5 "
        "666666 f14c4c 23d18b f5f543 3b8eea d670d6 29b8db e5e5e5",
}  # fmt: skip


def linear(rgb):
    parts = np.asarray(rgb, float) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def luminance(rgb):
    return float(linear(rgb) @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


def oklab(rgb, eyes="usual"):
    seen = np.clip(linear(rgb) @ np.transpose(EYES[eyes]), 0, 1)
    return np.cbrt(seen @ np.transpose(CONES)) @ np.transpose(AXES)


def distance(first, second, eyes="usual"):
    return float(np.linalg.norm(oklab(first, eyes) - oklab(second, eyes)))


def shown(name, screen):
    """The background and the ink of a rich style on a screen of 256 colors or more."""
    style = Style.parse(name)
    system = ColorSystem.EIGHT_BIT if screen.colors == 256 else ColorSystem.TRUECOLOR
    return tuple(tuple(part.downgrade(system).get_truecolor()) for part in (style.bgcolor, style.color) if part)


def steps(screen, sign):
    """The different backgrounds from faint to strong."""
    cells = [shown(name, screen)[0] for share in STRENGTHS if share > 0 and (name := style(sign * share, screen))]
    return [cell for cell, _ in itertools.groupby(cells)]


@pytest.fixture(params=[(colors, light) for colors in (256, MANY) for light in (False, True)], ids=str)
def screen(request):
    colors, light = request.param
    return Screen(colors=colors, is_light=light)


def test_the_arithmetic():
    """Values that are published: black on white, orange on black, and OKLab of white and of red."""
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((255, 165, 0), (0, 0, 0)) == pytest.approx(10.63, abs=0.01)
    assert oklab((255, 255, 255)) == pytest.approx([1, 0, 0], abs=1e-4)
    assert oklab((255, 0, 0)) == pytest.approx([0.6280, 0.2249, 0.1258], abs=1e-4)


class TestCells:
    def test_ink_is_readable(self, screen):
        for share in STRENGTHS:
            if name := style(share, screen):
                assert contrast(*shown(name, screen)) >= 4.5

    def test_ink_on_every_background(self):
        grays = [(level, level, level) for level in range(256)]
        assert min(contrast(gray, ink(gray)) for gray in grays) >= 4.5

    @pytest.mark.parametrize("sign", [1, -1])
    def test_faint_is_dim_and_strong_is_bright(self, screen, sign):
        """Far from the background: brighter on a dark one, darker on a light one, at each step."""
        lights = [luminance(cell) for cell in steps(screen, sign)]
        assert lights == sorted(lights, reverse=screen.is_light)
        assert len(set(lights)) == len(lights) >= 5
        assert contrast(steps(screen, sign)[-1], color(0, is_light=screen.is_light)) >= 4.5

    @pytest.mark.parametrize("sign", [1, -1])
    def test_steps_are_even(self, screen, sign):
        """Of 256 colors none is near to the next; of more, equal strengths are equal steps of lightness."""
        if screen.colors == 256:
            cells = steps(screen, sign)
            assert min(distance(*pair) for pair in itertools.pairwise(cells)) >= 0.05
        else:
            cells = [color(sign * share, is_light=screen.is_light) for share in np.linspace(0, 1, 11)]
            lights = np.abs(np.diff([oklab(cell)[0] for cell in cells]))
            assert lights.min() >= 0.75 * lights.max()

    @pytest.mark.parametrize("eyes", EYES)
    def test_for_and_against_differ(self, screen, eyes):
        for share in np.linspace(0.25, 1, 100):
            pair = [shown(style(sign * share, screen), screen)[0] for sign in (1, -1)]
            assert distance(*pair, eyes) >= 0.05

    def test_256_colors_are_near_to_what_they_stand_for(self):
        for share in STRENGTHS:
            for light in (False, True):
                if name := style(share, Screen(colors=256, is_light=light)):
                    cell, _ = shown(name, Screen(colors=256))
                    assert abs(luminance(cell) - luminance(color(share, is_light=light))) < 0.25

    @pytest.mark.parametrize("light", [False, True])
    @pytest.mark.parametrize("theme", THEMES)
    def test_sixteen_colors(self, theme, light):
        """Black is readable on each; a strong cell is farther from the background than a faint one, if they differ."""
        palette = [tuple(bytes.fromhex(part)) for part in THEMES[theme].split()]
        names = {share: style(share, Screen(colors=FEW, is_light=light)) for share in (-1, -0.3, 0.3, 1)}
        cells = {}
        for share, name in names.items():
            assert name.startswith("black on ")
            cells[share] = palette[Style.parse(name).bgcolor.number]
            assert contrast(cells[share], palette[0]) >= 4
        for sign in (1, -1):
            faint, strong = luminance(cells[0.3 * sign]), luminance(cells[sign])
            assert strong < faint if light else strong > faint
        for eyes in EYES:
            assert distance(cells[1], cells[-1], eyes) >= 0.05

    @pytest.mark.parametrize("colors", [FEW, 256, MANY])
    def test_next_to_nothing_is_not_colored(self, colors):
        assert style(0, Screen(colors=colors)) == style(0.06, Screen(colors=colors)) == ""
        assert style(-0.07, Screen(colors=colors))

    def test_no_colors(self):
        assert {style(share, Screen()) for share in STRENGTHS} == {""}

    def test_beyond_all(self):
        assert color(7, is_light=True) == color(1, is_light=True)
        assert style(-7, Screen(colors=256)) == style(-1, Screen(colors=256))


class TestWeights:
    def test_one_percent_is_not_nothing(self, screen):
        cell, _ = shown(style(strength_of(0.01), screen), screen)
        assert all(distance(cell, background) >= 0.04 for background in BACKGROUNDS[screen.is_light][:2])
        assert style(strength_of(0.01), Screen(colors=FEW))

    @pytest.mark.parametrize("colors", [FEW, 256, MANY])
    @pytest.mark.parametrize("light", [False, True])
    def test_twenty_percent_is_not_forty(self, colors, light):
        screen = Screen(colors=colors, is_light=light)
        names = [style(strength_of(share), screen) for share in (0.2, 0.4)]
        assert names[0] != names[1]
        assert colors == FEW or distance(*(shown(name, screen)[0] for name in names)) >= 0.1

    @pytest.mark.parametrize("unicode", [False, True])
    def test_marks(self, unicode):
        """Without colors, characters: the stronger the darker, for and against."""
        screen = Screen(unicode=unicode)
        ramp = [mark(strength_of(share), screen) for share in (0, 0.01, 0.2, 0.4, 1)]
        assert "".join(ramp) == (" ░▒▓█" if unicode else " :*#@")
        assert [mark(-strength_of(share), screen) for share in (0, 0.01, 0.2, 0.4, 1)] == ramp


class TestLetters:
    """Q, K and V have the same colors wherever they are shown."""

    @pytest.mark.parametrize("light", [False, True])
    def test_readable(self, light):
        for letter in "qkv":
            for background in BACKGROUNDS[light]:
                assert contrast(letter_color(letter, is_light=light), background) >= 4.5

    def test_readable_on_a_light_terminal_that_does_not_say_so(self):
        assert min(contrast(letter_color(letter, is_light=False), (255, 255, 255)) for letter in "qkv") >= 2.5

    @pytest.mark.parametrize("light", [False, True])
    @pytest.mark.parametrize("eyes", EYES)
    def test_different(self, light, eyes):
        colors = [letter_color(letter, is_light=light) for letter in "qkv"]
        assert min(distance(*pair, eyes) for pair in itertools.combinations(colors, 2)) >= 0.08

    @pytest.mark.parametrize("light", [False, True])
    def test_256_colors_have_them(self, light):
        for letter in "qkv":
            name = letter_style(letter, Screen(colors=256, is_light=light))
            near = Color.parse(name).downgrade(ColorSystem.EIGHT_BIT)
            assert tuple(near.get_truecolor()) == letter_color(letter, is_light=light)

    @pytest.mark.parametrize("light", [False, True])
    @pytest.mark.parametrize("theme", THEMES)
    def test_sixteen_colors(self, theme, light):
        palette = [tuple(bytes.fromhex(part)) for part in THEMES[theme].split()]
        colors = [
            palette[Color.parse(letter_style(letter, Screen(colors=FEW, is_light=light))).number] for letter in "qkv"
        ]
        background = (255, 255, 255) if light else (0, 0, 0)
        assert min(contrast(background, rgb) for rgb in colors) >= 2.5
        for eyes in EYES:
            assert min(distance(*pair, eyes) for pair in itertools.combinations(colors, 2)) >= 0.03

    def test_no_colors(self):
        assert {letter_style(letter, Screen()) for letter in "qkv"} == {""}
