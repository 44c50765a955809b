"""The page in a browser: typing, filters, sliders, links, the way back."""

from __future__ import annotations

import re

import pytest

from tests.serve.browser import needs_browser, post

pytestmark = needs_browser


class TestTyping:
    def test_the_answer_is_that_of_the_api(self, window, served):
        view = window()
        page = view.open()
        with view.answering(query="ships lost in the ice"):
            page.locator("#query").press_sequentially("ships lost in the ice", delay=2)
        answer = post(served, "query", query="ships lost in the ice")
        assert view.titles() == [hit["title"] for hit in answer["hits"]]
        assert view.weights() == [hit["weight"] for hit in answer["hits"]]
        assert page.locator("#none").inner_text().split("\n")[0] == f"{answer['none_of_these']:.1%}"
        assert "169 items" in page.inner_text("#counts")
        assert page.title() == "ships lost in the ice – attnsearch"

    def test_an_older_answer_never_replaces_a_newer_one(self, window):
        """The first is held back until the second is shown."""
        view = window()
        page = view.open()
        page.evaluate("held.add('a detective')")
        page.fill("#query", "a detective")
        view.ask("how to cook")
        newer = view.titles()
        assert "The Joy of Cooking" in newer
        page.evaluate("release()")
        page.wait_for_timeout(100)
        assert view.titles() == newer

    def test_of_what_is_typed_meanwhile_only_the_last_is_asked(self, window):
        """So a slow server has no queue of ours."""
        view = window()
        page = view.open()
        page.evaluate("held.add('s')")
        for text in ("s", "sc", "sci"):
            page.fill("#query", text)
        with view.answering(query="sci"):
            page.evaluate("release()")
        assert [body["query"] for path, body in view.requests if path == "/v1/query"] == ["s", "sci"]

    def test_nothing_that_fits(self, window):
        view = window()
        page = view.open()
        view.ask("zzkqx flurble wug")
        assert page.locator("#remarks").inner_text() == (
            "nothing here matches well: none of these has more attention than all items together"
        )

    def test_a_misspelled_word(self, window):
        view = window()
        page = view.open()
        view.ask("scince fiction")
        assert page.locator("#remarks").inner_text() == 'asked as "science fiction"; ask exactly as typed'
        with view.answering(exact=True):
            page.get_by_role("button", name="ask exactly as typed").click()
        assert "exact=1" in page.url

    def test_emptied(self, window):
        view = window()
        page = view.open(query="moon")
        page.locator("#hits li").first.wait_for()
        page.fill("#query", "")
        page.locator("#answer").wait_for(state="hidden")
        assert page.locator("#about").is_visible()


class TestFilters:
    def test_a_value_of_a_facet(self, window):
        view = window()
        page = view.open(query="love")
        facet = page.locator(".facet", has=page.get_by_role("heading", name="language", exact=True))
        with view.answering(where=["language = French"]):
            facet.get_by_label("French").check()
        assert page.locator("#chips li").inner_text().startswith("language = French")
        assert "of 169 items" in page.inner_text("#counts")
        with view.answering(where=["language = French, German"]):
            facet.get_by_label("German").check()
        with view.answering(where=[]):
            page.get_by_role("button", name="Remove language = French, German").click()
        assert not facet.get_by_label("French").is_checked()

    def test_a_range(self, window, served):
        view = window()
        page = view.open(query="love")
        facet = page.locator(".facet", has=page.get_by_role("heading", name="year", exact=True))
        with view.answering(where=["year <= 1900"]):
            facet.locator("input").nth(1).fill("1900")
            page.keyboard.press("Enter")
        answer = post(served, "query", query="love", where=["year <= 1900"])
        assert view.titles() == [hit["title"] for hit in answer["hits"]]

    def test_the_ends_of_a_range_can_be_read(self, window):
        """A date as well: the boxes are wide enough for it."""
        view = window()
        page = view.open()
        boxes = page.locator(".facet", has=page.get_by_role("heading", name="year", exact=True)).locator("input")
        for box in (boxes.first, boxes.nth(1)):
            box.fill("2026-02-20")
            assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
        assert page.get_by_label("year from").count() == page.get_by_label("year to").count() == 1

    @pytest.mark.parametrize("catalog", ["library", "shop"])
    def test_the_example_is_a_filter_of_the_catalog(self, window, served, catalog):
        view = window()
        page = view.open(catalog=catalog)
        example = page.get_attribute("#filter", "placeholder")
        answer = post(served, "query", query="love", catalogs=[catalog], where=[example])
        assert 0 < answer["items"] - answer["masked"] <= answer["items"]
        assert {"library": "year", "shop": "price"}[catalog] in example

    def test_all_that_the_filters_leave_add_up_to_one(self, window):
        view = window()
        page = view.open(query="light", catalog="shop", filter="kind = light")
        page.locator("#hits li").nth(1).wait_for()
        assert sum(view.weights()) == pytest.approx(1)
        assert page.inner_text("#rest") == "These are all that the filters leave: their weights add up to one."

    def test_a_filter_in_words(self, window):
        view = window()
        view.allowed = ("400",)
        page = view.open(query="love")
        page.fill("#filter", "yeer > 1900")
        page.get_by_role("button", name="Add").click()
        page.locator("#filter-problem:not(:empty)").wait_for()
        assert "yeer" in page.inner_text("#filter-problem")
        assert page.locator("#filter").get_attribute("aria-invalid") is not None
        page.fill("#filter", "year > 1900")
        with view.answering(where=["year > 1900"], query="love", k=10):
            page.get_by_role("button", name="Add").click()
        assert page.inner_text("#filter-problem") == ""

    def test_all_is_hidden(self, window):
        view = window()
        page = view.open(query="love", filter="year > 3000")
        page.locator("#remarks p").first.wait_for()
        assert "the filters hide all 169 items" in page.inner_text("#remarks")
        assert view.titles() == []


class TestSliders:
    def test_a_lower_temperature_sharpens(self, window):
        view = window()
        page = view.open(query="science fiction")
        page.locator("#hits li").first.wait_for()
        tops = [view.weights()[0]]
        page.locator("#temperature").focus()
        for _ in range(3):
            with view.answering():
                page.keyboard.press("PageDown")
            page.wait_for_timeout(300)  # bars glide; answers between are dropped
            tops.append(view.weights()[0])
        assert tops == sorted(tops)
        assert tops[-1] > tops[0] + 0.1
        assert page.locator("#temperature").get_attribute("aria-valuetext") == page.inner_text(
            "output[for=temperature]"
        )
        assert float(page.inner_text("output[for=temperature]")) < 0.05
        with view.answering(temperature=None):
            page.get_by_role("button", name="Reset").first.click()
        assert view.weights()[0] == tops[0]

    def test_shared_words(self, window, served):
        view = window()
        page = view.open(query="whale hunting captain")
        page.locator("#hits li").first.wait_for()
        with view.answering(lexical=2):
            page.locator("#lexical").focus()
            page.keyboard.press("End")
        answer = post(served, "query", query="whale hunting captain", lexical=2)
        assert view.weights() == [hit["weight"] for hit in answer["hits"]]
        assert re.search(r"[#&]l=2(&|$)", page.url)


class TestLinks:
    def test_a_link_holds_the_whole_state(self, window):
        view, other = window(), window()
        state = {"filter": ["year > 1950", "language = English"], "temperature": "0.02", "lexical": "0.5", "k": "5"}
        page = view.open(query="science fiction", item="dune", of="library", **state)
        page.locator("#panel .matrix").first.wait_for()
        copied = page.url
        again = other.open()
        again.goto(copied)
        again.locator("#panel table.matrix").wait_for()
        assert other.titles() == view.titles()
        assert other.weights() == view.weights()
        assert len(view.titles()) == 5
        assert again.locator("#chips li").count() == 2
        assert again.inner_text("#panel-title") == "Dune"
        body = next(body for path, body in other.requests[::-1] if path == "/v1/query")
        assert (body["temperature"], body["lexical"], body["k"]) == (0.02, 0.5, 5)

    def test_back_and_forward(self, window):
        view = window()
        page = view.open()
        view.ask("science fiction")
        page.keyboard.press("Enter")
        page.locator("#hits li h3 button").first.click()
        page.locator("#panel table.matrix").wait_for()
        page.go_back()
        page.locator("#panel").wait_for(state="hidden")
        assert page.input_value("#query") == "science fiction"
        page.go_forward()
        page.locator("#panel table.matrix").wait_for()
        page.go_back()
        page.locator("#panel").wait_for(state="hidden")

    @pytest.mark.parametrize(
        "fragment", ["k=0&t=x&l=-1", "item=", "q=%ff%00", "w=&c=", "q=" + "a" * 5_000, "item=%2e%2e"]
    )
    def test_a_link_that_is_wrong(self, window, fragment):
        view = window()
        view.allowed = ("400", "404")
        page = view.open()
        page.goto(f"{view.address}#{fragment}")
        page.wait_for_timeout(200)
        assert view.overflow() == 0


class TestCatalogs:
    def test_another_and_several(self, window):
        view = window()
        page = view.open(query="something to read by")
        with view.answering(catalogs=["shop"]):
            page.locator("#catalogs button", has_text="shop").click()
        assert view.titles()[0] == "Reading lamp"
        with view.answering(catalogs=["shop", "library"]):
            page.get_by_label("ask library too").check()
        assert "173 items" in page.inner_text("#counts")
