"""Pictures in pages, and what stands in their place without matplotlib."""

from __future__ import annotations

import base64
import json
from xml.etree import ElementTree as ET

import pytest

from attnsearch.errors import InputError
from attnsearch.pages import figures
from tests.pages.reading import read_page, text_of

MISSING = "this picture needs matplotlib, pip install matplotlib"
NO_PICTURES = "attnsearch: the page has no pictures, which need matplotlib: pip install matplotlib\n"


@pytest.fixture
def without_matplotlib(monkeypatch):
    def missing():
        raise InputError("SVG and PNG need matplotlib", hint="pip install matplotlib")

    monkeypatch.setattr(figures, "require_matplotlib", missing)


def pictures(ran) -> list[ET.Element]:
    """The pictures of a page, each an SVG."""
    assert (ran.code, ran.err) == (0, "")
    images = list(read_page(ran.out.encode()).iter("img"))
    assert all(image.get("alt") for image in images)
    addresses = [image.get("src").removeprefix("data:image/svg+xml;base64,") for image in images]
    return [ET.fromstring(base64.b64decode(address, validate=True)) for address in addresses]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "count"),
    [
        (["query", "moon", "-c", "shop"], 1),
        (["query", "moon", "--like", "a", "-c", "shop"], 1),
        (["query", "--like", "a", "-c", "shop"], 1),
        (["query", "moon", "-w", "price > 99", "-c", "shop"], 0),
        (["query", "moon", "sea", "-c", "shop"], 0),
        (["explain", "moon", "-c", "shop"], 1),
        (["explain", "moon", "a", "-c", "shop"], 0),
        (["eval", "judged.yaml", "-c", "shop"], 1),
    ],
    ids=lambda argv: " ".join(argv) if isinstance(argv, list) else "",
)
def test_the_pictures_of_each_page(run, judged, argv, count):
    drawn = pictures(run(*argv, "-f", "html"))
    assert [svg.tag for svg in drawn] == ["{http://www.w3.org/2000/svg}svg"] * count


@pytest.mark.slow
def test_a_map_does_not_bring_the_steps(run, judged):
    page = run("query", "moon", "-c", "shop", "-f", "html").out
    assert "The steps of the formula" not in page
    assert "The steps of the formula" in run("query", "moon", "-c", "shop", "--explain", "-f", "html").out


@pytest.mark.slow
def test_training(run, world, write):
    _, judged = world
    lines = [json.dumps({"query": request.query, "relevant": request.relevant}) for request in judged[:12]]
    argv = ["train", write("judged.jsonl", "\n".join(lines)), "-c", "world", "--dry-run"]
    assert len(pictures(run(*argv, "-f", "html"))) == 1


@pytest.mark.parametrize(
    "argv",
    [["query", "moon", "-c", "shop"], ["explain", "moon", "-c", "shop"], ["eval", "judged.yaml", "-c", "shop"]],
    ids=lambda argv: argv[0],
)
def test_without_matplotlib(run, judged, without_matplotlib, argv):
    ran = run(*argv, "-f", "html")
    assert (ran.code, ran.err) == (0, NO_PICTURES)
    assert MISSING in text_of(read_page(ran.out.encode()))
    assert run(*argv, "-f", "html", "-q").err == ""
    assert run(*argv).err == ""


def test_a_training_without_matplotlib_measures_no_curve(run, judged, without_matplotlib):
    ran = run("train", "judged.yaml", "-c", "shop", "-f", "html")
    assert (ran.code, ran.err) == (0, NO_PICTURES)
    assert MISSING in text_of(read_page(ran.out.encode()))


def test_a_training_of_its_own_has_no_picture(run, shop, without_matplotlib):
    ran = run("train", "--self", "-c", "shop", "--dry-run", "-f", "html")
    assert (ran.code, ran.err) == (0, "")
    assert MISSING not in text_of(read_page(ran.out.encode()))
