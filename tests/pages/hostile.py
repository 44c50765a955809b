"""Texts that attack a page, and a catalog that is made of them."""

from __future__ import annotations

import json

HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='alert(1)' x='",
    "</style><style>body { display: none }</style>",
    "</title></head><body onload=alert(1)>",
    "--><!-- <![CDATA[ ]]> <?php ?>",
    "{{ 7 * 7 }} {% raw %} {# no #} ${7*7}",
    "&lt;b&gt; &amp; &#60;script&#62; &nbsp",
    "moon \u202egpj.exe\u2066 \u200f \x1b[31m \x07 \x00 \x7f \x9b \ufeff \u2028",
    "\ufdd0 \uffff \U0001fffe \U0010ffff",
    "שלום 123 مرحبا 456",
    "月の海 " * 50,
    "w" * 10_000,
    "moon " * 2_000,
    "m\u0310" + "\u0489" * 400 + "oon",
    "\U0001242b" * 40,
]
ADDRESSES = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
    "vbscript:x", "//evil.example", "https://example.org/\"onclick=\"alert(1)", "https://example.org/?a=<b>&c='d'",
    "file:///etc/passwd", "https://example.org/", "/relative", "https://exa\nmple.org", "#q1", "https://a.example/\u202e",
    "blob:https://example.org/x", "view-source:https://example.org/",
]  # fmt: skip


def hostile_catalog() -> str:
    """JSON Lines: an item for each text, as its title, its description and a field; each has a dubious address."""
    lines = []
    for number, text in enumerate(HOSTILE):
        item = {"id": f"{number}{text[:40]}".strip(), "title": text, "description": f"moon {text}", "note": text}
        lines.append({**item, "year": number, "url": ADDRESSES[number]})
    return "".join(f"{json.dumps(line)}\n" for line in lines)
