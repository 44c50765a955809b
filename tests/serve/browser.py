"""A server in a process of its own, and windows of Chromium that refuse what no page of ours may do."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
BROWSER = shutil.which(os.environ.get("CHROMIUM", "chromium"))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
WIDE, NARROW = 1400, 360
QUERIES = ["ships lost in the ice", "how to cook", "a detective in London"]
# Answers to requests with a text or an item in `held` come when `release` is called, as those of a slow server do.
HOLD = """
window.held = new Set(), window.gate = Promise.withResolvers(), window.release = () => gate.resolve();
const plain = window.fetch;
window.fetch = async (path, options) => {
  const answer = await plain(path, options);
  const { query, item } = JSON.parse(options?.body ?? "{}");
  if (!held.has(query) && !held.has(item)) return answer;
  const { signal } = options;
  const aborted = new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason)));
  await Promise.race([gate.promise, aborted]);
  return answer;
};
"""

needs_browser = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


def run(home: Path, *argv: str) -> None:
    """Run a command in a home of its own."""
    subprocess.run([sys.executable, "-m", "attnsearch", *argv], env=_environment(home), check=True, capture_output=True)


@contextlib.contextmanager
def serving(home: Path, *options: str, port: int = 0) -> Iterator[str]:
    """The address of a server that runs within the context, as it prints it."""
    argv = [sys.executable, "-m", "attnsearch", "serve", "--offline", "--port", str(port), *options]
    log = home.parent / "serve.log"
    with log.open("w") as lines:
        process = subprocess.Popen(argv, env=_environment(home), stdout=subprocess.PIPE, stderr=lines, text=True)
        try:
            line = process.stdout.readline().strip()
            assert line.startswith("http://"), log.read_text()
            yield line
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {"ATTNSEARCH_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}


def post(address: str, path: str, **body: object) -> dict:
    """The answer of the API, without a browser."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}v1/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Until it is closed, no event loop can run in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


class Window:
    """A tab of its own in a browser, on the page of a server.

    `faults` has every error that it logged or threw, every breach of its policy, and every request to elsewhere.
    `allowed` are parts of messages that a test expects: Chromium logs each refusal of the server's.
    """

    def __init__(self, browser: Browser, address: str, width: int = WIDE, height: int = 900, **options: Any) -> None:
        self.address, self.host = address, urlsplit(address).netloc
        self.faults: list[str] = []
        self.requests: list[tuple[str, dict[str, Any] | None]] = []
        self.allowed: tuple[str, ...] = ()
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(20_000)  # a machine that is busy is no fault
        self.page: Page = self.context.new_page()
        self.page.add_init_script(HOLD)
        self.page.on("console", lambda line: line.type in ("error", "warning") and self._note(line.text))
        self.page.on("pageerror", lambda error: self._note(f"thrown: {error}"))
        self.page.on("dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._see)

    def _see(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != self.host:
            self._note(f"request to {request.url}")
        if parts.path.startswith("/v1/"):
            self.requests.append((parts.path, request.post_data_json if request.method == "POST" else None))

    def _note(self, text: str) -> None:
        if not any(part in text for part in self.allowed):
            self.faults.append(text)

    def open(self, **state: Any) -> Page:
        """Open the page in a state, such as `query="moon", item="a"`, and wait until the catalogs are known."""
        names = {"query": "q", "catalog": "c", "filter": "w", "temperature": "t", "lexical": "l", "item": "item"}
        parts = urlencode({names.get(name, name): value for name, value in state.items()}, doseq=True, quote_via=quote)
        self.page.goto(f"{self.address}#{parts}")
        self.page.locator("#heading:not(:empty)").wait_for()
        return self.page

    def ask(self, query: str) -> None:
        """Put a request in the place of the one before, and wait until its answer is shown."""
        with self.answering(query=query):
            self.page.fill("#query", query)

    @contextlib.contextmanager
    def answering(self, path: str = "/v1/query", **fields: Any) -> Iterator[None]:
        """Waits at its end until an answer to a request with these fields has come, and is shown."""

        def fits(response: Any) -> bool:
            if urlsplit(response.url).path != path:
                return False
            body = response.request.post_data_json or {}
            return all(body.get(name) == value for name, value in fields.items())

        with self.page.expect_response(fits) as waiting:
            yield
        waiting.value.finished()
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def titles(self) -> list[str]:
        """The titles of the hits, best first."""
        return self.page.locator("#hits > li h3").all_inner_texts()

    def weights(self) -> list[float]:
        """The weights of the hits, best first."""
        return [float(value) for value in self.page.eval_on_selector_all(
            "#hits > li .weight data", "list => list.map(data => data.value)")]  # fmt: skip

    def overflow(self) -> int:
        """How many pixels the page is wider than the window; 0 if it fits."""
        return max(0, self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def focus(self) -> str:
        """What has the focus, in words."""
        return self.page.evaluate("document.activeElement.id || document.activeElement.innerText")

    def close(self) -> None:
        """Close it; raise AssertionError if anything happened that may not."""
        self.context.close()
        assert not self.faults, self.faults


def draw_heatmap(view: Window, queries: list[str] = QUERIES) -> None:
    """Open the heatmap of these requests, the newest first, as if they had been asked."""
    stored = json.dumps({"[]": queries})
    view.page.evaluate("stored => sessionStorage.setItem('attnsearch-requests', stored)", stored)
    view.page.reload()
    view.page.locator("#heatmap summary").click()
    view.page.locator("#heatmap table").wait_for()
