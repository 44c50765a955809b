"""`--where` text → a tree of filters.

In EBNF, the words of the language being in any case:

    where     = all {"or" all}
    all       = part {"and" part}
    part      = "not" part | "(" where ")" | filter
    filter    = FIELD operator VALUE {"," VALUE}     any of the values; an order takes one
              | FIELD ["not"] "in" "(" VALUE {"," VALUE} ")"
              | FIELD ["not"] "between" VALUE "and" VALUE
              | "has" FIELD | FIELD "?"              has a value
    operator  = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" | "~"     (~ contains, ignoring case)

FIELD and VALUE are text in quotes of either kind, in which a quote is written twice, or bare text. Bare text may have
blanks and balanced parentheses, but no word `and` or `or`; a bare VALUE no comma, and nothing that looks like another
operator. What could be read in another way as well is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, NoReturn

from attnsearch.errors import InputError
from attnsearch.postings.conditions import Combined, Filter, Where
from attnsearch.syntax.values import check_text

DEPTH = 64  # of parentheses and `not`

# A word is repeated greedily, not possessively: Python before 3.11.5 forgets what a lookahead in such a group refused.
_TOKEN = re.compile(
    r"""\s*+(?:(?P<quoted>'[^']*+(?:''[^']*+)*+'|"[^"]*+(?:""[^"]*+)*+")|(?P<op><=|>=|!=|<>|==|[=<>~])|(?P<mark>[(),])"""
    r"""|(?P<has>\?(?=END))|(?P<word>(?:[^\s(),<>=~!?]|!(?!=)|\?(?!END))+))""".replace(
        "END", r"\s*+(?:\)|\Z|(?:and|or)(?![^\s()]))"
    ),
    re.IGNORECASE,
)
_WORDS = {"and", "or", "not", "in", "between", "has"}
_LIKE_AN_OPERATOR = re.compile(r"[<>]|&&|\|\||(?<!\S)(?:[=!]=|[=~!])(?!\S)|^(?:[=~]|!=)")
_ODD_FIELD = re.compile(r"^(!|where\s)|[:!]$|\s(not|is|are)$", re.IGNORECASE)  # rather part of an operator
_IN_QUOTES = re.compile(r"[(),<>=~]|(?<!\S)(?:and|or)(?!\S)", re.IGNORECASE)
_ENDS = ("and", "or", ")", "end")
_SAME = {"==": "=", "<>": "!="}
_SHOWN = 200  # characters of a filter in a message
_HINT = "write FIELD OP VALUE, such as 'year >= 1990', 'tags ~ moon', 'genre = poetry,drama', or 'series?'"
_QUOTE = "put text with parentheses, or with the words 'and' or 'or', in quotes"


def parse_filter(text: str) -> Where:
    """The tree of filters that a text spells. Raises InputError.

    >>> parse_filter("year>=1990"), parse_filter('author = "Le Guin, Ursula",Homer').values
    (Filter(field='year', op='>=', values=('1990',)), ('Le Guin, Ursula', 'Homer'))
    >>> parse_filter("a = 1 and not (b = 2)").parts[1]
    Combined(op='not', parts=(Filter(field='b', op='=', values=('2',)),))
    """
    check_text(text, "--where")
    return _Parser(text).read()


class _Token(NamedTuple):
    """A piece of a filter: its kind, which is its text for marks and for the words of the language; its place."""

    kind: str
    start: int
    end: int


class _Parser:
    """Reads a text token by token; each method reads one rule of the grammar."""

    def __init__(self, text: str, *, suggests: bool = True) -> None:
        self.text, self.suggests = text, suggests
        self._tokens = list(_split_tokens(text))
        self._next = 0
        self._bare: tuple[str, int] | None = None  # the field and operator of the last bare value, and its place

    def read(self) -> Where:
        """The tree of the whole text."""
        tree = self.read_joined("or", 0)
        if self.kind != "end":
            self.refuse(f"a ')' closes nothing; {_QUOTE}")
        return tree

    def refuse(self, hint: str = _HINT, otherwise: str = "") -> NoReturn:
        """Raise the error; `otherwise` is what to do if something else was meant than the hint assumes."""
        if suggestion := self._suggest():
            hint = f"write: {suggestion}"
        hint = f"{hint}; {otherwise}" if otherwise else hint
        raise InputError(f"--where can't read '{_cut(self.text)}'", hint=hint)

    def _suggest(self) -> str | None:
        """What the text seems to say, as we write it; None if that can't be told."""
        if not self.suggests:
            return None
        from attnsearch.postings.wordings import reword  # which a valid filter does without

        reworded = reword(self.text)
        if reworded is None:
            return None
        try:
            _Parser(reworded, suggests=False).read()
        except InputError:
            return None
        return reworded

    @property
    def kind(self) -> str:
        """The kind of the next token."""
        return self._tokens[self._next].kind

    def read_joined(self, word: Literal["and", "or"], depth: int) -> Where:
        parts = []
        while True:
            parts.append(self.read_joined("and", depth) if word == "or" else self._read_part(depth))
            if not self._take(word):
                return parts[0] if len(parts) == 1 else Combined(word, tuple(parts))

    def _take(self, *kinds: str) -> bool:
        """Whether the next tokens are of these kinds; if so, they are read."""
        following = self._tokens[self._next : self._next + len(kinds)]
        if tuple(token.kind for token in following) != kinds:
            return False
        self._next += len(kinds)
        return True

    def _read_part(self, depth: int) -> Where:
        if depth > DEPTH:
            self.refuse(f"it is nested more than {DEPTH} deep")
        if self._take("("):
            tree = self.read_joined("or", depth + 1)
            if not self._take(")"):
                self.refuse(f"a '(' is not closed; {_QUOTE}")
            return tree
        word = self.kind
        if word not in ("not", "has") or self._tokens[self._next + 1].kind in ("op", "?"):  # a field of that name
            return self._read_filter()
        self._next += 1
        if word == "not":
            return Combined("not", (self._read_part(depth + 1),))
        field = self._read_field()
        if self.kind not in _ENDS:
            self.refuse("put the name of the field after 'has' in quotes")
        return Filter(field, "?", ())

    def _read_filter(self) -> Where:
        field, place = self._read_field(), self._next
        if self._take("?"):
            return Filter(field, "?", ())
        negated = self._take("not")
        if self._take("in", "("):
            values = self._read_values(field, "in")
            if not self._take(")"):
                self.refuse(f"the list after 'in' is not closed; {_QUOTE}")
            return Filter(field, "!=" if negated else "=", values)
        if self._take("between"):
            low = self._read_values(field, "between")
            high = self._read_values(field, "between") if self._take("and") else ()
            if len(low) != 1 or len(high) != 1:
                self.refuse("write 'year between 1990 and 1999', with values that contain a comma in quotes")
            between = Filter(field, "between", low + high)
            return Combined("not", (between,)) if negated else between
        if not self._take("op"):
            self._refuse_half()
        op = self.text[slice(*self._tokens[place][1:])]
        op = _SAME.get(op, op)
        values = self._read_values(field, op)
        if op[0] in "<>" and len(values) > 1:
            hint = "give one value, in quotes if it contains a comma"
            raise InputError(f"--where '{_cut(self.text)}' compares with {len(values)} values", hint=hint)
        return Filter(field, op, values)

    def _refuse_half(self) -> NoReturn:
        """Refuse what has no operator; after a bare value it may be the value's other half."""
        if self._bare:
            before, place = self._bare
            value = _cut(self.text[place:].strip()).replace("'", "''")
            self.refuse("'and' and 'or' join filters", f"if they belong to a value, quote it: {before} '{value}'")
        self.refuse()

    def _read_field(self) -> str:
        first, depth = self._next, 0
        if self._take("quoted"):
            return self._unquote(first)
        while depth or not (self.kind in _ENDS or self._operator_follows()):
            if depth and self.kind in ("and", "or", "op", "end"):
                self.refuse("put the name of the field in quotes")
            depth += (self.kind == "(") - (self.kind == ")")
            self._next += 1
        if self._next == first:
            self._refuse_half()
        name = self._span(first, "the name of the field")
        if _LIKE_AN_OPERATOR.search(name) or _ODD_FIELD.search(name):
            self.refuse("join filters with 'and'", f"if it is one field, quote it: '{_cut(name)}'")
        return name

    def _operator_follows(self) -> bool:
        first, second, third = (token.kind for token in self._tokens[self._next : self._next + 3])
        if first == "not" and second in ("in", "between"):
            first, second = second, third
        return first in ("op", "?", "between") or (first, second) == ("in", "(")

    def _read_values(self, field: str, op: str) -> tuple[str, ...]:
        values = []
        while True:
            values.append(self._read_value(field, op))
            if not self._take(","):
                return tuple(values)

    def _read_value(self, field: str, op: str) -> str:
        first, depth = self._next, 0
        if self._take("quoted"):
            value = self._unquote(first)
            if self.kind not in (*_ENDS, ","):
                self.refuse("after a value in quotes comes a comma, 'and', 'or' or nothing; a quote in it is doubled")
            return value
        if self.kind == "(":
            self.refuse(f"write 'genre in (poetry, drama)', or {_QUOTE}")
        self._bare = f"{field} {op}", self._tokens[first].start
        while depth or self.kind not in (*_ENDS, ","):
            if depth and self.kind in ("and", "or", ",", "end"):
                self.refuse(_QUOTE)
            depth += (self.kind == "(") - (self.kind == ")")
            self._next += 1
        if self._next == first:
            raise InputError(f"--where '{_cut(self.text)}' lacks a value", hint=_HINT)
        value = self._span(first, "the value")
        if _LIKE_AN_OPERATOR.search(value) or self._tokens[first].kind == "not":
            self.refuse("join filters with 'and'", f"if it is one value, quote it: {field} {op} '{_cut(value)}'")
        return value

    def _span(self, first: int, what: str) -> str:
        """The text from the token `first` to before the next, as it stands."""
        tokens = self._tokens[first : self._next]
        if any(token.kind == "quoted" and _IN_QUOTES.search(self.text, token.start, token.end) for token in tokens):
            self.refuse(f"put {what} in quotes as a whole, with the quotes in it doubled")
        text = self.text[tokens[0].start : tokens[-1].end]
        if text[0] in "'\"" and tokens[0].kind != "quoted":
            self.refuse(f"the quote before {_cut(text[1:])} is not closed")
        return text

    def _unquote(self, index: int) -> str:
        quoted = self.text[slice(*self._tokens[index][1:])]
        if len(quoted) < 3 or quoted[1:-1].isspace():
            self.refuse("there is nothing between the quotes")
        return quoted[1:-1].replace(quoted[0] * 2, quoted[0])


def _split_tokens(text: str) -> Iterator[_Token]:
    """The tokens of a text, then three that are its end."""
    place = 0
    while match := _TOKEN.match(text, place):
        place = match.end()
        group = match.lastgroup or ""
        lowered = match[group].lower()
        kind = {"mark": lowered, "has": "?"}.get(group, group)
        yield _Token(lowered if group == "word" and lowered in _WORDS else kind, match.start(group), place)
    yield from [_Token("end", len(text), len(text))] * 3


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
