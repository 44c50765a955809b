"""Pages elsewhere, in a real browser, that ask our server for whoever looks at them."""

from __future__ import annotations

import http.server
import threading
from urllib.parse import urlsplit

import pytest

from tests.serve.browser import needs_browser

pytestmark = needs_browser

# A page that tries all that a page can send elsewhere, and notes what it could read. `$` is our server.
PAGE = """<!doctype html>
<a id=link href="$/">a link</a>
<form method=post action="$/v1/feedback" enctype="text/plain" target=frame>
<input name='{"query": "a light", "good": ["lamp"], "catalogs": ["shop"], "x": "' value='"}'></form>
<iframe name=frame src="$/"></iframe>
<script>
window.read = [];
async function attack() {
  const body = '{"query": "a light", "catalogs": ["shop"]}';
  const kinds = [{}, {mode: "no-cors"}];
  for (const type of ["text/plain", "application/json"])
    kinds.push({method: "POST", body, headers: {"Content-Type": type}}, {method: "POST", body, mode: "no-cors"});
  for (const kind of kinds)
    try {
      const answer = await fetch("$/v1/" + (kind.method ? "query" : "catalogs"), kind);
      read.push(answer.type, await answer.text());
    } catch (error) { }
  for (const [tag, place] of [["img", "icon.svg"], ["script", "page.js"]])
    await new Promise(done => {
      const part = document.createElement(tag);
      part.onload = () => { read.push(tag); done(); };
      part.onerror = done;
      part.src = "$/static/" + place;
      document.body.append(part);
    });
  await new Promise(done => {
    const socket = new WebSocket("$/mcp".replace("http", "ws"));
    socket.onopen = () => { read.push("socket"); done(); };
    socket.onerror = done;
  });
  document.forms[0].submit();
}
</script>
"""


@pytest.fixture
def elsewhere(served):
    """The port of a server with that page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.replace("$", served.rstrip("/")).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_name_that_is_bound_anew(chromium, served):
    """DNS rebinding: a browser takes every name below `localhost` for this machine."""
    page = chromium.new_page()
    answer = page.goto(f"http://evil.localhost:{urlsplit(served).port}/")
    assert answer.status == 403
    assert "attnsearch-token" not in page.content()
    page.close()


@pytest.mark.parametrize("host", ["evil.localhost", "127.0.0.1"])
def test_a_page_elsewhere(chromium, served, elsewhere, host):
    """CSRF, by fetch, picture, script, socket, frame and form: from another site, and from another port of this one."""
    page, tried, statuses = chromium.new_page(), set(), {}
    start = served.rstrip("/")
    page.on("request", lambda request: tried.add((request.method, request.url.removeprefix(start))))
    page.on("response", lambda answer: statuses.update({answer.url.removeprefix(start): answer.status}))
    page.goto(f"http://{host}:{elsewhere}/")
    with page.expect_response(f"{start}/v1/feedback"):
        page.evaluate("attack()")
    assert tried >= {
        ("GET", "/v1/catalogs"), ("POST", "/v1/query"), ("POST", "/v1/feedback"), ("GET", "/static/icon.svg"),
        ("GET", "/static/page.js"), ("GET", "/"),
    }  # fmt: skip
    assert page.evaluate("read") == []
    ours = {path: status for path, status in statuses.items() if path.startswith(("/v1/", "/static/"))}
    assert "/v1/feedback" in ours
    assert set(ours.values()) == {403}
    assert not any(frame.url.startswith(start) for frame in page.frames)
    page.click("#link")  # a person may follow a link
    page.wait_for_selector("#query")
    page.close()
