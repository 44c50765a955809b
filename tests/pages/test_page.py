from __future__ import annotations

import re

import jinja2
import pytest

from attnsearch.output.safe_text import unstacked
from attnsearch.pages import page as pages
from attnsearch.pages.page import plain, render
from attnsearch.pages.shades import STEPS, TEMPLATES, shade, stylesheet
from attnsearch.pictures.palette import color
from tests.pages.hostile import HOSTILE

VARIABLE = re.compile(r"--(\w+): (#[0-9a-f]{6});")
CLASS = re.compile(r"\.([pn]\d+) \{ background: (#[0-9a-f]{6}); color: (#[0-9a-f]{6}); \}")
ENOUGH = 4.5  # the contrast of text, WCAG 2.2, level AA
ON_PAPER = ("ink", "muted", "for", "against", "q", "k", "v")


def luminance(color: str) -> float:
    """WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def schemes() -> list[str]:
    """The rules of a light page, and those that a dark one adds."""
    css = stylesheet()
    (dark,) = re.findall(r"@media screen and \(prefers-color-scheme: dark\) \{\n(.*?)\n\}\n", css, re.DOTALL)
    light = re.sub(r"@media screen and \(prefers-color-scheme: dark\) \{\n(.*?)\n\}\n", "", css, flags=re.DOTALL)
    return [light, dark]


@pytest.mark.parametrize("rules", schemes(), ids=["light", "dark"])
def test_everything_can_be_read(rules):
    colors = dict(VARIABLE.findall(rules))
    for name in ON_PAPER:
        assert contrast(colors[name], colors["paper"]) >= ENOUGH, name
    for name in ("ink", "muted"):
        assert contrast(colors[name], colors["panel"]) >= ENOUGH, name
    shades = CLASS.findall(rules)
    assert len(shades) == 2 * STEPS
    for name, background, ink in shades:
        assert contrast(background, ink) >= ENOUGH, name


@pytest.mark.parametrize("rules", schemes(), ids=["light", "dark"])
def test_the_stronger_the_further_from_the_paper(rules):
    paper = dict(VARIABLE.findall(rules))["paper"]
    backgrounds = {name: background for name, background, _ in CLASS.findall(rules)}
    for sign in "pn":
        distances = [contrast(backgrounds[f"{sign}{step}"], paper) for step in range(1, STEPS + 1)]
        assert distances == sorted(distances)
        assert distances[0] > 1


def test_classes_are_the_colors_of_the_palette():
    (dark,) = [background for name, background, _ in CLASS.findall(schemes()[1]) if name == "n8"]
    assert dark == "#{:02x}{:02x}{:02x}".format(*color(-0.5, is_light=False))
    assert [shade(strength) for strength in (2.0, 0.04, 0.02, 0.0, -0.5, -9)] == ["p16", "p1", "", "", "n8", "n16"]


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800 \udfff"])
def test_no_text_acts(text):
    shown = plain(text)
    assert shown.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]", shown)
    assert shown == plain(shown) == unstacked(shown)


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        render("training", ["attnsearch"])


def test_a_template_escapes_without_being_asked():
    template = pages._environment().from_string('<p title="{{ text }}">{{ text }}</p>')
    assert (
        template.render(text="<b>\"'\u202e\ufdd0")
        == '<p title="&lt;b&gt;&#34;&#39;\\u202e\\ufdd0">&lt;b&gt;&#34;&#39;\\u202e\\ufdd0</p>'
    )


def test_every_class_has_a_rule_and_every_rule_a_class():
    templates = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    values = re.findall(r'class="((?:\{\{.*?\}\}|\{%.*?%\}|[^"])*)"', templates)
    used = set(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", " ".join(values)).split())
    ruled = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"\{[^{}]*\}", "", stylesheet())))
    assert used <= ruled
    assert ruled - used <= {*"qkv", *(f"{sign}{step}" for sign in "pn" for step in range(1, STEPS + 1))}


def test_every_filter_is_used():
    templates = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    ours = set(pages._environment().filters) - set(jinja2.Environment().filters)
    assert ours == {name for name in ours if re.search(rf"\|{name}\b", templates)}


def test_nothing_but_our_own_stylesheet_is_written_as_it_is():
    for path in TEMPLATES.glob("*.html"):
        source = path.read_text()
        assert "Markup" not in source
        assert "autoescape" not in source
        assert re.findall(r"\{\{[^}]*\bsafe\b[^}]*\}\}", source) == ["{{ style|safe }}"] * (path.stem == "page")
