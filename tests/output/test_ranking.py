from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attnsearch.output.columns import Column, Shown
from attnsearch.output.ranking import bar
from attnsearch.output.safe_text import Screen
from tests.output.examples import HITS, NASTY, RAW, RESULT, drawn

SGR = re.compile(r"\x1b\[[0-9;]*m")
FIELDS = {
    "year": 1965,
    "price": "$12,345,678.90",
    "author": "Ursula K. Le Guin",
    "url": "https://example.org/" + "a" * 60,
}
SHOWN = Shown([Column("year", "year", is_number=True), Column("price", "price", is_number=True),
               Column("author", "author"), Column("url", "url")])  # fmt: skip
SHOP = RESULT._replace(hits=[hit._replace(fields=FIELDS) for hit in HITS[:2]])


def test_color_is_the_only_escape():
    out = drawn("table", screen=Screen(width=120, colors=256))
    assert "\x1b[" in out
    assert not RAW.search(SGR.sub("", out))


@pytest.mark.parametrize("width", range(24, 161, 4))
def test_the_table_fits_the_window(width):
    lines = drawn("table", [RESULT], Screen(width=width, quiet=True)).splitlines()
    assert len(lines) == 1 + len(HITS)
    assert all(len(line) <= width for line in lines)
    assert "61.0%" in lines[1]
    assert ("0.580" in lines[1]) == (width >= 36)
    assert ("█" in lines[1]) == (width >= 48)
    assert ("A desc" in lines[1]) == (width >= 72)
    assert "Firs" in lines[1]


def test_without_a_window_lines_are_whole():
    lines = drawn("table").splitlines()
    assert lines[1].endswith("A description of some length, told in one line.")
    assert lines[2].split()[:3] == ["2", "b", "<0.1%"]
    assert lines[-1] == "shop · 64 items · attention spread over about 3.1 · small"


@pytest.mark.parametrize("width", [None, 60, 80, 120])
def test_titles_have_the_room_of_descriptions_that_are_not_there(width):
    title = "A title that is as long as the subject of a commit"
    bare = RESULT._replace(hits=[hit._replace(title=title, description="") for hit in HITS[:2]])
    head, row = drawn("table", [bare], Screen(width=width, quiet=True)).splitlines()[:2]
    assert head.split() == ["#", "title", "weight", "score"]
    assert (title in row) == (width != 60)


def test_quiet_leaves_out_the_line_below():
    assert "64 items" in drawn("table")
    assert "64 items" not in drawn("table", screen=Screen(quiet=True))


@given(st.floats(0, 1), st.booleans())
def test_bars(share, unicode):
    assert len(bar(share, unicode=unicode)) <= 10


def test_a_full_bar_is_all_of_the_attention():
    lines = drawn("table", screen=Screen(width=60, quiet=True)).splitlines()
    assert [re.findall("[█▏▎▍▌▋▊▉]+", line) for line in lines] == [[], ["██████▏"], [], ["█"]]
    assert drawn("table", screen=Screen(width=60, unicode=False)).count("#") == 1 + 6 + 1


@pytest.mark.parametrize(("is_light", "code"), [(False, 36), (True, 34)])
def test_bars_are_seen_on_a_light_background_too(is_light, code):
    out = drawn("table", screen=Screen(width=120, colors=16, is_light=is_light))
    assert re.search(rf"\x1b\[{code}m█", out)


class TestFields:
    """Columns that --show asks for."""

    @pytest.mark.parametrize("width", range(24, 201, 4))
    def test_they_fit_the_window(self, width):
        """No number is cut; the description goes first, then the bar, then the score, then the last fields."""
        out = drawn("table", [SHOP], Screen(width=width), shown=SHOWN)
        head, *rows = (line for line in out.splitlines() if line.startswith(("#", "1", "2")))
        assert all(cell_len(line) <= width for line in out.splitlines())
        shown = [name for name in ("title", "weight", "score", "year", "price", "author", "url", "description")
                 if name in head.split()]  # fmt: skip
        for name, text in (("weight", "61.0%"), ("score", "0.580"), ("year", "1965"), ("price", "$12,345,678.90")):
            assert (text in rows[0].split()) == (name in shown)
        names = ["year", "price", "author", "url"]
        count = sum(name in shown for name in names)
        assert shown[-count - ("description" in shown) :][:count] == names[:count]
        if count < 4:
            assert {"description", "score"}.isdisjoint(shown)
            missing = ", ".join(names[count:])
            assert f"no room for {missing}: widen the window, or add -f csv" in " ".join(out.split())
        else:
            assert "no room" not in out
            assert "Ursula K." in rows[0]
            assert "https://e" in rows[0]
        assert ("description" in shown) <= ("█" in rows[0]) <= ("score" in shown)

    def test_all_fit_a_wide_window(self):
        head, row, *_ = drawn("table", [SHOP], Screen(width=250), shown=SHOWN).splitlines()
        assert head.split() == ["#", "title", "weight", "score", "year", "price", "author", "url", "description"]
        assert FIELDS["url"] in row
        assert row.endswith(HITS[0].description)

    def test_a_short_description_leaves_its_room_to_fields(self):
        hits = [HITS[0]._replace(description="short", fields={"t": "word " * 10})]
        (_, row) = drawn("table", [RESULT._replace(hits=hits)], Screen(width=100, quiet=True),
                         shown=Shown([Column("t", "t")])).splitlines()  # fmt: skip
        assert "…" not in row
        assert row.endswith("  short")

    def test_numbers_stand_at_the_right(self):
        hits = [HITS[0]._replace(fields={"n": 5, "t": "a"}), HITS[1]._replace(fields={"n": 1234})]
        shown = Shown([Column("n", "n", is_number=True), Column("t", "t")])
        lines = drawn("table", [RESULT._replace(hits=hits)], Screen(width=100, quiet=True), shown=shown).splitlines()
        assert [re.split(r"0[.]\d{3}", line)[1][:11] for line in lines[1:]] == ["     5  a  ", "  1234"]

    def test_nothing_in_them_acts_on_a_terminal(self):
        hits = [HITS[0]._replace(fields={NASTY: NASTY})]
        shown = Shown([Column(NASTY, NASTY)])
        for form in ("table", "csv", "tsv", "md"):
            for screen in (Screen(), Screen(width=100), Screen(width=30)):
                out = drawn(form, [RESULT._replace(hits=hits)], screen, shown=shown)
                assert not RAW.search(out.replace("\t", "") if form == "tsv" else out)

    def test_an_empty_answer_has_their_headers(self):
        head = drawn("table", [RESULT._replace(hits=[])], Screen(width=100), shown=SHOWN).splitlines()[0]
        assert head.split() == ["#", "title", "weight", "score", "year", "price", "author", "url", "description"]
        assert drawn("csv", [RESULT._replace(hits=[])], shown=SHOWN).endswith(",passage,year,price,author,url\n")


class TestLinks:
    URL = "https://example.org/a"
    LINKED = re.compile(r"\x1b\]8;[^;\x1b]*;([^\x1b]*)\x1b\\(.*?)\x1b\]8;;\x1b\\")
    SCREEN = Screen(width=80, colors=256, links=True, quiet=True)

    def linked(self, fields, screen=SCREEN, title="First"):
        result = RESULT._replace(hits=[HITS[0]._replace(fields=fields, title=title), HITS[1]])
        return drawn("table", [result], screen)

    @pytest.mark.parametrize("name", ["url", "URL", "link", "href", "Homepage"])
    def test_a_title_leads_to_its_address(self, name):
        ((url, text),) = self.LINKED.findall(self.linked({"x": 1, name: self.URL}))
        assert (url, SGR.sub("", text)) == (self.URL, "First")

    @pytest.mark.parametrize("fields", [{}, {"urls": URL}, {"url": "file:///x"}, {"url": [URL, URL]}, {"url": 5},
                                        {"url": None}, {"url": {"a": URL}}, {"url": "https://a\x1b\\x"}])  # fmt: skip
    def test_other_titles_lead_nowhere(self, fields):
        assert "]8;" not in self.linked(fields)

    def test_only_where_links_are_shown(self):
        assert "]8;" in self.linked({"url": self.URL})
        for screen in (self.SCREEN._replace(links=False), Screen(), Screen(width=80)):
            assert "]8;" not in self.linked({"url": self.URL}, screen)
        for form in ("csv", "tsv", "md", "json"):
            assert "]8;" not in drawn(form, [SHOP], self.SCREEN)

    @pytest.mark.parametrize("title", ["First", NASTY, "月面基地" * 9, "x" * 99])
    def test_the_table_is_otherwise_the_same(self, title):
        plain, linked = (SGR.sub("", self.linked(fields, title=title)) for fields in ({}, {"url": self.URL}))
        assert self.LINKED.sub(r"\2", linked) == plain
        assert not RAW.search(plain)
