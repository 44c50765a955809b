"""Results to draw: a plain hit, a hit without words, and one whose every text attacks the terminal."""

from __future__ import annotations

import re

from attnsearch.output.formats import render
from attnsearch.output.safe_text import PIPE
from attnsearch.search.result import Hit, Result

NASTY = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[bold]x[/bold]\x9b2J\u202egpj.exe\u2028\r\n\tend\x7f"
HITS = [
    Hit(1, "a", "First", 0.61, 0.58, 11.6, "A description of some length, told in one line.", {"year": 1965}),
    Hit(2, "b", "", 0.0002, 0.2, 4.0, "", {}),
    Hit(3, "c", NASTY, 0.1, 0.3, 6.0, NASTY, {"note": NASTY}),
]
RESULT = Result("query", "shop", "small", 0.05, 64, 0, None, 3.14159, 41.23456, HITS)
EMPTY = Result("query", "shop", "small", 0.05, 64, 0, None, 3.14159, 41.0, [])
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
FORMS = ["table", "json", "jsonl", "csv", "tsv", "md"]


def drawn(form, results=None, screen=PIPE, **options):
    return "".join(render(results or [RESULT], form, screen, **options))
