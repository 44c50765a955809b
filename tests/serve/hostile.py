"""Requests that only an attacker sends, or nobody: bodies, headers, addresses, encodings. The same each time."""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple
from urllib.parse import quote

from attnsearch.wire.requests import ExplainRequest, FeedbackRequest, HeatmapRequest, LikeRequest, QueryRequest

SECRET = "tresor"  # the name of a catalog that is not served

PATHS = ["/v1/query", "/v1/like", "/v1/explain", "/v1/heatmap", "/v1/feedback"]
TEXTS = [
    "", " ", "a", "b", "moon", "sea robot", "\x00", "\x1b[31mred", "\u202eabc", "\ufeff", "é", "e\u0301", "𝕏",
    "漢字", "🦊" * 3, "a" * 21_000, "' OR 1=1 --", "\"; DROP TABLE items; --",
    "</script><script>alert(1)</script>", "{{7*7}}", "${7*7}", "%s%n%x", "%00", "../../../../etc/passwd",
    "/etc/passwd", "file:///etc/passwd", "..\\..\\windows", "C:\\boot.ini", "~root", "-", "--help",
    "\\\\host\\share", "http://169.254.169.254/", "shop:a", f"{SECRET}:a", SECRET, f"../{SECRET}",
    f"shop/../{SECRET}", f"./{SECRET}", f"{SECRET}\x00", SECRET.upper(), f"{SECRET}/index.sqlite", ".default",
    "@shop", "a" * 300, "NaN", "null", "year > 1960", "year >", "has year", "kind = rokc",
    "not (has year) or year = 1969", "((((((((", "year = " + "9" * 400, "a = 'b' and " * 30, "title ~ moon",
    "year = 1e999", "day = 2020-02-30", "café", "ﬀ", "İ", "ß", "\U0010ffff", "\r\nX: y",
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, -1, 2, 10, 0.5, 1e-320, 1e308, -1e308, 2**31, 2**63, 2**64, -(2**63), 10**300, 1e-6, 1000, 1001, True,
    False, None,
]  # fmt: skip
NAMES = [
    "query", "queries", "catalogs", "where", "k", "top_p", "lexical", "temperature", "priors", "items", "item",
    "over", "like", "unlike", "matrix", "explain", "vector", "values", "good", "bad", "remove", "min_weight",
    "min_score", "textbook", "untrained", "exact", "__proto__", "constructor", "projections", "from_", "path",
    "file", "", "a" * 1_000, "\u202e",
]  # fmt: skip
USUAL = {
    "/v1/query": {"query": "moon"},
    "/v1/like": {"items": ["a"]},
    "/v1/explain": {"query": "moon", "item": "a"},
    "/v1/heatmap": {"queries": ["moon", "sea"]},
    "/v1/feedback": {"query": "moon", "good": ["a"]},
}
FILTERS = ["year > 1960", "kind = rokc", "not (has year) or year = 1969", "has tags", "title ~ moon", "day < 2021"]
IDS = ["a", "b", "c", "moon", "sea", "shop:a"]
LIKELY = {"catalogs": ["shop", "shop", "other"], "where": FILTERS, "values": ["year", "day", "kind", "tags"]}
LIKELY |= dict.fromkeys(("items", "item", "over", "like", "unlike", "good", "bad"), IDS)
PARAMETERS: dict[str, dict[str, Any]] = {
    path: kind.model_json_schema()["properties"]
    for path, kind in zip(
        PATHS, (QueryRequest, LikeRequest, ExplainRequest, HeatmapRequest, FeedbackRequest), strict=True
    )
}
HOSTS = [
    "localhost", "127.0.0.1:8400", "[::1]", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
    "", "localhost:", "localhost:99999", "user@localhost", "127.1", "2130706433", "0x7f000001", "localhost\x00",
    "localhost, evil", "ｌocalhost", "[::ffff:127.0.0.1]", "169.254.169.254", "a" * 5_000,
]  # fmt: skip
ORIGINS = [
    "http://localhost", "https://localhost", "null", "http://evil.example", "http://localhost.evil.example",
    "file://", "", "http://localhost@evil.example", "javascript:alert(1)", "http://127.0.0.1:1",
    "chrome-extension://x", "*",
]  # fmt: skip
TYPES = [
    "application/json", "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded",
    "", "a/b/c", "multipart/form-data; boundary=x", "application/json, text/html", "APPLICATION/JSON",
    "application/json; charset=\xff", "application/vnd.api+json", "application/json;" + "x" * 2_000,
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "A" * 300]
ADDRESSES = [
    "/", "//", "/v1", "/v1/", "/v1/query/", "/v1/query/../catalogs", "/v1//query", "/V1/QUERY", "/health/x",
    "/static/", "/static/page.js", "/static/../../http.py", "/static/..%2f..%2fhttp.py",
    "/static/%2e%2e/%2e%2e/http.py", "/static//etc/passwd", "/static/page.js%00.html", "/static/.git/config",
    "/.env", "/openapi.json", "/docs", "/redoc", "/mcp", "/mcp/", "/favicon.ico", "/v1/items", "/v1/items/",
    "/v1/items/%2fetc%2fpasswd", "/v1/items/..%2f..%2fetc", "/v1/items/%ff%fe", "/v1/items/%", "/v1/items/%zz",
    "/v1/items/%00", "/v1/items/a%0d%0aX:y", f"/v1/items/{SECRET}:a", f"/v1/items/a?catalog={SECRET}",
    f"/v1/items/a?catalog=..%2f{SECRET}", f"/v1/items/a?catalog=shop&catalog={SECRET}",
    "/v1/items/" + "a" * 3_000, "*", "/v1/catalogs?" + "&".join(f"x{n}=1" for n in range(300)),
    "http://evil.example/v1/catalogs", "/v1/catalogs#x", "/\\evil", "/v1/items/a?catalog[]=shop",
    "/v1/items/a?catalog=%F0%9F", "/v1/items/a;catalog=shop", "/v1/catalogs?__proto__=1",
]  # fmt: skip


class Asked(NamedTuple):
    """A request."""

    method: str
    address: str
    content: bytes
    headers: dict[str, str]


def requests(seed: int, count: int) -> list[Asked]:
    """So many requests."""
    rng = random.Random(seed)
    return [_request(rng) for _ in range(count)]


def _request(rng: random.Random) -> Asked:
    """Mostly one thing is wrong at a time: what has many faults is refused for the first of them."""
    path = rng.choice(PATHS)
    method, address, content = "POST", path, json.dumps(USUAL[path]).encode()
    headers: dict[str, str] = {}
    for kind in rng.choices(
        ("body", "bytes", "address", "item", "headers", "method"), (50, 15, 10, 10, 10, 5), k=rng.choice((1, 1, 1, 2))
    ):
        match kind:
            case "body":
                content = _dump(rng, _body(rng, path))
            case "bytes":
                content = _broken(rng, content)
            case "address":
                method, address, content = rng.choice(("GET", "GET", "POST")), rng.choice(ADDRESSES), b""
            case "item":
                method, content = "GET", b""
                query = f"?catalog={quote(rng.choice(TEXTS)[:400])}" if rng.random() < 0.3 else ""
                address = f"/v1/items/{quote(rng.choice(TEXTS)[:400], safe=rng.choice(('', '/')))}{query}"
            case "headers":
                headers |= _headers(rng)
            case "method":
                method = rng.choice(METHODS)
    return Asked(method, address, content, headers)


def _body(rng: random.Random, path: str) -> Any:
    """A body of an address with one to three parameters that are strange, though mostly of their kind."""
    if rng.random() < 0.02:
        return value(rng)
    body: dict[str, Any] = {**USUAL[path]}
    parameters = PARAMETERS[path]
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.9:
            name = rng.choice([*parameters])
            body[name] = _fitting(rng, parameters[name], name) if rng.random() < 0.9 else value(rng)
        else:
            body[rng.choice(NAMES)] = value(rng)
    if rng.random() < 0.1:
        body["catalogs"] = rng.choices(["shop", "other", SECRET, *TEXTS], k=rng.randint(1, 3))
    if rng.random() < 0.03:
        del body[rng.choice([*body])]
    return body


def _fitting(rng: random.Random, schema: dict[str, Any], name: str) -> Any:
    """A value that the parameter of this name may have."""
    if "anyOf" in schema:
        return _fitting(rng, rng.choice(schema["anyOf"]), name)
    match schema.get("type"):
        case "integer" | "number":
            low, high = schema["minimum"], min(schema.get("maximum", 1e300), 1e300)
            number = rng.choice((low, high, low + (high - low) * rng.random(), low + rng.random()))
            return int(number) if schema["type"] == "integer" else number
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [_fitting(rng, schema["items"], name) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        case "object":
            return {rng.choice(("year", "day", "kind", *TEXTS)): rng.choice((0, 1, -3.5, 1000, 1e-300))}
        case "null":
            return None
    if "const" in schema or "enum" in schema:
        return rng.choice(schema.get("enum", [schema.get("const")]))
    return rng.choice(LIKELY.get(name, TEXTS) if rng.random() < 0.7 else TEXTS)


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any value of JSON, mostly one that some parameter takes."""
    match rng.randrange(8 if depth < 3 else 4):
        case 0 | 1:
            return rng.choice(TEXTS)
        case 2:
            return rng.choice(NUMBERS)
        case 3:
            return "".join(
                chr(rng.choice((rng.randrange(128), rng.randrange(0xD800), 0x1F600))) for _ in range(rng.randrange(40))
            )
        case 4 | 5:
            return [rng.choice(TEXTS) for _ in range(rng.choice((0, 1, 2, 2, 101)))]
        case 6:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice([*NAMES, *TEXTS]): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def _dump(rng: random.Random, body: Any) -> bytes:
    encoding = rng.choice(("utf-8",) * 40 + ("utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-7"))
    return json.dumps(body, ensure_ascii=rng.random() < 0.5).encode(encoding, "replace")


def _broken(rng: random.Random, content: bytes) -> bytes:
    """Bytes that are not the body of a request."""
    match rng.randrange(10):
        case 0:
            return content[: rng.randrange(len(content) + 1)]
        case 1:
            position = rng.randrange(len(content) + 1)
            return content[:position] + rng.randbytes(rng.randint(1, 5)) + content[position:]
        case 2:
            return rng.randbytes(rng.randrange(200))
        case 3:
            return content[:-1] + b', "query": "again", "catalogs": ["shop"], "catalogs": ["other"]}'
        case 4:
            return b'{"query": ' + b"[" * rng.choice((10, 150, 20_000)) + b"}"
        case 5:
            return b'{"query": "moon", "temperature": %s}' % rng.choice(
                (b"NaN", b"-Infinity", b"1e999", b"0x10", b"1" * 6_000, b"-")
            )
        case 6:
            return content + rng.choice((b"\x00", b" {}", b"// comment", b"\xef\xbb\xbf", b"\r\n\r\nGET / HTTP/1.1"))
        case 7:
            return b'{"query": "\\ud800", "where": ["\\udfff"]}'
        case 8:
            return b" " * (300 << 10)
    return b'{"query": "moon", "where": [' + b'"year > 1",' * 50_000 + b'"x"]}'


def _headers(rng: random.Random) -> dict[str, str]:
    headers = {}
    if rng.random() < 0.5:
        headers["host"] = rng.choice(HOSTS)
    if rng.random() < 0.5:
        headers["origin"] = rng.choice(ORIGINS)
    if rng.random() < 0.4:
        headers["content-type"] = rng.choice(TYPES)
    if rng.random() < 0.2:
        headers["authorization"] = rng.choice(
            ("", "Bearer", "Bearer x", "Basic eDp4", "Bearer " + "x" * 5_000, "bearer \xe9")
        )
    if rng.random() < 0.2:
        headers["sec-fetch-site"] = rng.choice(("cross-site", "same-site", "none", "same-origin", "x"))
    if rng.random() < 0.2:
        headers[
            rng.choice(("x-forwarded-host", "x-forwarded-for", "forwarded", "x-original-url", "x-http-method-override"))
        ] = "evil"
    if rng.random() < 0.1:
        headers[
            rng.choice(("content-encoding", "expect", "upgrade", "transfer-encoding", "range", "if-none-match"))
        ] = rng.choice(("gzip", "100-continue", "websocket", "chunked", "bytes=0-1", "*"))
    return headers


def streams(seed: int, count: int) -> list[bytes]:
    """What is written to a socket: several requests at once, halves, and what is not HTTP at all."""
    rng = random.Random(seed)
    return [b"".join(_stream(rng) for _ in range(rng.choice((1, 1, 2, 5)))) for _ in range(count)]


def _stream(rng: random.Random) -> bytes:
    asked = _request(rng)
    headers = {"host": "localhost", "content-type": "application/json", **asked.headers}
    length = rng.choice((len(asked.content),) * 12 + (0, -1, 10**12, len(asked.content) + 5))
    if "transfer-encoding" not in headers:
        headers["content-length"] = str(length)
    address = asked.address.replace(" ", "%20").replace("\r", "").replace("\n", "")
    head = f"{asked.method} {address} HTTP/1.{rng.choice('1111110')}\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    whole = head.encode("utf-8", "replace") + b"\r\n" + asked.content
    match rng.randrange(14):
        case 0:
            return whole[: rng.randrange(len(whole))]
        case 1:
            return rng.randbytes(rng.randrange(1, 300))
        case 2:
            return b"GET / HTTP/0.9\r\n\r\n" if rng.random() < 0.5 else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        case 3:
            return (
                b"POST /v1/query HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"
            )
        case 4:
            lines = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 500) for n in range(rng.choice((10, 300))))
            return head.encode("utf-8", "replace") + lines + b"\r\n" + asked.content
        case 5:
            return whole.replace(b"\r\n", b"\n")
        case 6:
            return whole.replace(b"host: ", b"host: localhost\r\nhost: ", 1)
    return whole
