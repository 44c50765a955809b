"""An open item in a browser: why it is there, what is like it, judgments, the heatmap of the last requests."""

from __future__ import annotations

import re

import pytest

from tests.pages.hostile import HOSTILE
from tests.serve.browser import NARROW, needs_browser, post

pytestmark = needs_browser
SOLARIS = {"query": "science fiction", "item": "solaris", "of": "library"}


@pytest.fixture
def solaris(window):
    """A window with an open item, whose reasons are shown."""
    view = window()
    view.open(**SOLARIS)
    view.page.locator("#panel .like li").first.wait_for()
    view.page.locator("#panel table.matrix").wait_for()
    return view


def numbers(view, selector: str) -> list[float]:
    return [float(value) for value in view.page.eval_on_selector_all(selector, "list => list.map(data => data.value)")]


class TestWhy:
    def test_the_item(self, solaris):
        text = solaris.page.inner_text("#panel")
        assert "Solaris" in text
        assert "On a research station above an ocean" in text
        assert re.search(r"rank 1, 20\.9% of the attention, score 0\.554", text)
        assert re.search(r"author\s+Stanisław Lem", text)
        assert "science fiction, alien contact, ocean, memory, psychology" in text

    def test_a_description_is_there_once(self, window):
        """It is a field, too, if it has another name than ours."""
        fields = {"Price": "12.90", "Text": "Knitted.", "Note": "Knitted. Warm."}
        describe = "async item => (await import('./static/item.js')).describeItem(item).map(part => part.textContent)"
        parts = window().open().evaluate(describe, {"description": "Knitted.", "passage": None, "fields": fields})
        assert parts == ["Knitted.", "Price12.90NoteKnitted. Warm."]

    def test_the_sum(self, window, served):
        view = window()
        page = view.open(**SOLARIS, lexical="0.5")
        page.locator("#panel .sum").wait_for()
        answer = post(served, "explain", query="science fiction", item="solaris", lexical=0.5)
        (hit,) = answer["hits"]
        parts = numbers(view, ".sum tbody data")
        assert sum(parts) == pytest.approx(hit["logit"], abs=1e-5)
        assert numbers(view, ".sum tfoot data") == [hit["logit"]]
        assert "shared word scienc" in page.inner_text(".sum")

    def test_words_are_shaded_by_their_share(self, solaris, served):
        answer = post(served, "explain", query="science fiction", item="solaris")
        why = answer["hits"][0]["why"]
        query, item = solaris.page.locator(".words").all()
        assert query.locator("data").all_inner_texts() == ["science", "fiction"]
        assert query.locator("data").nth(1).get_attribute("class") == "p16"
        assert query.locator("data").nth(1).get_attribute("title") == "+4.33 logits"
        assert item.locator("data").all_inner_texts() == [word["word"] for word in why["item_words"]]
        shown = item.locator("p").first.inner_text().replace("\n", "")
        assert re.sub(r"[+−]\d\.\d\d", "", shown) == why["item_text"]

    def test_places_are_counted_in_code_points(self, window):
        """🚀 is one letter to Python, and two to JavaScript."""
        view = window()
        page = view.open(query="🚀🚀 warm light", item="lamp", of="shop", catalog="shop")
        page.locator("#panel .words").first.wait_for()
        words = page.locator(".words").first.locator("data").all_inner_texts()
        assert words[-2:] == ["warm", "light"]

    def test_the_matrix_is_a_table_that_adds_up(self, solaris, served):
        matrix = post(served, "explain", query="science fiction", item="solaris", matrix="words")["matrix"]
        page = solaris.page
        columns = page.locator(".matrix thead th[scope=col]").all_inner_texts()
        assert columns == ["science", "fiction", "the marks", "sum"]
        rows = page.locator(".matrix tbody th[scope=row]").all_inner_texts()
        assert rows == [line["label"] for line in matrix["columns"]]
        cells = numbers(solaris, ".matrix tbody td:not(.margin) data")
        assert cells == [matrix["cells"][row][column] for column in range(len(rows)) for row in range(3)]
        assert numbers(solaris, ".matrix tbody .margin data") == [line["sum"] for line in matrix["columns"]]
        assert numbers(solaris, ".matrix tfoot data") == [*(line["sum"] for line in matrix["rows"]), matrix["sum"]]
        (strongest,) = numbers(solaris, ".matrix .strongest data")
        assert abs(strongest) == matrix["strongest"] == max(map(abs, cells))
        assert "logit is 11.09" in page.inner_text(".matrix ~ .rest, .box + .rest")

    @pytest.mark.parametrize("width", [NARROW, 1400])
    def test_words_are_not_broken_where_there_is_room(self, window, width):
        view = window(width=width)
        page = view.open(**SOLARIS)
        heads = page.locator("#panel .matrix tbody th")
        heads.first.wait_for()
        heights = {head.inner_text(): head.bounding_box()["height"] for head in heads.all()}
        assert max(map(len, heights)) > 9, heights
        assert max(heights.values()) < 1.5 * min(heights.values())

    def test_small_numbers_can_be_read(self, window, served):
        """At a high temperature all logits are next to nothing."""
        view = window()
        page = view.open(**SOLARIS, temperature="20")
        page.locator("#panel table.matrix").wait_for()
        answer = post(served, "explain", query="science fiction", item="solaris", temperature=20, matrix="words")
        assert page.inner_text(".matrix .strongest data") == f"{answer['matrix']['strongest']:+.4f}"
        words = [f"{word['share']:+.3f}" for word in answer["hits"][0]["why"]["query_words"]]
        assert page.locator(".words").first.locator("small").all_inner_texts() == words

    def test_a_long_request_keeps_its_sums(self, window):
        """Of more words than there is room for, the others are one row and one column."""
        view = window()
        text = "the science of stars and ships and people who look for other worlds far away from home " * 4
        page = view.open(**SOLARIS | {"query": text})
        page.locator("#panel table.matrix").wait_for()
        columns = page.locator(".matrix thead th[scope=col]").all_inner_texts()
        assert len(columns) == 32
        assert re.fullmatch(r"\d\d others", columns[30])
        whole = numbers(view, ".matrix tfoot .margin data")
        assert sum(numbers(view, ".matrix tfoot td:not(.margin) data")) == pytest.approx(*whole)
        assert sum(numbers(view, ".matrix tbody td:not(.margin) data")) == pytest.approx(*whole)

    def test_a_long_item_keeps_its_sums(self, window):
        view = window()
        page = view.open(query="moon", catalog="hostile", item=f"13{HOSTILE[13][:40]}".strip(), of="hostile")
        page.locator("#panel table.matrix").wait_for()
        rows = page.locator(".matrix tbody th").all_inner_texts()
        assert len(rows) == 151
        assert re.fullmatch(r"\d+ others", rows[-1])
        whole = numbers(view, ".matrix tfoot .margin data")
        assert sum(numbers(view, ".matrix tbody td:not(.margin) data")) == pytest.approx(*whole)

    def test_sharper(self, solaris):
        """The sliders change what is open, too, and the focus stays where it is."""
        page = solaris.page
        before = numbers(solaris, ".sum tfoot data")
        page.locator("#temperature").focus()
        with solaris.answering("/v1/explain"):
            page.keyboard.press("PageDown")
        assert numbers(solaris, ".sum tfoot data") > before
        assert solaris.focus() == "temperature"

    def test_a_model_without_such_a_sum(self, window):
        """The page says so; the answers are those of such a model."""
        view = window()
        view.allowed = ("400",)

        def explain(route):
            if "matrix" in route.request.post_data_json:
                route.fulfill(status=400, json={"error": {"code": 2, "message": "no such sum", "hint": ""}})
                return
            answer = route.fetch().json()
            answer["hits"][0]["why"] |= {"query_words": None, "item_words": None, "item_text": None}
            route.fulfill(json=answer)

        view.page.route("**/v1/explain", explain)
        page = view.open(**SOLARIS)
        page.locator("#panel .note").wait_for()
        assert "not sums over words" in page.inner_text("#panel .note")
        assert page.locator("#panel .matrix:not(:empty)").count() == 0
        assert page.inner_text(".sum tfoot").endswith("11.09")

    def test_an_item_that_a_filter_hides(self, window):
        view = window()
        view.allowed = ("400",)
        page = view.open(**SOLARIS, filter="year > 2000")
        page.locator("#panel .note").wait_for()
        page.locator("#panel .fields").wait_for()
        assert "On a research station" in page.inner_text("#panel")

    def test_one_that_is_not_there(self, window):
        view = window()
        view.allowed = ("400", "404")
        page = view.open(query="love", item="no such", of="library")
        page.locator("#panel .note").wait_for()
        assert "no item 'no such'" in page.inner_text("#panel .note")
        page.locator("#panel .judging").wait_for(state="detached")
        page.get_by_role("button", name="Close").click()
        assert not page.locator("#panel").is_visible()

    def test_one_of_two_with_the_same_id(self, window, served):
        """Of two catalogs that are asked as one."""
        view = window()
        page = view.open(query="tea", catalog=["shop", "library", "taught"], item="kettle", of="taught")
        page.locator("#panel table.matrix").wait_for()
        page.locator("#panel .like li").first.wait_for()
        assert page.inner_text("#panel-title") == "Kettle"
        answer = post(served, "like", items=["taught:kettle"], catalogs=["shop", "library", "taught"], k=5)
        titles = page.locator("#panel .like button").all_inner_texts()
        assert titles == [hit["title"] for hit in answer["hits"]]

    def test_without_a_request(self, window):
        view = window()
        page = view.open(item="solaris", of="library")
        page.locator("#panel .fields").wait_for()
        assert "On a research station" in page.inner_text("#panel")
        assert page.locator(".judging").count() == 0
        assert page.locator("#panel .like li").count() == 5


class TestDialog:
    def test_items_like_it_open_in_turn(self, solaris, served):
        page = solaris.page
        answer = post(served, "like", items=["solaris"], k=5)
        titles = page.locator("#panel .like button").all_inner_texts()
        assert titles == [hit["title"] for hit in answer["hits"]]
        with solaris.answering("/v1/explain", item=answer["hits"][1]["id"]):
            page.locator("#panel .like button").nth(1).click()
        assert page.inner_text("#panel-title") == titles[1]
        assert solaris.focus() == "panel-title"
        page.go_back()
        page.locator("#panel-title", has_text="Solaris").wait_for()

    def test_an_answer_that_comes_late_is_not_that_of_another_item(self, window):
        view = window()
        page = view.open(query="science fiction")
        page.locator("#hits li").first.wait_for()
        page.evaluate("held.add('solaris')")
        page.get_by_role("button", name="Solaris").click()
        page.get_by_role("button", name="The Martian").first.click()
        page.evaluate(
            "window.shown = new Set();"
            "const note = () => shown.add(document.getElementById('panel-title').textContent);"
            "new MutationObserver(note).observe(document.getElementById('panel'), {childList: true, subtree: true})"
        )
        with view.answering("/v1/explain", item="the-martian"):
            page.evaluate("release()")
        assert page.evaluate("[...shown]") == ["The Martian"]
        assert page.inner_text("#panel-title") == "The Martian"
        assert page.locator("#panel .words data").first.inner_text() == "science"
        assert "Left for dead" in page.inner_text("#panel .about")

    @pytest.mark.parametrize("width", [NARROW, 1400])
    @pytest.mark.parametrize("closing", ["Escape", "Close"])
    def test_the_focus_goes_in_and_comes_back(self, window, width, closing):
        view = window(width=width)
        page = view.open(query="science fiction")
        button = page.locator("#hits h3 button").nth(2)
        title = button.inner_text()
        button.focus()
        page.keyboard.press("Enter")
        page.locator("#panel table.matrix").wait_for()
        assert view.focus() == "panel-title"
        assert "item=" in page.url
        dialog = page.get_by_role("dialog", name=title)
        assert dialog.evaluate("dialog => dialog.matches(':modal')") == (width == NARROW)
        if closing == "Escape":
            page.keyboard.press("Escape")
        else:
            dialog.get_by_role("button", name="Close").click()
        dialog.wait_for(state="hidden")
        assert view.focus() == title
        assert "item=" not in page.url

    def test_a_sheet_keeps_the_focus(self, window):
        view = window(width=NARROW)
        page = view.open(**SOLARIS)
        page.locator("#panel table.matrix").wait_for()
        page.locator("#panel .like li").first.wait_for()
        for _ in range(12):
            page.keyboard.press("Tab")
            inside = page.evaluate(
                "document.activeElement === document.body || !!document.activeElement.closest('#panel')"
            )
            assert inside

    def test_a_gesture_closes_it(self, window):
        """As on a phone, whose way back is no key."""
        view = window(width=NARROW)
        page = view.open(**SOLARIS)
        page.locator("#panel table.matrix").wait_for()
        page.locator("#panel").evaluate("panel => panel.requestClose()")
        page.locator("#panel").wait_for(state="hidden")
        assert "item=" not in page.url

    def test_a_window_that_changes_its_width(self, solaris):
        page = solaris.page
        page.set_viewport_size({"width": NARROW, "height": 800})
        page.locator("#panel:modal").wait_for()
        page.set_viewport_size({"width": 1400, "height": 800})
        page.locator("#panel[open]:not(:modal)").wait_for()


class TestJudging:
    def test_a_token_in_a_link(self, window, served):
        """Anyone can make one: where none is needed, it takes nobody the right to judge."""
        page = window().page
        page.goto(f"{served}#token=that-of-a-stranger&q=a+boat&c=taught")
        page.locator("#hits h3 button").last.click()
        good = page.get_by_role("button", name="Right for this request")
        for pressed in ("true", "false"):
            good.click()
            page.locator(f".judging [data-grade=good][aria-pressed={pressed}]").wait_for()
        assert "stranger" not in page.url

    def test_the_answer_changes_and_comes_back(self, window):
        view = window()
        page = view.open(query="a gift for my aunt", catalog="taught")
        page.locator("#hits li").first.wait_for()
        before, weights = view.titles(), view.weights()
        page.locator("#hits h3 button").last.click()
        page.locator("#panel .sum").wait_for()
        good = page.get_by_role("button", name="Right for this request")
        bad = page.get_by_role("button", name="Wrong for this request")
        assert good.get_attribute("aria-pressed") == bad.get_attribute("aria-pressed") == "false"
        with view.answering(), view.answering("/v1/explain"):
            good.click()
        assert view.titles()[0] == before[-1]
        assert good.get_attribute("aria-pressed") == "true"
        assert "was judged" in page.inner_text(".sum")
        assert "remembered" in page.inner_text(".judging")
        with view.answering():
            good.click()
        assert good.get_attribute("aria-pressed") == "false"
        assert (view.titles(), view.weights()) == (before, weights)
        for button in (good, bad):
            with view.answering():
                button.click()
        assert (good.get_attribute("aria-pressed"), bad.get_attribute("aria-pressed")) == ("false", "true")
        with view.answering():
            bad.click()
        assert bad.get_attribute("aria-pressed") == "false"
        assert (view.titles(), view.weights()) == (before, weights)

    def test_of_several_catalogs(self, window):
        view = window()
        page = view.open(query="tea", catalog=["shop", "library"], item="kettle", of="shop")
        page.locator("#panel .sum").wait_for()
        assert page.locator(".judging").count() == 0
        assert "A judgment belongs to one catalog" in page.inner_text("#panel")
        with view.answering(catalogs=["shop"]):
            page.get_by_role("button", name="ask shop alone").click()
        page.locator("#panel .judging").wait_for()

    def test_refused(self, window):
        view = window()
        view.allowed = ("503",)
        page = view.open(query="tea", catalog="taught", item="kettle", of="taught")
        refusal = {"error": {"code": 3, "message": "the catalog is read-only", "hint": "ask its owner"}}
        page.route("**/v1/feedback", lambda route: route.fulfill(status=503, json=refusal))
        page.get_by_role("button", name="Right for this request").click()
        page.locator(".judging .rest:not(:empty)").wait_for()
        assert page.inner_text(".judging .rest") == "the catalog is read-only; ask its owner"
        assert page.locator("[aria-pressed=true]", has_text="👍").count() == 0
