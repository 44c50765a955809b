from __future__ import annotations

import json

import numpy as np
import pytest

from attnsearch.explanation.heatmap import Column, Heatmap
from attnsearch.pages import heatmap as heatmap_pages
from attnsearch.pages.heatmap import heatmap_page
from attnsearch.search.setting import DEFAULT
from tests.pages.hostile import HOSTILE
from tests.pages.reading import numbers, read_page, text_of, texts
from tests.pictures.test_heatmap import make


def heatmap_of(weights, **fields) -> Heatmap:
    m, n = np.shape(weights)
    names = {"queries": [f"request {row}" for row in range(m)], "titles": [str(column) for column in range(n)]}
    names |= {name: fields.pop(name) for name in names if name in fields}
    return make(weights, **names)._replace(**fields)


def page_of(heatmap, by="weight"):
    return read_page(heatmap_page(heatmap, ["attnsearch", "heatmap"], setting=DEFAULT, by=by).encode())


def rows_of(tree):
    return [
        [" ".join(text_of(cell).split()) for cell in row] for row in tree.find(".//table[@class='grid']").iter("tr")
    ]


@pytest.mark.parametrize("by", ["weight", "logit", "score"])
def test_the_numbers(by):
    heatmap = heatmap_of([[0.625, 0.125], [0.25, 0.5]], none_of_these=np.array([0.03, 0.9]))
    others = heatmap.others.tolist() if by == "weight" else []
    assert numbers(page_of(heatmap, by)) == {*heatmap.values(by).ravel().tolist(), *others, 0.03, 0.9, 0.05}


def test_a_row_is_a_request():
    heatmap = heatmap_of(
        [[0.625, 0.125], [0.25, 0.0]],
        none_of_these=np.array([0.03, 0.0001]),
        right=np.array([[True, False]] * 2),
        masked=1,
    )
    tree = page_of(heatmap)
    assert rows_of(tree) == [
        ["", "0", "1", "all others", "none of these"],
        ["request 0", "62.5✓", "12.5", "25.0", "3.0"],
        ["request 1", "25.0✓", "–", "75.0", "<0.1"],
    ]
    shades = [cell.get("class") for cell in tree.find(".//table[@class='grid']/tbody").iter("td")]
    assert shades == ["p13", "p6", "margin", "margin", "p8", None, "margin", "margin"]  # √.625, √.125 and √.25 of 16
    assert texts(tree, "h1") == ["2 requests × 2 items"]


def test_several_catalogs_are_named():
    columns = [Column("a", "moon", "shop"), Column("a", "moon", "store/x.csv")]
    heatmap = heatmap_of([[0.5, 0.25]], columns=columns, catalogs=["shop", "store/x.csv"])
    assert rows_of(page_of(heatmap))[0] == ["", "moon shop", "moon x.csv", "all others"]


def test_what_was_judged():
    tree = page_of(heatmap_of([[0.5]], recalled={"request 0": {"<b>moon</b>": 0.25}}))
    assert '"request 0" has 25.0% from memory, because "<b>moon</b>" was judged' in text_of(tree)


def test_nothing_to_show():
    heatmap = heatmap_of(np.zeros((1, 0)), masked=5, emptied_by="no item passes 'year > 3000'")
    assert "no item passes 'year > 3000'" in text_of(page_of(heatmap))


def test_fifty_by_fifty_is_small():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(51, 0.1), 50)[:, :50]
    titles = [f"A title of many words, number {number}, which goes on and on and on" for number in range(50)]
    queries = [f"a request of many words, number {number}, which goes on and on as well" for number in range(50)]
    heatmap = heatmap_of(weights, titles=titles, queries=queries, none_of_these=rng.random(50), right=weights > 0.1)
    page = heatmap_page(heatmap, ["attnsearch", "heatmap"], setting=DEFAULT)
    assert len(page.encode()) < 300_000
    assert len(numbers(read_page(page.encode()))) > 2_000


def test_hostile_texts_are_inert():
    heatmap = heatmap_of(np.full((len(HOSTILE), len(HOSTILE)), 0.01), queries=HOSTILE, titles=HOSTILE)
    shown = text_of(page_of(heatmap))
    assert "<script>document.title" in shown
    assert "moon \\u202egpj.exe" in shown


@pytest.mark.parametrize("by", ["weight", "logit", "score"])
def test_the_command(run, shop_file, by):
    argv = ["heatmap", "moon", "sea", "-c", "shop.yaml", "-k", "1", "--by", by]
    tree = read_page(run(*argv, "-f", "html").out.encode())
    answer = json.loads(run(*argv, "--json").out)
    matrix = {number for row in answer[f"{by}s"] for number in row}
    assert numbers(tree) == matrix | {*(answer["others"] if by == "weight" else []), answer["temperature"]}
    assert texts(tree, "code") == [f"attnsearch {' '.join(argv)} -f html"]


def test_the_legend_is_the_scale():
    heatmap = heatmap_of([[0.64, 0.04]])
    (key,) = (part for part in page_of(heatmap).iter("p") if part.get("class") == "key")
    shown = {span.get("class"): text_of(span) for span in key.iter("span")}
    assert shown == {"p4": "6.2", "p8": "25.0", "p12": "56.2", "p16": "100.0"}


def test_too_many_cells(run, shop_file, monkeypatch):
    monkeypatch.setattr(heatmap_pages, "MOST_CELLS", 5)
    ran = run("heatmap", "moon", "sea", "-c", "shop.yaml", "-f", "html")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("attnsearch: 6 cells are too many for a page, which has 5 at most; take fewer items")
    assert run("heatmap", "moon", "-c", "shop.yaml", "-f", "html").code == 0
