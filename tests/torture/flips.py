"""Every byte of a small index flipped in turn: the same answer, or a refusal; and `check` sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attnsearch.errors import CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import search
from tests.torture.verifier import Violation, at

LONG = " ".join(f"word{n}" for n in range(150))
ITEMS = (
    "- {id: a, title: moon}\n- {id: b, title: sea, price: 3, tags: [deep, blue]}\n- {id: c, title: robot moon}\n"
    f"- {{id: d, title: tide, description: moon {LONG} sea}}\n- {{id: e, title: gone soon}}\n"
)
ASKED = ("moon", "the sea and a robot")


MASKS = 0xFF, 0x01, 0x80


def flips(work: Path, seed: int) -> str:
    """Flip all of them with each mask; a summary."""
    with at(work / "home"):
        make(work / "flipped.yaml")
        folder = work / "home" / "flipped"
        everywhere = places(folder)
        wrong = [line for mask in MASKS for line in flip(folder, everywhere, mask)]
    if wrong:
        raise Violation("\n".join(wrong[:20]))
    return f"{len(everywhere):,} bytes, each flipped {len(MASKS)} times: the same answer or a refusal, and always found"


def make(file: Path) -> None:
    """A catalog with two segments, dead rows and passages."""
    file.write_text(ITEMS)
    update([str(file)], name="flipped")
    file.write_text(ITEMS.replace("{id: e, title: gone soon}", "{id: f, title: sea moon}"))
    update([str(file)], name="flipped")


def answer() -> list[tuple]:
    """All that a person sees of two queries."""
    with Index.open("flipped") as index:
        results = search(index, ASKED, k=99)
    return [
        (result.items, round(result.effective_items, 6), *hit[:3], round(hit.weight, 7), round(hit.score, 6), *hit[6:])
        for result in results
        for hit in result.hits
    ]


def flip(folder: Path, places: Iterable[tuple[Path, int]], mask: int) -> Iterator[str]:
    """What is wrong with the answers after each of the flips, made alone and undone."""
    right = answer()
    assert check.find_problems(folder) == []
    for file, byte in places:
        raw = file.read_bytes()
        with file.open("r+b") as stream:
            stream.seek(byte)
            stream.write(bytes([raw[byte] ^ mask]))
        where = f"{file.name}, byte {byte} xor {mask}"
        try:
            if answer() != right:
                yield f"{where}: another answer"
        except CatalogError:
            pass
        except Exception as error:  # noqa: BLE001 (any other is what we look for)
            yield f"{where}: {error!r}"
        try:
            if not check.find_problems(folder):
                yield f"{where}: not found"
        except CatalogError:
            pass
        except Exception as error:  # noqa: BLE001
            yield f"{where}: check: {error!r}"
        with file.open("r+b") as stream:
            stream.seek(byte)
            stream.write(raw[byte : byte + 1])


def places(folder: Path) -> list[tuple[Path, int]]:
    """Every byte of every file."""
    files = [folder / "index.sqlite", folder / "index.seal", *(folder / "segments").iterdir()]
    return [(file, byte) for file in files for byte in range(file.stat().st_size)]
