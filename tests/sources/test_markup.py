from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources import items
from attnsearch.sources.markup import to_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>Gives light</p>", "Gives light"),
        ("<p>Gives <b>li</b>ght</p>\n\n<p>and warmth</p>", "Gives light\nand warmth"),
        ("One<br>two<BR/>three", "One\ntwo\nthree"),
        ("<p>One<p>Two", "One\nTwo"),
        ("<div>a<div>b</div>c</div>d", "a\nb\nc\nd"),
        ("<ul><li>brass<li>glass</ul>", "brass\nglass"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><th>3<td>4</table>", "1 2\n3 4"),
        ("<p>Tom &amp; &quot;Jerry&#39;s&#x22; &eacute;</p>", "Tom & \"Jerry's\" é"),
        ("a<script>alert('<p>')</script>b<style>p {}</style>c<!-- <p> -->d", "abcd"),
        ("<title>T</title><p>x</p>", "x"),
        ("<b>open <i>wrong</b> way</i>", "open wrong way"),
        ("<p>List<String> &lt;b&gt;</p>", "List <b>"),
        ("<p\nclass='a > b'>x</p >", "x"),
        ("<p>&#xD800;&#0;</p>", "\ufffd\ufffd"),
        ("<p></p>", ""),
        ("Tooth &amp; Nail", "Tooth & Nail"),
        ("AT&amp;T &lt;b&gt; &#8364;5", "AT&T <b> €5"),
        ("&amp;lt;", "&lt;"),
    ],
)  # fmt: skip
def test_html(text, plain):
    assert to_text(text) == plain


@pytest.mark.parametrize(
    "text",
    ["", "plain", "1 < 2 and 3 > 2", "List<String>", "Map<K, V> m", "a <b> tag", "<3 you", "x<y>z", "<title>", "R&D",
     "AT&T; fine", "a&b", "&unknown;", "<https://example.org/>", "<me@example.org>", "</unknown>", "a </ b", "<brr>",
     "  spaces  and\n\nlines  ", "&#99999999999;", "if (a<br_1) {}"],
)  # fmt: skip
def test_what_is_not_html_stays(text):
    assert to_text(text) == text


def test_deep_nesting():
    assert to_text("<div>" * 50_000 + "x" + "</div>" * 50_000) == "x"
    assert to_text("<b>" * 50_000 + "x</b>") == "x"


@given(st.text(st.sampled_from("<>/bpr&;#1! -='\"a\n"), max_size=60))
def test_any_text_becomes_text(text):
    plain = to_text(text)
    plain.encode()
    if "<" not in text and "&" not in text:
        assert plain == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).filter(lambda text: "&" not in text))
def test_words_come_through(word):
    assert to_text(f"<p>{word.replace('<', '&lt;')}</p>").split() == word.split()


def test_texts_of_an_item(write):
    """Title, description and text are without HTML; ids and other fields are as they were."""
    path = write("x.json", '[{"id": "<p>a</p>", "title": "Tooth &amp; Nail", "description": "<p>On <b>Sunday</b>.</p>",'
                           ' "html": "<p>x</p>", "tags": ["<b>t</b>"]}]')  # fmt: skip
    (item,) = items.read_items([str(path)]).items
    assert (item.id, item.title, item.description) == ("<p>a</p>", "Tooth & Nail", "On Sunday.")
    assert item.fields == {"html": "<p>x</p>", "tags": ["<b>t</b>"]}
    assert item.text == "Tooth & Nail. On Sunday. t"
