"""A server for all tests that need a browser, and windows on its page."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.pages.hostile import ADDRESSES, hostile_catalog
from tests.serve import browser

SHOP = """
- {id: lamp, title: Reading lamp, description: A warm light for one page at a time., price: 39.5, kind: light, new: true}
- {id: torch, title: Torch, description: A bright beam in your pocket., price: 12, kind: light, new: false}
- {id: kettle, title: Kettle, description: It boils water for tea., price: 25, kind: kitchen, new: true}
- {id: chair, title: Armchair, description: Sit down and read a long book., price: 310, kind: furniture, new: false}
"""  # noqa: E501


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The address of a server of five catalogs: library, shop, taught, hostile, empty."""
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home"
    shutil.copy(browser.ROOT / "catalogs" / "library.yaml", folder)
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "taught.yaml").write_text(SHOP)
    links = "".join(
        json.dumps({"id": f"link-{number}", "title": f"address {number}", "url": address, "image": address}) + "\n"
        for number, address in enumerate(ADDRESSES)
    )
    (folder / "hostile.jsonl").write_text(hostile_catalog() + links)
    names = ("library.yaml", "shop.yaml", "taught.yaml", "hostile.jsonl")
    for name in names:
        browser.run(home, "index", str(folder / name), "-q")
    options = [option for name in names for option in ("-c", name.partition(".")[0])]
    with browser.serving(home, *options) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    """A browser; only for the tests of a module, since others run event loops."""
    with browser.chromium() as launched:
        yield launched


@pytest.fixture
def window(chromium, served):
    """Makes windows on the page: `window(width=360)`. At the end, nothing may have gone wrong in any."""
    opened = []

    def make(address: str = served, **options: object) -> browser.Window:
        opened.append(browser.Window(chromium, address, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
