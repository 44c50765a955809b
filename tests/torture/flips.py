"""Each byte of a small index flipped in turn: a query gives the same answer or is refused, and `check` sees it.

The same holds for what was learned. The feedback is text without a checksum, which people may edit: a flipped byte
changes one request at most, or the file is refused. Postings with a flipped byte are made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from attnsearch.attention.null_key import NullKey
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.memory import embedding_of
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage.files import FEEDBACK, LEARNED, POSTINGS
from attnsearch.storage.learned import Learned, write_learned
from attnsearch.teaching.feedback import add_judgment, read_feedback
from tests.torture.verifier import Violation, using_home

LONG = " ".join(f"word{n}" for n in range(150))
ITEMS = (
    "- {id: a, title: moon}\n- {id: b, title: sea, price: 3, tags: [deep, blue]}\n- {id: c, title: robot moon}\n"
    f"- {{id: d, title: tide, description: moon {LONG} sea}}\n- {{id: e, title: gone soon}}\n"
)
QUERIES = ("moon", "the sea and a robot")
REQUESTS = {"moon": {"a": 1, "b": 0}, "the sea \u2013 deep": {"b": 1}, "robot": {"c": 1, "gone": 0}}
MASKS = 0xFF, 0x01, 0x80
STEP = 61  # of the bytes of postings, one in so many is flipped: each time they are made anew


def flips(work: Path, seed: int) -> str:
    """Flip every byte with each mask; a summary."""
    with using_home(work / "home"):
        make(work / "flipped.yaml")
        folder = work / "home" / "flipped"
        teach(folder)
        everywhere = [*places(folder), *file_places(folder / LEARNED)]
        problems = [line for mask in MASKS for line in flip(folder, everywhere, mask)]
        judged = file_places(folder / FEEDBACK)
        problems += [line for mask in MASKS for line in flip_feedback(folder, judged, mask)]
        postings = make_postings(folder)
        problems += [line for mask in MASKS for line in flip_postings(postings[::STEP], mask)]
    if problems:
        raise Violation("\n".join(problems[:20]))
    return (
        f"{len(everywhere):,} bytes, each flipped {len(MASKS)} times: the same answer or a refusal, and always seen;"
        f" {len(judged)} bytes of feedback: a change of one request, or a refusal;"
        f" {len(postings[::STEP]):,} of {len(postings):,} bytes of postings: the same answer, and always seen"
    )


def make(file: Path) -> None:
    """A catalog with two segments, dead rows and passages."""
    file.write_text(ITEMS)
    update([str(file)], name="flipped")
    file.write_text(ITEMS.replace("{id: e, title: gone soon}", "{id: f, title: sea moon}"))
    update([str(file)], name="flipped")


def teach(folder: Path) -> None:
    """Give the catalog something learned, which changes its answers, and feedback, which it remembers."""
    w = np.eye(4, dtype=np.float32)
    w[0, 1] = 0.25
    story = {"from": "a test", "questions": 3}
    write_learned(folder / LEARNED, Learned("small", "5" * 64, w, 0.06, 0.2, NullKey(1.0, 2.0), frozenset("ab"), story))
    with Index.open("flipped") as index:
        for text, grades in REQUESTS.items():
            add_judgment(folder, text, grades, embedding=embedding_of(index))


def answer() -> list[tuple]:
    """Everything that a person sees of two queries."""
    with Index.open("flipped") as index:
        results = search(index, QUERIES, k=99)
    return [
        (result.items, round(result.effective_items, 6), *hit[:3], round(hit.weight, 7), round(hit.score, 6), *hit[6:])
        for result in results
        for hit in result.hits
    ]


def flip(folder: Path, places: Iterable[tuple[Path, int]], mask: int) -> Iterator[str]:
    """Flip the byte at each place, alone, and undo it: what goes wrong, a line each."""
    right = answer()
    assert check.find_problems(folder) == []
    for file, offset in places:
        content = file.read_bytes()
        with file.open("r+b") as stream:
            stream.seek(offset)
            stream.write(bytes([content[offset] ^ mask]))
        place = f"{file.name}, byte {offset} xor {mask}"
        try:
            if answer() != right:
                yield f"{place}: another answer"
        except CatalogError:
            pass
        except Exception as error:  # noqa: BLE001 (any other error is what we look for)
            yield f"{place}: {error!r}"
        try:
            if not check.find_problems(folder):
                yield f"{place}: check sees nothing"
        except CatalogError:
            pass
        except Exception as error:  # noqa: BLE001
            yield f"{place}: check: {error!r}"
        with file.open("r+b") as stream:
            stream.seek(offset)
            stream.write(content[offset : offset + 1])


def places(folder: Path) -> list[tuple[Path, int]]:
    """The place of each byte of an index: its file and its offset there."""
    files = [folder / "index.sqlite", folder / "index.seal", *(folder / "segments").iterdir()]
    return [place for file in files for place in file_places(file)]


def file_places(file: Path) -> list[tuple[Path, int]]:
    """The place of each byte of a file."""
    return [(file, offset) for offset in range(file.stat().st_size)]


def flip_feedback(folder: Path, places: Iterable[tuple[Path, int]], mask: int) -> Iterator[str]:
    """Flip the byte of feedback at each place, alone, and undo it: what goes wrong, a line each."""
    right, answered = read_feedback(folder), answer()
    for file, offset in places:
        original = file.read_bytes()
        content = bytearray(original)
        content[offset] ^= mask
        number = content.count(b"\n", 0, offset)
        file.write_bytes(content)
        place = f"{file.name}, byte {offset} xor {mask}"
        try:
            read = read_feedback(folder)
            if [*read[:number], *read[number + 1 :]] != [*right[:number], *right[number + 1 :]]:
                yield f"{place}: another request has changed, too: {read}"
        except InputError as error:
            if str(file) not in str(error):
                yield f"{place}: refused, but without a place: {error}"
        except Exception as error:  # noqa: BLE001
            yield f"{place}: {error!r}"
        if answer() != answered or check.find_problems(folder):
            yield f"{place}: the index answers differently"
        file.write_bytes(original)


def make_postings(folder: Path) -> list[tuple[Path, int]]:
    """Make the postings of the catalog; the place of each of their bytes."""
    answer_with_postings()
    return [place for file in sorted((folder / POSTINGS).iterdir()) for place in file_places(file)]


def answer_with_postings() -> list[tuple]:
    """What a person sees of a query that needs all kinds of postings."""
    with Index.open("flipped") as index:
        setting = Setting(where=(parse_filter("title? and not price > 3"),), lexical=0.5)
        (result,) = search(index, ["mooon or robot"], setting, k=99)
    return [(result.as_read, *hit[:3], round(hit.weight, 7)) for hit in result.hits]


def flip_postings(places: Iterable[tuple[Path, int]], mask: int) -> Iterator[str]:
    """Flip the byte of postings at each place, alone, and undo it: what goes wrong, a line each."""
    right = answer_with_postings()
    for file, offset in places:
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[offset] ^= mask
        file.write_bytes(flipped)
        place = f"{file.name}, byte {offset} xor {mask}"
        if not check.find_problems(file.parents[1]):
            yield f"{place}: check sees nothing"
        if answer_with_postings() != right:
            yield f"{place}: another answer"
        if check.find_problems(file.parents[1]):
            yield f"{place}: it is still there"
        file.write_bytes(content)
