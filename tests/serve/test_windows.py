"""The page in any window: narrow, wide, dark, light, by the keyboard alone, under attack, without its server."""

from __future__ import annotations

import importlib.resources
import importlib.util
from urllib.parse import urlsplit

import pytest

from tests.pages.hostile import ADDRESSES, HOSTILE
from tests.serve import browser
from tests.serve.browser import NARROW, WIDE, draw_heatmap, needs_browser

pytestmark = needs_browser
TOKEN = "a-token-that-nobody-guesses"
SAFE = ["noopener noreferrer", "no-referrer", "_blank"]
VIEWS = ["empty", "answer", "nothing", "item", "heatmap", "several"]
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def show(view, name: str) -> None:
    """Open a view of the page."""
    page = view.page
    if name == "empty":
        view.open()
    elif name == "answer":
        view.open(query="science fiction", filter=["year > 1900", "language = English"])
        page.locator("#hits li").first.wait_for()
    elif name == "nothing":
        view.open(query="zzkqx flurble wug", item="solaris", of="library")
        page.locator("#panel .like li").first.wait_for()
        page.locator("#panel table.matrix").wait_for()
    elif name == "item":
        view.open(query="science fiction", item="solaris", of="library", lexical="0.5")
        page.locator("#panel .like li").first.wait_for()
        page.locator("#panel table.matrix").wait_for()
    elif name == "several":
        view.open(query="tea", catalog=["shop", "library"], item="kettle", of="shop")
        page.locator("#panel .like li").first.wait_for()
    else:
        view.open()
        draw_heatmap(view)


class TestSight:
    @pytest.mark.parametrize("name", VIEWS)
    def test_axe(self, window, name):
        """No rule of WCAG 2.2 AA and of good practice is broken, on a light page, a dark one, wide and narrow."""
        if importlib.util.find_spec("axe_playwright_python") is None:
            pytest.skip("axe-playwright-python is not installed")
        script = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        view = window(reduced_motion="reduce")
        show(view, name)
        view.page.evaluate(script)
        colors = {"type": "rule", "values": ["color-contrast"]}
        for scheme, width, rules in (("light", WIDE, RULES), ("dark", WIDE, colors), ("dark", NARROW, RULES)):
            view.page.emulate_media(color_scheme=scheme)
            view.page.set_viewport_size({"width": width, "height": 900})
            report = view.page.evaluate("rules => axe.run({runOnly: rules})", rules)
            broken = [(rule["id"], rule["nodes"][0]["failureSummary"]) for rule in report["violations"]]
            assert broken == [], (scheme, width)
            assert len(report["passes"]) > (20 if rules is RULES else 0)

    @pytest.mark.parametrize("name", VIEWS)
    def test_no_width_is_too_narrow(self, window, name):
        view = window(width=NARROW, height=700)
        show(view, name)
        for width in (NARROW, 320, 500, 800, 1024, 1400, 2000):
            view.page.set_viewport_size({"width": width, "height": 700})
            assert view.overflow() == 0, width

    @pytest.mark.parametrize("width", [NARROW, 800, WIDE])
    def test_bars_have_one_length(self, window, width):
        """That of none of these, too, or shares could not be compared."""
        view = window(width=width)
        show(view, "answer")
        bars = view.page.locator(".bar").all()
        assert len(bars) == 11
        assert len({bar.bounding_box()["width"] for bar in bars}) == 1

    def test_dark_and_light(self, window):
        view = window(color_scheme="light")
        view.open()
        color = "document => getComputedStyle(document).backgroundColor"
        body = view.page.locator("body")
        assert body.evaluate(color) == "rgb(255, 255, 255)"
        view.page.emulate_media(color_scheme="dark")
        assert body.evaluate(color) == "rgb(24, 28, 34)"

    def test_nothing_glides_if_that_is_not_wanted(self, window):
        view = window()
        show(view, "answer")
        fill = view.page.locator(".fill").first
        assert fill.evaluate("bar => parseFloat(getComputedStyle(bar).transitionDuration)") > 0
        view.page.emulate_media(reduced_motion="reduce")
        assert fill.evaluate("bar => parseFloat(getComputedStyle(bar).transitionDuration)") == 0


def test_the_keyboard_alone(window):
    """A request, a filter, a sharper softmax, an item, a judgment, items like it, the heatmap, back to the box."""
    view = window()
    page = view.open(catalog="taught")

    def tab(to: str, key: str = "Tab") -> None:
        for _ in range(60):
            page.keyboard.press(key)
            if page.evaluate("to => document.activeElement.matches(to)", to):
                return
        raise AssertionError(f"Tab never comes to {to}")

    assert view.focus() == "query"
    with view.answering(query="something for a dark evening"):
        page.keyboard.type("something for a dark evening")
    page.locator("#status:not(:empty)").wait_for()  # read out, once one pauses
    tab("#temperature")
    before = view.weights()[0]
    with view.answering():
        page.keyboard.press("ArrowLeft")
    assert view.weights()[0] > before
    tab("#filter")
    page.keyboard.type("price < 100")
    with view.answering(where=["price < 100"], k=10):
        page.keyboard.press("Enter")
    assert "Armchair" not in view.titles()
    tab("#query", "Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = view.titles()[1]
    assert view.focus() == second
    page.keyboard.press("Enter")
    page.locator("#panel .like li").first.wait_for()
    tab("[data-grade=good]")
    with view.answering():
        page.keyboard.press("Enter")
    assert view.titles()[0] == second
    with view.answering():
        page.keyboard.press("Enter")
    tab(".like button")
    with view.answering("/v1/explain"):
        page.keyboard.press("Enter")
    assert page.inner_text("#panel-title") != second
    page.keyboard.press("Escape")
    page.locator("#panel").wait_for(state="hidden")
    page.keyboard.press("/")
    with view.answering(query="tea"):
        page.keyboard.type("tea")
    page.locator("#heatmap").wait_for()
    tab("#heatmap summary")
    page.keyboard.press("Enter")
    page.locator("#heatmap table").wait_for()
    tab(".heatmap button")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    with view.answering("/v1/explain"):
        page.keyboard.press("Enter")
    assert view.focus() == "panel-title"


@pytest.fixture(scope="module")
def addresses(chromium, served):
    """A window that has loaded the page's module of addresses."""
    view = browser.Window(chromium, served)
    view.open().evaluate("async () => { window.module = await import('./static/addresses.js') }")
    yield view.page
    view.close()


class TestHostile:
    """Whatever a catalog holds, it is shown as text."""

    def test_nothing_runs(self, window):
        view = window()
        view.allowed = ("request to https://example.org/", "net::ERR_FAILED")  # pictures
        page = view.page
        page.route(lambda url: urlsplit(url).netloc != view.host, lambda route: route.abort())
        view.open(catalog="hostile", query="moon", k="100")
        page.locator("#hits li").nth(len(HOSTILE) - 1).wait_for()
        assert len(view.titles()) == len(HOSTILE) + len(ADDRESSES)
        for place in range(0, len(view.titles()), 4):
            page.locator("#hits h3 button").nth(place).click()
            page.locator("#panel .about .fields").wait_for()
            page.locator("#panel .sum").wait_for()
        assert page.title() == "moon – attnsearch"
        assert page.evaluate("document.scripts.length") == 1
        assert page.locator("img[src=x], [onload], [onerror], [onclick], [onmouseover], style, iframe").count() == 0
        assert view.overflow() == 0
        assert "0<script>document.title = 'owned'</script" in view.titles()

    def test_requests_and_filters_that_attack(self, window):
        view = window()
        view.allowed = ("400", "404")
        page = view.open()
        for text in HOSTILE[:8]:
            page.goto(f"{view.address}#" + browser.urlencode({"q": text, "w": text, "c": "hostile", "item": text}))
            page.wait_for_timeout(30)
        assert page.evaluate("document.scripts.length") == 1
        assert page.locator("img[src=x], [onload], [onerror], [onclick], [onmouseover], style").count() == 0

    def test_only_addresses_of_the_web_lead_away(self, window):
        """All that are links are opened by no window of ours, and nothing of us goes with them."""
        view = window()
        page = view.open(catalog="hostile")
        asked = []
        page.route(
            lambda url: urlsplit(url).netloc != view.host, lambda route: (asked.append(route.request), route.abort())
        )
        view.allowed = ("request to https://", "net::ERR_FAILED")
        links = {}
        for number, address in enumerate(ADDRESSES):
            page.goto(f"{view.address}#c=hostile&item=link-{number}&of=hostile")
            page.locator("#panel .fields", has_text="url").wait_for()
            page.locator("#panel-title", has_text=f"address {number}").wait_for()
            links[address] = page.locator("#panel .about a").evaluate_all(
                "list => list.map(a => [a.href, a.rel, a.referrerPolicy, a.target])"
            )
        assert {address: link for address, link in links.items() if link} == {
            'https://example.org/"onclick="alert(1)': [["https://example.org/%22onclick=%22alert(1)", *SAFE]],
            "https://example.org/?a=<b>&c='d'": [["https://example.org/?a=%3Cb%3E&c=%27d%27", *SAFE]],
            "https://example.org/": [["https://example.org/", *SAFE]],
        }
        assert {urlsplit(request.url).netloc for request in asked} == {"example.org"}
        assert {request.resource_type for request in asked} == {"image"}
        assert not [request for request in asked if "referer" in request.headers]

    def test_a_picture(self, window):
        """It is asked for as its link is, and one that can't be loaded leaves no gap."""
        view = window()
        view.allowed = ("request to https://example.org/", "net::ERR_FAILED")
        page = view.page
        picture = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30"/></svg>'
        page.route("https://example.org/**", lambda route: route.fulfill(body=picture, content_type="image/svg+xml"))
        place = ADDRESSES.index("https://example.org/")
        view.open(catalog="hostile", item=f"link-{place}", of="hostile")
        shown = page.locator("#panel .picture")
        shown.wait_for()
        assert shown.evaluate("image => [image.alt, image.loading, image.referrerPolicy, image.width]") == [
            "", "lazy", "no-referrer", 40,
        ]  # fmt: skip
        page.unroute("https://example.org/**")
        page.route("https://example.org/**", lambda route: route.abort())
        page.reload()
        page.locator("#panel .fields").wait_for()
        shown.wait_for(state="detached")

    @pytest.mark.parametrize(
        ("value", "address"),
        [("https://a.org/x?y#z", "https://a.org/x?y#z"), ("HTTP://A.org", "http://a.org/"),
         ("https://münchen.de/ü", "https://xn--mnchen-3ya.de/%C3%BC"), ("https://user@a.org/", None),
         ("https://user:pass@a.org/", None), ("https://@a.org/", None), ("https:a.org", None), ("https:/a.org", None),
         ("https:\\\\a.org", None), ("https://a.org\\@b.org", None), (" https://a.org", None),
         ("https://a.org\n", None), ("java\nscript:alert(1)", None), ("\x01javascript:alert(1)", None),
         ("https://", None), ("https:///a.org", None),
         ("https://a.org/\u200b", None), ("https://a.org:99999/", None), ("https://" + "a" * 3000, None), ("", None),
         ("//a.org", None), ("/a", None), ("a.png", None), ("ftp://a.org", None), ("filesystem:https://a.org/x", None),
         (["javascript:x", "https://a.org/"], "https://a.org/"), ({"src": "https://a.org/"}, None), (7, None),
         (None, None)],
    )  # fmt: skip
    def test_addresses(self, addresses, value, address):
        assert addresses.evaluate("([value]) => module.linkOf({URL: value})", [value]) == address
        assert addresses.evaluate("([value]) => module.pictureOf({image: value})", [value]) == address


class TestServer:
    def test_a_token_and_a_server_that_goes_and_comes_back(self, window, served, tmp_path):
        home = tmp_path / "home"
        shop = tmp_path / "shop.yaml"
        shop.write_text("- {id: lamp, title: Lamp}\n- {id: kettle, title: Kettle}\n")
        browser.run(home, "index", str(shop), "-q")
        with browser.serving(home, "--token", TOKEN) as address:
            view = window(address)
            view.allowed = ("401", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
            page = view.page
            page.goto(f"{address}#q=tea")
            for wrong in ("wrong", "wröng €"):
                page.get_by_label("Token").fill(wrong)
                page.get_by_role("button", name="Use").click()
                page.locator("#problem .note").wait_for()
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Use").click()
            page.locator("#hits li").first.wait_for()
            assert page.get_by_label("Token").count() == 0
            other = window(address)
            other.page.goto(f"{address}#token={TOKEN}")
            other.page.locator("#heading:not(:empty)").wait_for()
            assert TOKEN not in other.page.url
        page.fill("#query", "a lamp")
        page.locator("#problem .note").wait_for()
        assert "the server does not answer" in page.inner_text("#problem")
        with browser.serving(home, "--token", TOKEN, port=urlsplit(address).port):
            page.locator("#problem .note").wait_for(state="detached")
            assert view.titles()[0] == "Lamp"
