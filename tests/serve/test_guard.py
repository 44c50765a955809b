"""Who may ask: each test is an attack, or someone who must get in. The application behind the guard notes who did."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import NamedTuple

import pytest

from attnsearch.errors import InputError
from attnsearch.serve.guard import Access, Guard, note
from attnsearch.serve.limits import HEADERS, LARGEST, Gate
from tests.serve.client import Client

HOST = "localhost:8400"
TOKEN = "a-token-of-thirty-two-characters"
LOCAL = ("127.0.0.1", 8400)


class Answered(NamedTuple):
    """What a client gets; `status` 0 for nothing."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_cut: bool
    sent: list

    @property
    def error(self) -> dict:
        """The error object."""
        return json.loads(self.body)["error"]


class Behind:
    """The application behind the guard: notes each request that gets through."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.lines: list[str] = []
        self.scopes: list[str] = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope["type"])
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        self.asked.append((scope["method"], scope["path"], body))
        await self.answer(send)

    async def answer(self, send):
        note(["shop"], "a \n secret")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"data"})


@pytest.fixture
def behind():
    return Behind()


@pytest.fixture
def ask(behind):
    """Send a request through a guard: what the client gets."""

    def ask(
        method="GET",
        path="/v1/catalogs",
        *,
        host=HOST,
        headers=(),
        body=None,
        server=LOCAL,
        app=behind,
        raw=None,
        **access,
    ) -> Answered:
        options = {name: access.pop(name) for name in ("gate", "log_queries") if name in access}
        guard = Guard(app, access.pop("access", None) or Access(**access), log=behind.lines.append, **options)
        return asyncio.run(exchange(guard, method, path, host, headers, body, server, raw))

    return ask


async def exchange(guard, method="GET", path="/v1/catalogs", host=HOST, headers=(), body=None, server=LOCAL, raw=None):
    parts = [body] if isinstance(body, bytes) else list(body or ())
    pairs = [*([("Host", host)] if host is not None else []), *headers]
    if isinstance(body, bytes):
        pairs.append(("Content-Length", str(len(body))))
    elif parts:
        pairs.append(("Transfer-Encoding", "chunked"))
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": raw or path.encode(), "server": server,
        "query_string": b"q=secret", "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
    }  # fmt: skip
    sent = []

    async def receive():
        if not parts:
            await asyncio.sleep(60)
        part = parts.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        if isinstance(part, float):
            await asyncio.sleep(part)
            part = b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    await guard(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) <= 1
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    is_cut = not bodies or bodies[-1].get("more_body", False)
    if not starts:
        return Answered(0, {}, b"", is_cut, sent)
    given = {name.decode().lower(): value.decode() for name, value in starts[0]["headers"]}
    return Answered(starts[0]["status"], given, b"".join(message.get("body", b"") for message in bodies), is_cut, sent)


JSON = ("Content-Type", "application/json")


def post(ask, path="/v1/query", *headers, body=b"{}", **options):
    return ask("POST", path, headers=[JSON, *headers], body=body, **options)


class TestRebinding:
    """A name of the attacker's is bound anew, to this machine: a browser then lets its page read what we answer."""

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:8400", "localhost.evil", "localhost.evil.example:8400", "127.0.0.1.nip.io",
         "evil-localhost", "xn--lcalhost-y4a", "0.0.0.0:8400", "[::]:8400", "[::ffff:127.0.0.1]:8400", "127.1",
         "2130706433", "0x7f000001", "127.0.0.2", "192.168.1.5:8400", "[::1%25eth0]", "[fe80::1]"],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "path", ["/", "/static/page.js", "/health", "/v1/catalogs", "/mcp", "/none", "/openapi.json"]
    )
    def test_another_host(self, ask, behind, host, path):
        """On every address: what has no data tells at least that we are here, and the page has its token."""
        answered = ask(path=path, host=host)
        assert (answered.status, answered.error["code"], behind.asked) == (403, 2, [])
        assert "--url" in answered.error["hint"]

    @pytest.mark.parametrize(
        "host",
        [None, "", " ", "me@localhost:8400", "localhost:8400@evil.example", "localhost:", "localhost:port",
         "localhost:80:80", "localhost:+80", "localhost:０８", "localhost:99999", "localhost:0", "localhost/",
         "localhost?", "localhost#", "localhost\\evil", "localhost,evil", "localhost evil", "local\thost",
         "localhost..", "[::1", "::1", "http://localhost", "localhost\x00", "localhost\n", "ｌocalhost", "*"],
    )  # fmt: skip
    def test_what_is_no_host(self, ask, behind, host):
        assert ask(host=host).status == 403
        assert behind.asked == []

    @pytest.mark.parametrize(
        "host", ["localhost", "localhost:1", "LOCALHOST:8400", "localhost.:8400", "127.0.0.1:65535", "[::1]:8400"]
    )
    def test_this_machine(self, ask, host):
        """Any port: `ssh -L 9000:localhost:8400` leads here, too."""
        assert ask(host=host).status == 200

    def test_two_hosts(self, ask, behind):
        """Whoever stands before us may have read the other."""
        assert ask(headers=[("Host", "evil.example")]).status == 400
        assert ask(host="evil.example", headers=[("Host", HOST)]).status == 400
        assert behind.asked == []

    @pytest.mark.parametrize(
        ("listens", "host"),
        [("192.168.1.5", "192.168.1.5:8400"), ("fd00::5", "[fd00::5]:8400"), ("Shop.Local", "shop.local")],
    )
    def test_the_address_that_is_listened_on(self, ask, listens, host):
        """Beside the names of this machine, which still lead here."""
        headers = [("Authorization", f"Bearer {TOKEN}")]
        assert ask(host=host, headers=headers, token=TOKEN).status == 403
        assert ask(host=host, headers=headers, token=TOKEN, access=Access(listens, token=TOKEN)).status == 200

    @pytest.mark.parametrize(
        ("server", "host", "status"),
        [
            (("192.168.1.5", 8400), "192.168.1.5:8400", 200),
            (("::ffff:192.168.1.5", 8400), "192.168.1.5", 200),  # IPv4 through a socket of IPv6
            (("fe80::5%eth0", 8400), "[fe80::5]:8400", 200),
            (("192.168.1.5", 8400), "192.168.1.6:8400", 403),
            (("127.0.0.1", 8400), "0.0.0.0:8400", 403),  # which leads here from any page, on Linux and macOS
            (("127.0.0.1", 8400), "evil.example", 403),
            (None, "evil.example", 403),
        ],
    )
    @pytest.mark.parametrize("listens", ["0.0.0.0", "::"])
    def test_all_addresses_are_listened_on(self, ask, listens, server, host, status):
        """Then that at which the request came in: an address, unlike a name, can't be bound anew."""
        access = Access(listens, token=TOKEN)
        assert (
            ask(host=host, server=server, headers=[("Authorization", f"Bearer {TOKEN}")], access=access).status
            == status
        )


class TestOtherOrigin:
    """A page of another origin has the browser of a user here send requests: CSRF."""

    FOREIGN = ("https://evil.example", "http://localhost:3000", "http://127.0.0.1:8400", "http://localhost", "null", "",
               "http://localhost:8400.evil.example", "http://localhost:8400@evil.example", "file://", "http://evil",
               "chrome-extension://abc", "http://localhost:8400/", "ftp://localhost:8400", "localhost:8400",
               "http://localhost:8400, http://evil.example")  # fmt: skip

    @pytest.mark.parametrize("origin", FOREIGN)
    @pytest.mark.parametrize("path", ["/v1/query", "/v1/feedback", "/mcp"])
    def test_by_fetch(self, ask, behind, origin, path):
        right = ("Authorization", f"Bearer {TOKEN}")
        assert post(ask, path, right, ("Origin", origin), token=TOKEN).status == 403
        assert behind.asked == []

    @pytest.mark.parametrize("path", ["/", "/static/page.js", "/health", "/v1/catalogs"])
    def test_by_fetch_of_a_page(self, ask, behind, path):
        assert ask(path=path, headers=[("Origin", "https://evil.example")]).status == 403
        assert behind.asked == []

    @pytest.mark.parametrize(
        "kind",
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "", None,
         "text/plain; application/json", "application/jsonp", "application/json5"],
    )  # fmt: skip
    def test_by_form(self, ask, behind, kind):
        """What a form, or a fetch without preflight, can send: none of it is JSON by its type."""
        headers = [("Content-Type", kind)] if kind is not None else []
        assert ask("POST", "/v1/query", headers=headers, body=b'{"query": "moon"}').status == 415
        assert behind.asked == []

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "new-word"])
    @pytest.mark.parametrize("path", ["/v1/catalogs", "/mcp", "/static/page.js", "/health", "/openapi.json"])
    def test_by_picture_script_or_link(self, ask, behind, site, path):
        """They send no Origin, but say that a page elsewhere has them."""
        headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "navigate")]
        assert ask(path=path, headers=headers).status == 403
        assert behind.asked == []

    def test_a_link_to_the_page_is_followed(self, ask):
        headers = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]
        assert ask(path="/", headers=headers).status == 200
        assert ask(path="/", headers=[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]).status == 403

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_the_page_itself(self, ask, site):
        headers = ("Origin", "http://localhost:8400"), ("Sec-Fetch-Site", site)
        assert post(ask, "/v1/query", *headers).status == 200

    @pytest.mark.parametrize(
        ("host", "origin"),
        [("localhost", "http://localhost"), ("localhost:80", "http://localhost"), ("[::1]:8400", "http://[::1]:8400"),
         ("LOCALHOST:8400", "http://localhost:8400"), ("localhost:8443", "https://localhost:8443")],
    )  # fmt: skip
    def test_the_same_address_in_another_form(self, ask, host, origin):
        assert post(ask, "/v1/query", ("Origin", origin), host=host).status == 200

    @pytest.mark.parametrize("name", ["Access-Control-Request-Method", "Access-Control-Request-Private-Network"])
    def test_no_preflight_is_granted(self, ask, behind, name):
        answered = ask("OPTIONS", "/v1/query", headers=[(name, "POST"), ("Origin", "https://evil.example")])
        assert answered.status == 403
        answered = ask("OPTIONS", "/v1/query", headers=[(name, "POST")])
        assert answered.status == 405
        assert not [name for name in answered.headers if name.startswith("access-control")]
        assert behind.asked == []


class TestProxy:
    """What --url names: the address of a reverse proxy."""

    URL = "https://Search.Example.org/books/"

    @pytest.fixture
    def through(self, ask):
        def through(method="POST", path="/v1/query", *, host="search.example.org", origin="https://search.example.org"):
            headers = [JSON, ("Origin", origin), ("Authorization", f"Bearer {TOKEN}")]
            return ask(method, path, host=host, headers=headers, body=b"{}", url=self.URL, token=TOKEN)

        return through

    @pytest.mark.parametrize(
        "host", ["search.example.org", "search.example.org:443", "localhost:8400", "127.0.0.1:8400"]
    )
    def test_its_address(self, through, host):
        """A proxy passes Host on, or names us: nginx does, unless it is asked to."""
        assert through(host=host).status == 200

    @pytest.mark.parametrize(
        ("host", "origin"),
        [("evil.example", "https://search.example.org"), ("search.example.org", "https://evil.example"),
         ("search.example.org", "http://search.example.org"),  # whoever is between can write that page
         ("search.example.org:8443", "https://search.example.org:8443"), ("localhost:8400", "https://localhost"),
         ("example.org", "https://search.example.org"), ("a.search.example.org", "https://search.example.org")],
    )  # fmt: skip
    def test_another_address(self, through, behind, host, origin):
        assert through(host=host, origin=origin).status == 403
        assert behind.asked == []

    @pytest.mark.parametrize("path", ["/books/v1/query", "/v1/query"])
    def test_its_path(self, through, behind, path):
        """Whether the proxy leaves it or not."""
        assert through(path=path).status == 200
        assert behind.asked == [("POST", "/v1/query", b"{}")]

    def test_its_path_lets_nobody_in(self, ask, behind):
        """It is gone before anything is compared."""
        for path in ("/books/v1/catalogs", "/books/v1/feedback"):
            assert ask(path=path, url=self.URL, token=TOKEN).status == 401
        assert behind.asked == []

    def test_another_alphabet(self, ask):
        access = Access(url="https://bücher.example", token=TOKEN)
        headers = [("Origin", "https://xn--bcher-kva.example"), ("Authorization", f"Bearer {TOKEN}")]
        assert ask(host="xn--bcher-kva.example", headers=headers, access=access).status == 200

    @pytest.mark.parametrize("url", ["search.example.org", "ftp://a", "https://", "https://me@a", "https://a/?q", "https://a/#x",
                                     "https://a:99999", "https://a b", "https://.", "javascript:x", ""])  # fmt: skip
    def test_what_is_no_address(self, url):
        with pytest.raises(InputError, match="is not an address"):
            Access(url=url)


class TestToken:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/v1/catalogs"), ("POST", "/v1/query"), ("POST", "/v1/feedback"), ("POST", "/mcp"), ("GET", "/mcp"),
         ("HEAD", "/v1/catalogs"), ("GET", "/v1/items/a"), ("GET", "/none"), ("GET", "//static/"), ("GET", "/STATIC/"),
         ("GET", "/static"), ("GET", "/v1/../static/"), ("POST", "/v1/feedback/")],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "given",
        [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
         "Bearer null", f"Bearer {TOKEN.upper()}", f"Bearer Bearer {TOKEN}", "Bearer é", f"Bearer {TOKEN} {TOKEN}"],
    )  # fmt: skip
    def test_without_the_right_one(self, ask, behind, method, path, given):
        headers = [JSON, *([("Authorization", given)] if given is not None else [])]
        answered = ask(method, path, headers=headers, body=b"{}", token=TOKEN)
        assert answered.status == (400 if ".." in path else 401)
        assert behind.asked == []
        assert answered.status == 400 or answered.headers["www-authenticate"] == "Bearer"

    def test_twice(self, ask, behind):
        """Whoever stands before us may have read the other."""
        headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
        assert ask(headers=headers, token=TOKEN).status == ask(headers=headers[::-1], token=TOKEN).status == 400
        assert behind.asked == []

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_with_the_right_one(self, ask, scheme):
        assert ask(headers=[("Authorization", f"{scheme} {TOKEN}")], token=TOKEN).status == 200

    @pytest.mark.parametrize("path", ["/", "/static/page.js", "/health", "/openapi.json"])
    def test_what_has_no_data_needs_none(self, ask, path):
        """The page is a shell, which asks for it."""
        assert ask(path=path, token=TOKEN).status == 200

    def test_its_time_tells_nothing(self, ask, monkeypatch):
        """Neither the user's nor the page's is compared by `==`, which ends at the first letter that differs."""
        compared, compare = [], secrets.compare_digest
        monkeypatch.setattr(secrets, "compare_digest", lambda *pair: compared.append(pair) or compare(*pair))
        access = Access()
        assert ask(headers=[("Authorization", f"Bearer {TOKEN}")], token=TOKEN).status == 200
        assert post(ask, "/v1/feedback", ("Authorization", f"Bearer {TOKEN}"), access=access).status == 401
        assert compared == [(TOKEN.encode(), right.encode()) for right in (TOKEN, access.page_token)]

    @pytest.mark.parametrize("token", ["", "short", "a" * 15, "a b" * 10, "é" * 20, "a\n" * 10, "a" * 20 + '"'])
    def test_what_is_no_token(self, token):
        with pytest.raises(InputError, match="--token needs at least 16 characters") as caught:
            Access(token=token)
        assert not token or token not in str(caught.value)


class TestWriting:
    """Without a token, reading is open on this machine; what writes needs the page's own."""

    @pytest.mark.parametrize("path", ["/v1/query", "/v1/like", "/v1/explain", "/v1/heatmap", "/mcp"])
    def test_reading(self, ask, path):
        assert post(ask, path).status == 200

    @pytest.mark.parametrize("path", ["/v1/feedback", "/v1/feedback/", "/v1/new", "/none", "/V1/query", "//v1/query"])
    def test_anything_else_is_writing(self, ask, behind, path):
        """What is added to the API is closed until someone says that it only reads."""
        for headers in ([], [("Authorization", f"Bearer {TOKEN}")]):
            answered = post(ask, path, *headers)
            assert (answered.status, behind.asked) == (401, [])
            assert "--token" in answered.error["hint"]

    def test_by_the_page(self, ask):
        access = Access()
        assert post(ask, "/v1/feedback", ("Authorization", f"Bearer {access.page_token}"), access=access).status == 200

    def test_the_pages_token_is_new_each_time(self):
        assert len({Access().page_token for _ in range(9)}) == 9
        assert len(Access().page_token) >= 32

    def test_the_pages_token_does_not_stand_for_the_users(self, ask):
        access = Access(token=TOKEN)
        assert ask(headers=[("Authorization", f"Bearer {access.page_token}")], access=access).status == 401


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "raw"),
        [("http://localhost:8400/v1/catalogs", None), ("*", None), ("", None), ("localhost:8400", None),
         ("/static/../v1/catalogs", None), ("/static/../v1/catalogs", b"/static/%2e%2E/v1/catalogs"),
         ("/v1/./catalogs", b"/v1/%2e/catalogs"), ("/..", None), ("/../../etc/passwd", None)],
    )  # fmt: skip
    def test_what_is_no_path(self, ask, behind, path, raw):
        """A target with a host of its own, or one that means another address than it seems to."""
        assert ask(path=path, raw=raw).status == 400
        assert behind.asked == []

    def test_an_id_with_dots(self, ask, behind):
        """Its slashes are escaped, so nothing reads it as a path."""
        assert ask(path="/v1/items/a/../b", raw=b"/v1/items/a%2F..%2Fb").status == 200
        assert ask(path="/v1/items/...", raw=b"/v1/items/...").status == 200

    @pytest.mark.parametrize("headers", [[("Content-Length", "2")], [("Transfer-Encoding", "chunked")]])
    def test_two_lengths(self, ask, behind, headers):
        """One request to us, two to whoever stands before us: smuggling."""
        assert post(ask, "/v1/query", *headers).status == 400
        assert behind.asked == []


class TestMethods:
    @pytest.mark.parametrize(
        "method", ["OPTIONS", "TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "PROPFIND", "get", "GETX"]
    )
    def test_others(self, ask, behind, method):
        answered = ask(method, "/v1/query")
        assert (answered.status, answered.headers["allow"], behind.asked) == (405, "GET, HEAD, POST", [])

    def test_head(self, ask, behind):
        answered = ask("HEAD", "/")
        assert (answered.status, answered.body, behind.asked) == (200, b"", [("GET", "/", b"")])
        assert ask("HEAD", "/", host="evil").body == b""

    def test_websockets(self, ask, behind):
        """A page of any origin may open one, and no preflight asks before."""
        assert ask(headers=[("Connection", "Upgrade"), ("Upgrade", "WebSocket")]).status == 400
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(Guard(behind, Access())({"type": "websocket", "path": "/mcp", "headers": []}, None, send))
        assert (sent, behind.scopes) == ([{"type": "websocket.close", "code": 1008}], [])

    def test_start_and_end_are_passed_on(self, behind):
        asyncio.run(Guard(behind, Access())({"type": "lifespan"}, None, None))
        assert behind.scopes == ["lifespan"]


class TestHeaders:
    @pytest.mark.parametrize(
        ("path", "options"),
        [
            ("/", {}),
            ("/static/page.js", {}),
            ("/v1/catalogs", {}),
            ("/", {"host": "evil"}),
            ("/none", {"token": TOKEN}),
        ],
    )
    def test_on_every_answer(self, ask, path, options):
        given = ask(path=path, **options).headers
        assert {name: given[name.lower()] for name in HEADERS} == HEADERS
        assert not [name for name in given if name.startswith("access-control")]

    def test_the_policy(self):
        """Nothing runs that is not a file of ours, nothing is sent elsewhere, nobody frames us."""
        policy = HEADERS["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"} <= {*policy}
        assert not re.search(r"unsafe|data:|\*", HEADERS["Content-Security-Policy"])

    def test_what_an_answer_says_itself_stays(self, ask):
        async def app(scope, receive, send):
            headers = [(b"Cache-Control", b"no-cache")]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body"})

        assert ask(path="/static/page.js", app=app).headers["cache-control"] == "no-cache"


class TestLog:
    def test_a_line(self, ask, behind):
        """Without what was asked, and without the query string."""
        post(ask)
        (line,) = behind.lines
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d POST /v1/query 200 \d+ ms shop", line)

    def test_the_text_if_it_is_wanted(self, ask, behind):
        post(ask, log_queries=True)
        assert behind.lines[0].endswith(r' shop "a \n secret"')

    def test_no_token(self, ask, behind):
        for given in (TOKEN, "another"):
            post(ask, "/v1/query", ("Authorization", f"Bearer {given}"), token=TOKEN)
        assert not re.search(f"{TOKEN}|another|secret", "".join(behind.lines))

    @pytest.mark.parametrize("path", ["/a\n2026-01-01 00:00:00 GET / 200", "/\x1b[31m", "/\u202e", "/\r\x00\x9b"])
    def test_nothing_acts_on_a_terminal(self, ask, behind, path):
        ask(path=path)
        (line,) = behind.lines
        assert line.isprintable()
        assert line.count("GET") == path.count("GET") + 1

    def test_a_path_is_one_word_of_it(self, ask, behind):
        """Or it would say what another request was answered."""
        ask(path="/x 200 1 ms secret\u00a0b")
        assert re.fullmatch(r"\S+ \S+ GET /x%20200%201%20ms%20secret%20b 200 \d+ ms shop", behind.lines[0])

    def test_a_long_path(self, ask, behind):
        ask(path="/" + "a" * 10_000)
        assert len(behind.lines[0]) < 300

    @pytest.mark.parametrize("path", ["/v1/query", "/mcp"])
    def test_which_catalogs(self, shop, path):
        """Of the API, and of agents."""
        lines = []
        client = Client("shop", log=lines.append, log_queries=True)
        asked = {"query": "moon", "catalogs": ["shop"]}
        params = {"name": "search", "arguments": {"query": "moon", "catalog": "shop"}}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answered = client.post(path, call if path == "/mcp" else asked, accept="application/json, text/event-stream")
        client.close()
        assert answered.status == 200, answered.text
        assert re.fullmatch(rf".* POST {path} 200 \d+ ms shop \"moon\"", lines[0])

    def test_a_refusal(self, ask, behind):
        ask(host="evil")
        assert " GET /v1/catalogs 403 " in behind.lines[0]


class TestFaults:
    """Bugs behind the guard."""

    @pytest.mark.parametrize("debug", ["", "1"])
    def test_an_object_and_a_line(self, ask, behind, monkeypatch, debug):
        async def app(scope, receive, send):
            raise KeyError("a secret path")

        monkeypatch.setenv("ATTNSEARCH_DEBUG", debug)
        answered = ask(app=app)
        assert (answered.status, answered.error["code"]) == (500, 70)
        assert b"secret" not in answered.body
        assert "KeyError('a secret path')" in behind.lines[0] or debug
        assert ("test_guard.py" in behind.lines[0]) == bool(debug)

    def test_not_enough_memory(self, ask):
        async def app(scope, receive, send):
            raise MemoryError

        assert ask(app=app).status == 503

    @pytest.mark.parametrize("path", ["/", "/v1/query"])
    def test_half_an_answer_does_not_look_whole(self, ask, path):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ValueError

        answered = ask(path=path, app=app)
        assert (answered.status, answered.body, answered.is_cut) == (200, b"half", True)


class TestSize:
    def test_the_largest(self, ask, behind):
        assert post(ask, body=b" " * LARGEST).status == 200
        assert len(behind.asked[0][2]) == LARGEST

    @pytest.mark.parametrize("body", [b" " * (LARGEST + 1), [b" " * LARGEST, b" "], [b" " * (1 << 20)] * 99])
    def test_larger(self, ask, behind, body):
        answered = post(ask, body=body)
        assert (answered.status, answered.headers["connection"], behind.asked) == (413, "close", [])

    def test_one_that_would_not_end(self, ask):
        """Without a length: no more is read than a client may send by mistake."""
        assert post(ask, body=[*[b" " * (1 << 20)] * 9, None]).status == 413

    def test_before_it_is_sent(self, ask):
        """curl asks whether it may: `receive` would say yes, and would wait forever here."""
        headers = [JSON, ("Expect", "100-continue"), ("Content-Length", str(LARGEST + 1))]
        assert ask("POST", "/v1/query", headers=headers).status == 413

    def test_headers(self, ask, behind):
        assert ask(headers=[("A", "a" * 9_000), ("B", "b" * 9_000)]).status == 431
        assert behind.asked == []

    def test_parts(self, ask, behind):
        post(ask, body=[b"{", b"", b"}"])
        assert behind.asked == [("POST", "/v1/query", b"{}")]

    def test_a_body_that_is_compressed(self, ask, behind):
        """It might be a thousand times as large."""
        assert post(ask, "/v1/query", ("Content-Encoding", "gzip")).status == 415
        assert behind.asked == []

    def test_a_client_that_goes_early(self, ask, behind):
        post(ask, body=[b"{", None])
        assert behind.asked == []

    def test_a_slow_one(self, ask, behind, monkeypatch):
        """A byte now and then would hold a connection for hours."""
        monkeypatch.setattr("attnsearch.serve.limits.ARRIVAL", 0.01)
        answered = post(ask, body=[b"{", 0.02, b"}"])
        assert (answered.status, answered.headers["connection"], behind.asked) == (408, "close", [])


class TestGate:
    """How many at once, and for how long."""

    class Held(Behind):
        """Answers when it is let go."""

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def answer(self, send):
            await self.go.wait()
            await super().answer(send)

    def test_too_many(self):
        async def main():
            app = self.Held()
            guard = Guard(app, Access(), gate=Gate(2, 1))
            tasks = [asyncio.create_task(exchange(guard)) for _ in range(5)]
            await asyncio.sleep(0)
            health = asyncio.create_task(exchange(guard, path="/health"))
            while len(app.asked) < 3:
                await asyncio.sleep(0)
            refused = [await task for task in tasks[3:]]
            app.go.set()
            return refused, [await task for task in tasks[:3]], await health

        refused, answered, health = asyncio.run(main())
        assert [(each.status, each.headers["retry-after"]) for each in refused] == [(429, "1")] * 2
        assert [each.status for each in answered] == [200] * 3
        assert health.status == 200

    def test_a_place_is_free_again(self):
        async def main():
            guard = Guard(Behind(), Access(), gate=Gate(1, 0))
            return [(await exchange(guard, path=path)).status for path in ("/v1/catalogs", "/x", "/v1/catalogs")]

        assert asyncio.run(main()) == [200] * 3

    def test_too_slow(self):
        """The answer comes in time; what still runs keeps its place, and what it answers goes nowhere."""

        async def main():
            app = self.Held()
            guard = Guard(app, Access(), gate=Gate(1, 1, patience=0.01))
            slow = await exchange(guard)
            waits = await exchange(guard)  # its place is taken
            later = asyncio.create_task(exchange(guard))
            await asyncio.sleep(0)
            app.go.set()
            return slow, waits, await later, len(app.asked)

        slow, waits, later, asked = asyncio.run(main())
        assert [each.status for each in (slow, waits, later)] == [503, 503, 200]
        assert slow.error["code"] == 2
        assert slow.headers["retry-after"] == "1"
        assert len(slow.sent) == 2
        assert asked == 2  # one gave up while it waited: it is never asked

    def test_a_stream_that_does_not_end(self):
        """It is cut, and leaves its place."""

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b".", "more_body": True})
                await asyncio.sleep(0.001)

        async def main():
            guard = Guard(app, Access(), gate=Gate(1, 0, patience=0.01))
            return await exchange(guard), await exchange(guard)

        first, second = asyncio.run(main())
        assert (first.status, first.is_cut, second.status) == (200, True, 200)
