"""HTML in a text → the text that a browser would show.

lxml's parser, without its tree, takes linear time for any input and any depth. Of its rivals, html.parser, html2text
and selectolax take quadratic time for some unclosed tags, and inscriptis is built on lxml.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_SPACE = re.compile(r"\s+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _words("area base br col embed hr img input link meta source track wbr")
_HIDDEN = _words("head iframe noembed noframes script style template textarea title")
_CELLS = frozenset(("td", "th"))
_BLOCKS = _words(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup html legend li main menu nav ol optgroup option p pre search section "
    "select summary table tbody tfoot thead tr ul"
)
_INLINE = _words(
    "a abbr acronym audio b bdi bdo big button canvas cite code data del dfn em font i iframe ins kbd label map mark "
    "noscript object output picture q rp rt ruby s samp script small span strike strong style sub sup svg template "
    "textarea time title tt u var video"
)
_ELEMENTS = _VOID | _BLOCKS | _CELLS | _INLINE | _HIDDEN | {"body"}
_UNCLOSED = _VOID | _words("dd dt li p td th tr")  # without an end tag, or often so


def to_text(text: str) -> str:
    r"""The text that a browser would show; a text without HTML is returned as it is.

    HTML is what has an end tag of one of its elements, or an element that needs none; character references count by
    themselves. Blocks are lines. Scripts, styles and comments are dropped.

    >>> to_text("<p>Gives <b>light</b> &amp; warmth.</p><ul><li>brass<li>glass</ul>")
    'Gives light & warmth.\nbrass\nglass'
    >>> to_text("List<String> where 1 < 2"), to_text("Tooth &amp; Nail")
    ('List<String> where 1 < 2', 'Tooth & Nail')
    """
    if "<" in text and any(_is_html(*match.groups()) for match in _TAG.finditer(text)):
        return _read_html(text)
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def _is_html(slash: str, name: str) -> bool:
    """Whether a tag shows that a text is HTML: `<String>` does not, nor does `<b>` without an end."""
    return name.lower() in (_ELEMENTS if slash else _UNCLOSED)


def _read_html(text: str) -> str:
    from lxml import etree

    target = _Lines()
    parser = etree.HTMLParser(target=target, huge_tree=True, remove_comments=True, remove_pis=True)
    parser.feed(text)
    parser.close()
    return target.read()


class _Lines:
    """Collects the lines of the text between the tags."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.hidden = 0  # how many of the elements around the text are not shown

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        self.hidden += tag in _HIDDEN
        self._separate(tag)

    def end(self, tag: str) -> None:
        self.hidden -= tag in _HIDDEN
        self._separate(tag)

    def data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(_SPACE.sub(" ", data))

    def close(self) -> None:
        pass

    def read(self) -> str:
        lines = (_SPACE.sub(" ", line).strip() for line in "".join(self.parts).split("\n"))
        return "\n".join(filter(None, lines))

    def _separate(self, tag: str) -> None:
        if tag in _BLOCKS or tag == "br":
            self.parts.append("\n")
        elif tag in _CELLS:
            self.parts.append(" ")
