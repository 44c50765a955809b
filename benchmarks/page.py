"""The page of `attnsearch serve`: from a key that is pressed to the answer that is painted, and where the time goes.

Requests are typed into Chromium at a person's pace. "Before" is from the key to the request, "search" what the server
says that the search took, "http" the rest of the request, "paint" from the answer to the frame that shows it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

from benchmarks import made
from benchmarks.measure import BIN, heading, table

NAME = "items"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
REQUESTS = ("a quiet story about the sea", "how to cook rice without a pot", "a robot that dreams of gardens",
            "copy all files of a folder", "letters from a long war")  # fmt: skip
PARTS = ("before", "search", "http", "paint", "all")

# Notes when a key is pressed, and what becomes of the request that follows it.
WATCH = """() => {
  const pressed = [];
  const ask = window.fetch;
  window.times = [];
  addEventListener("keydown", ({ key }) => key.length === 1 && pressed.push(performance.now()), true);
  window.fetch = async (...request) => {
    const [keys, sent] = [pressed.splice(0), performance.now()];
    const response = await ask(...request);
    const read = response.json.bind(response);
    response.json = async () => {
      const answer = await read();
      const received = performance.now();
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
          const painted = performance.now();
          const search = answer.elapsed_ms;
          for (const key of keys) {
            times.push([sent - key, search, received - sent - search, painted - received, painted - key]);
          }
        };
        port2.postMessage(null);
      });
      return answer;
    };
    return response;
  };
}"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--catalog", help="one of the home instead of made items")
    parser.add_argument("--pace", type=int, default=120, help="milliseconds between two keys")
    arguments = parser.parse_args()
    heading("The page", "playwright", "fastapi", "uvicorn")
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.catalog:
            os.environ["ATTNSEARCH_HOME"] = folder
            made.index(NAME, arguments.items)
        with serving(arguments.catalog or NAME) as address:
            rows = type_requests(address, arguments.pace)
    quantiles = [statistics.quantiles(column, n=100) for column in zip(*rows, strict=True)]
    print(f"{len(rows)} keys\n")
    table(("ms", *PARTS), [(f"p{p}", *(column[p - 1] for column in quantiles)) for p in (50, 90, 99)])


def type_requests(address: str, pace: int) -> list[list[float]]:
    """Milliseconds of `PARTS` for each key, the first request excepted, which warms up."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.evaluate(WATCH)
        for request in REQUESTS:
            page.fill("#query", "")
            page.keyboard.type(request, delay=pace)
            page.wait_for_timeout(1000)
        times: list[list[float]] = page.evaluate("times")
        browser.close()
    return times[len(REQUESTS[0]) :]


@contextmanager
def serving(catalog: str) -> Iterator[str]:
    """The address of a server."""
    argv = [str(BIN / "attnsearch"), "serve", "-c", catalog, "--port", "0", "-q"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
