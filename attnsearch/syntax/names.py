"""The names of fields that usually hold a record's id, its title and its text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from attnsearch.syntax.values import Value, unwrap

# Names as `fold_name` makes them, the best first.
TITLES = (
    "title", "name", "label", "headline", "producttitle", "productname", "product", "primarytitle", "itemtitle",
    "itemname", "booktitle", "filmtitle", "movietitle", "songtitle", "displayname", "fullname", "preflabel", "heading",
    "question", "term", "word", "command", "subject", "originaltitle", "caption", "summary",
)  # fmt: skip
OWN_IDS = ("id", "_id", "@id")  # ids whatever they hold
IDS = (
    "id", "uuid", "guid", "sku", "key", "issuekey", "handle", "isbn", "isbn13", "isbn10", "doi", "slug", "identifier",
    "asin", "ean", "upc", "gtin", "tconst", "productid", "itemid", "code",
)  # fmt: skip
TEXTS = (
    "description", "shortdescription", "longdescription", "desc", "summary", "abstract", "abstractnote", "overview",
    "plot", "synopsis", "body", "bodyhtml", "content", "contents", "text", "fulltext", "blurb", "excerpt", "subtitle",
    "definition", "answer", "about", "notes", "note", "review", "reviewtext", "remarks", "comment", "details", "bio",
    "biography",
)  # fmt: skip


class Names(NamedTuple):
    """Folded names of fields that hold a record's id, its title, and a text that describes it."""

    id: frozenset[str]
    title: frozenset[str]
    text: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """The names whose values are texts, even if they look like numbers."""
        return self.id | self.title | self.text


@lru_cache(1024)  # a file has few names, but a hostile one has a million
def fold_name(name: str) -> str:
    """The name without case and separators; the name itself if that leaves nothing.

    >>> fold_name("Primary_Title"), fold_name("@id")
    ('primarytitle', 'id')
    """
    return "".join(filter(str.isalnum, name.casefold())) or name


NAMES = Names(frozenset(IDS), frozenset(TITLES), frozenset(TEXTS))


def describes_item(record: Mapping[str, Value], names: Names) -> bool:
    """Whether a field of the record has the name of a title or of a text, and holds one."""
    return any(
        isinstance(text := unwrap(value), str) and text.strip() != ""
        for key, value in record.items()
        if value and fold_name(key) in names.title | names.text
    )
