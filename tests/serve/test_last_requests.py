"""The heatmap of the last requests in a browser."""

from __future__ import annotations

import pytest

from tests.serve.browser import NARROW, QUERIES, draw_heatmap, needs_browser, post

pytestmark = needs_browser
STORED = "JSON.parse(sessionStorage.getItem('attnsearch-requests') ?? '{}')"


@pytest.fixture
def drawn(window):
    """A window with an open heatmap."""
    view = window(width=NARROW)
    view.open()
    draw_heatmap(view)
    return view


def shares(view, selector: str) -> list[float]:
    return [float(value) for value in view.page.eval_on_selector_all(selector, "list => list.map(data => data.value)")]


def test_it_has_the_requests_that_one_stopped_at(window):
    view = window()
    page = view.open()
    for query in ("a detective", "a detective in London", "how to cook"):
        view.ask(query)
        page.wait_for_function(f"query => {STORED}['[]']?.[0] === query", arg=query)
    page.locator("#heatmap summary").click()
    page.locator("#heatmap table").wait_for()
    assert page.evaluate(STORED) == {"[]": ["how to cook", "a detective in London"]}
    assert {*page.locator(".heatmap tbody th").all_inner_texts()} == {"how to cook", "a detective in London"}


def test_it_is_that_of_the_api(drawn, served):
    heatmap = post(served, "heatmap", queries=QUERIES)
    page = drawn.page
    assert page.locator(".heatmap tbody th").all_inner_texts() == heatmap["queries"]
    heads = page.locator(".heatmap thead th").all_inner_texts()
    assert heads[-2:] == ["all others", "none of these"]
    for head, column in zip(heads, heatmap["columns"], strict=False):
        assert column["title"].startswith(head.removesuffix("…"))
    cells = [share for row in heatmap["weights"] for share in row]
    assert shares(drawn, ".heatmap td button data") == cells
    margins = list(zip(heatmap["others"], heatmap["none_of_these"], strict=True))
    assert shares(drawn, ".heatmap .margin data") == [share for row in margins for share in row]


def test_cells_are_shaded_by_their_weight(drawn):
    classes = drawn.page.locator(".heatmap tbody td:has(button)").evaluate_all(
        "list => list.map(cell => cell.className)"
    )
    weights = shares(drawn, ".heatmap td button data")
    steps = [int(name.removeprefix("p") or 0) for name in classes]
    assert steps == [int(weight**0.5 * 16 + 0.5) for weight in weights]
    assert max(steps) > 8


def test_it_scrolls_in_its_own_box(drawn):
    box = drawn.page.locator("#heatmap .box")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert drawn.overflow() == 0
    box.evaluate("box => box.scrollTo(300, 0)")
    head = drawn.page.locator(".heatmap tbody th").first.bounding_box()
    assert abs(head["x"] - box.bounding_box()["x"]) < 2  # its rows still have their names


def test_a_cell_opens_its_item_for_its_request(drawn):
    page = drawn.page
    with drawn.answering("/v1/explain", query="how to cook"):
        page.get_by_role("button", name="The Joy of Cooking, for how to cook").click()
    assert page.input_value("#query") == "how to cook"
    assert page.inner_text("#panel-title") == "The Joy of Cooking"


def test_the_focus_comes_back_though_the_cell_is_gone(drawn):
    """The heatmap is drawn anew, since its newest request is another; the item's hit gets the focus."""
    page = drawn.page
    with drawn.answering("/v1/heatmap"):
        page.get_by_role("button", name="The Joy of Cooking, for how to cook").click()
    page.keyboard.press("Escape")
    page.locator("#panel").wait_for(state="hidden")
    assert drawn.focus() == "The Joy of Cooking"


def test_a_row_asks_again(drawn):
    with drawn.answering(query="how to cook"):
        drawn.page.get_by_role("button", name="how to cook", exact=True).click()
    marked = drawn.page.locator(".heatmap [aria-current=true]")
    assert marked.all_inner_texts() == ["how to cook"]


def test_arrows_go_through_it(drawn):
    page = drawn.page
    assert page.locator(".heatmap [tabindex='0']").count() == 1
    page.locator(".heatmap [tabindex='0']").focus()
    assert drawn.focus() == page.locator(".heatmap tbody th").first.inner_text()
    last = page.locator(".heatmap tbody tr").last
    for key, place in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", -1)):
        page.keyboard.press(key)
        buttons = page.locator(".heatmap tbody tr").first.locator("td button")
        assert buttons.nth(place).evaluate("button => button === document.activeElement"), key
    page.keyboard.press("Control+End")
    assert last.locator("td button").last.evaluate("button => button === document.activeElement")
    assert page.locator(".heatmap [tabindex='0']").count() == 1


def test_it_follows_the_setting_and_what_is_asked(drawn):
    page = drawn.page
    before = shares(drawn, ".heatmap td button data")
    page.locator("#controls > summary").click()
    page.locator("#temperature").focus()
    with drawn.answering("/v1/heatmap"):
        page.keyboard.press("PageDown")
    assert max(shares(drawn, ".heatmap td button data")) > max(before)
    drawn.ask("falling in love")
    page.locator(".heatmap tbody th", has_text="falling in love").wait_for()
    assert page.locator(".heatmap tbody tr").count() == 4


def test_it_stays_in_this_window_until_it_is_cleared(drawn, window):
    page = drawn.page
    page.reload()
    page.locator("#heatmap summary", has_text="3 requests").wait_for()
    page.locator("#heatmap summary").click()
    page.locator(".heatmap tbody tr").nth(2).wait_for()
    other = window()
    assert not other.open(query="love").locator("#heatmap").is_visible()
    page.get_by_role("button", name="Clear").click()
    page.locator("#heatmap").wait_for(state="hidden")
    page.reload()
    page.locator("#heading:not(:empty)").wait_for()
    assert not page.locator("#heatmap").is_visible()


@pytest.mark.parametrize("stored", ["null", "[", '{"[]": 7}', '{"[]": [7, null, {"a": 1}, "  "]}', "7", '"x"'])
def test_what_another_program_left_in_the_storage(window, stored):
    view = window()
    page = view.open()
    for key in ("attnsearch-requests", "attnsearch-judged"):
        page.evaluate("([key, value]) => sessionStorage.setItem(key, value)", [key, stored])
    page.reload()
    view.ask("love")
    page.locator("#hits h3 button").first.click()
    page.locator("#panel .judging").wait_for()
    assert not page.locator("#heatmap").is_visible()
