"""The page's files: whole, of the right type, asked for again only if they changed, and nothing beside them."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

import pytest
from starlette.applications import Starlette

from attnsearch.pages.shades import colors
from attnsearch.serve import page

TEXTS = {path.name: path.read_text() for path in page.STATIC.iterdir()}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes


def ask(path: str, *, method: str = "GET", token: str = "", **headers: str) -> Answer:
    """The answer of the page's routes to a request."""
    sent = []
    named = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": named}  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(Starlette(routes=page.routes(token))(scope, receive, send))
    start, *parts = sent
    received = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], received, b"".join(part["body"] for part in parts))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("page.js", "text/javascript; charset=utf-8"), ("page.css", "text/css; charset=utf-8"),
     ("icon.svg", "image/svg+xml")],
)  # fmt: skip
def test_a_file_is_kept_until_it_changes(name, kind):
    answer = ask(f"/static/{name}")
    assert (answer.status, answer.content.decode(), answer.headers["content-type"]) == (200, TEXTS[name], kind)
    assert answer.headers["cache-control"] == "no-cache"
    again = ask(f"/static/{name}", If_None_Match=answer.headers["etag"])
    assert (again.status, again.content) == (304, b"")
    assert ask(f"/static/{name}", If_None_Match='"another"').content == answer.content


def test_types_are_ours_whatever_the_system_says(monkeypatch):
    monkeypatch.setattr("mimetypes.guess_type", lambda *_, **__: ("text/plain", None))
    assert ask("/static/page.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_the_token_is_in_the_page_alone_which_nobody_keeps():
    answer = ask("/", token='"><b>')
    assert b'<meta name="attnsearch-token" content="&quot;&gt;&lt;b&gt;">' in answer.content
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert ask("/").content.decode() == TEXTS["page.html"]


def test_colors_are_those_of_all_pages():
    assert ask("/static/colors.css").content.decode() == colors()


@pytest.mark.parametrize(
    "path",
    ["/static/page.html", "/static/", "/static", "/static/../page.py", "/static/%2e%2e/page.py", "/static/..%2fpage.py",
     "/static//etc/passwd", "/static/page.js/", "/static/PAGE.JS", "/page.js", "/static/page.js\0", "/static/.",
     "//static/page.js"],
)  # fmt: skip
def test_nothing_else_is_served(path):
    assert ask(path).status in (307, 404)  # Starlette leads from an address with a slash at its end to that without
    assert b"def " not in ask(path).content


def test_files_are_read_only():
    assert ask("/static/page.js", method="POST").status == 405
    assert ask("/static/page.js", method="HEAD").status == 200


def test_the_page_has_nothing_from_elsewhere_and_nothing_inline():
    for name, text in TEXTS.items():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, name
    html = TEXTS["page.html"]
    named = re.findall(r'(?:src|href)="([^"#]*)"', html)
    assert named
    assert all(ask(f"/{name}").status == 200 for name in named)
    assert not re.findall(r"<style|style=|<script(?![^>]* src=)|\son\w+=", html)


def test_modules_name_files_that_are_there():
    for name, text in TEXTS.items():
        for target in re.findall(r'from "(.*?)"', text) if name.endswith(".js") else ():
            assert target.removeprefix("./") in TEXTS, name


def test_nothing_is_made_of_markup_or_run_from_text():
    makers = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc"
    assert not [name for name, text in TEXTS.items() if re.search(makers, text)]


def test_no_file_is_long():
    assert not [name for name, text in TEXTS.items() if len(text.splitlines()) > 300]
