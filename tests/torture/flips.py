"""Each byte of a small index flipped in turn: a query gives the same answer or is refused, and `check` sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attnsearch.errors import CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import search
from tests.torture.verifier import Violation, using_home

LONG = " ".join(f"word{n}" for n in range(150))
ITEMS = (
    "- {id: a, title: moon}\n- {id: b, title: sea, price: 3, tags: [deep, blue]}\n- {id: c, title: robot moon}\n"
    f"- {{id: d, title: tide, description: moon {LONG} sea}}\n- {{id: e, title: gone soon}}\n"
)
QUERIES = ("moon", "the sea and a robot")
MASKS = 0xFF, 0x01, 0x80


def flips(work: Path, seed: int) -> str:
    """Flip every byte with each mask; a summary."""
    with using_home(work / "home"):
        make(work / "flipped.yaml")
        folder = work / "home" / "flipped"
        everywhere = places(folder)
        problems = [line for mask in MASKS for line in flip(folder, everywhere, mask)]
    if problems:
        raise Violation("\n".join(problems[:20]))
    return f"{len(everywhere):,} bytes, each flipped {len(MASKS)} times: the same answer or a refusal, and always seen"


def make(file: Path) -> None:
    """A catalog with two segments, dead rows and passages."""
    file.write_text(ITEMS)
    update([str(file)], name="flipped")
    file.write_text(ITEMS.replace("{id: e, title: gone soon}", "{id: f, title: sea moon}"))
    update([str(file)], name="flipped")


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
    """The place of each byte of a catalog: its file and its offset there."""
    files = [folder / "index.sqlite", folder / "index.seal", *(folder / "segments").iterdir()]
    return [(file, offset) for file in files for offset in range(file.stat().st_size)]
