"""Reads pages as a browser does, and refuses what no page may have."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

ADDRESSES = ("src", "srcset", "href", "action", "formaction", "poster", "data", "background", "ping", "xlink:href")
PARTS = {"a", "article", "b", "bdi", "body", "caption", "code", "data", "dd", "div", "dl", "dt", "footer", "h1",
         "h2", "h3", "h4", "head", "header", "html", "i", "img", "li", "main", "meta", "nav", "ol", "p", "picture",
         "pre", "rect", "section", "small", "source", "span", "style", "svg", "table", "tbody", "td", "tfoot", "th",
         "thead", "title", "tr"}  # fmt: skip
FREE = {"elapsed_ms", "output", "fields"}  # of JSON: times, vectors and the items' own


def read_page(page: bytes) -> Element:
    """The tree of a page that breaks no rule: of HTML, of the policy that it states, of what it may refer to."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page.decode())
    elements = [(element.tag.rpartition("}")[2], element) for element in tree.iter() if isinstance(element.tag, str)]
    assert {tag for tag, _ in elements} <= PARTS
    for tag, element in elements:
        for name, value in element.attrib.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in ADDRESSES:
                check_address(tag, element, value)
    identifiers = [element.get("id") for _, element in elements if element.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert "javascript:" not in str([element.attrib for _, element in elements if element.tag == "a"]).lower()
    (policy,) = (element.get("content") for element in tree.iter("meta") if element.get("http-equiv"))
    (style,) = tree.iter("style")
    digest = base64.b64encode(hashlib.sha256(text_of(style).encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert "@import" not in text_of(style)
    assert "url(" not in text_of(style)
    return tree


def check_address(tag: str, element: Element, value: str) -> None:
    """An address is a place of the page, a picture in it, or where a link leads that says nothing of the page."""
    if tag == "a" and value.startswith("#"):
        return
    if tag == "a":
        assert value.lower().startswith(("http://", "https://")), value
        assert element.get("rel") == "noreferrer noopener"
    else:
        assert value.startswith("data:image/"), value


def text_of(element: Element) -> str:
    return "".join(element.itertext())


def texts(tree: Element, tag: str) -> list[str]:
    """The texts of all elements of a kind, on a line each."""
    return [" ".join(text_of(element).split()) for element in tree.iter(tag)]


def numbers(tree: Element) -> set[float]:
    """All numbers of a page that are not whole, with all of their digits."""
    values = [element.get("value") or "" for element in tree.iter("data")]
    return {float(value) for value in values if not value.lstrip("-").isdecimal()}


def numbers_of_json(value: Any) -> Iterator[float]:
    """All numbers of JSON that are not whole, but for those of `FREE` fields."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from numbers_of_json(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in FREE:
                yield from numbers_of_json(part)
