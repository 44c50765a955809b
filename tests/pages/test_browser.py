"""Pages in Chromium, as a person has them: nothing runs, and nothing but a table in its own box is too wide."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

from attnsearch.lesson.steps import steps
from attnsearch.lesson.variations import variations
from attnsearch.pages.lesson import lesson_page
from tests.pages.hostile import HOSTILE, hostile_catalog

CHROMIUM = shutil.which("chromium")
OPTIONS = ("--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
           "--disable-component-update --disable-sync --virtual-time-budget=2000 --dump-dom")  # fmt: skip
WIDTHS = (360, 800, 1600)

# A page in frames of several widths; a page has no script, so the one around it measures.
AROUND = """<!doctype html><title>around</title><body>FRAMES<pre id="measured"></pre><script>
onload = () => {
  const measured = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    return {
      width: root.clientWidth, needed: root.scrollWidth, title: page.title, shown: getComputedStyle(page.body).display,
      background: getComputedStyle(page.body).backgroundColor,
      bars: [...page.querySelectorAll(".fill")].map(bar => bar.getBoundingClientRect().width).slice(0, 3),
      ranked: [...page.querySelectorAll(".ranked")].map(table => table.getBoundingClientRect().right),
      head: Math.max(0, ...[...page.querySelectorAll(".grid thead")].map(head => head.getBoundingClientRect().height)),
      wide: [...page.querySelectorAll("body *")].filter(
        part => !part.closest(".box, .unseen") && part.getBoundingClientRect().right > root.clientWidth + 1
      ).map(part => part.outerHTML.slice(0, 200)),
    }
  });
  document.querySelector("#measured").textContent = JSON.stringify(measured);
}
</script>"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture
def measure(tmp_path):
    """What Chromium makes of a page in frames of several widths."""

    def measure(page: str) -> list[dict]:
        frames = "".join(f'<iframe width={width} height=900 srcdoc="{html.escape(page)}"></iframe>' for width in WIDTHS)
        path = tmp_path / "around.html"
        path.write_text(AROUND.replace("FRAMES", frames))
        argv = [CHROMIUM, *OPTIONS.split(), f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
        dom = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
        assert "<title>around</title>" in dom
        (measured,) = re.findall(r'<pre id="measured">(.+?)</pre>', dom)
        return json.loads(html.unescape(measured))

    return measure


def check(measured: list[dict], title: str) -> None:
    assert len(measured) == len(WIDTHS)
    for frame in measured:
        assert frame["title"] == title
        assert frame["shown"] == "block"
        assert frame["background"] == "rgb(255, 255, 255)"  # the policy lets the stylesheet in
        assert frame["wide"] == []
        assert frame["needed"] <= frame["width"]


def test_a_hostile_catalog(run, write, small, measure):
    path = write("hostile.jsonl", hostile_catalog())
    options = ["-c", path, "-k", "99", "--show", "all", "--value", "note", "--explain", "-f", "html"]
    page = run("query", "moon <script>document.title = 'owned'</script>", *options).out
    measured = measure(page)
    check(measured, "moon <script>document.title = 'owned'</script> · attnsearch")
    for frame in measured:
        assert frame["bars"] == sorted(frame["bars"], reverse=True)
        assert frame["bars"][0] > 0


def test_a_matrix_and_a_lead(run, write, small, measure):
    path = write("hostile.jsonl", hostile_catalog())
    for options in (["--matrix"], ["--over", "12" + "w" * 40]):
        page = run("explain", "moon " * 40, ("13" + "moon " * 8).strip(), *options, "-c", path, "-f", "html").out
        check(measure(page), f"{' '.join(['moon'] * 16)}… · attnsearch")


def test_a_ranked_table_fits_a_phone(run, shop, measure):
    page = run("query", "moon", "-c", shop, "-f", "html").out
    for frame in measure(page):
        (right,) = frame["ranked"]
        assert right <= frame["width"]


def test_a_heatmap_of_wide_letters(run, write, small, measure):
    path = write("hostile.jsonl", hostile_catalog())
    page = run("heatmap", *HOSTILE[:5], "moon", "-k", "99", "-c", path, "-f", "html").out
    measured = measure(page)
    check(measured, "6 requests × 16 items · attnsearch")
    assert all(100 < frame["head"] < 450 for frame in measured)


def test_the_lesson(measure):
    page = lesson_page([*steps(), *variations()], ["attnsearch", "lesson"])
    check(measure(page), "Attention in a library of four books · attnsearch")


def test_a_script_would_be_seen(measure):
    """The policy alone stops a script that a template would let through."""
    page = "<!doctype html><title>before</title><script>document.title = 'owned'</script><p>x"
    assert {frame["title"] for frame in measure(page)} == {"owned"}
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    assert {frame["title"] for frame in measure(page.replace("<title>", policy + "<title>"))} == {"before"}
