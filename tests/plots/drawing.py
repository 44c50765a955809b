"""What the tests of figures share: small results that a person can check, hostile texts, and how to read an SVG."""

from __future__ import annotations

import numpy as np
from lxml import etree

from attnsearch.explanation.heatmap import Column, Heatmap
from attnsearch.explanation.map import Map
from attnsearch.explanation.matrix import Line, Matrix
from attnsearch.pictures import palette
from attnsearch.search.result import Hit

HOSTILE = [
    "<script>alert(1)</script>",
    "</text></svg><script>",
    "$x_1^{2$ and $\\frac{",
    "\u202ereversed\u202c \u2066bidi",
    "\x1b[31mred\x00\x07",
    "javascript:alert(1)",
    '" onload="alert(1)',
    "&lt;b&gt; &amp; ]]> <!-- x -->",
    "x" * 10_000,
    "月の海 \U0001f680 \u0e21\u0e2b\u0e32",
    "\ufffe\uffff\ud800",
    "style=\"font-family: 'DejaVu Sans', serif\" url(#x)",
    "",
    "   \n\t",
    "m" + "\u0489" * 200,
]

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DRAWN = {"svg", "title", "g", "path", "text", "defs", "clipPath", "rect", "use", "image"}


def hex_color(strength: float) -> str:
    """The palette's color of a strength on a light card."""
    return palette.to_hex(palette.color(strength, is_light=True))


BLUE, ORANGE = hex_color(1), hex_color(-1)


def read_svg(svg: bytes) -> etree._Element:
    """The root of an SVG that can't act: no script, no event, no address, nothing from elsewhere."""
    root = etree.fromstring(svg, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    for element in root.iter():
        assert element.tag.removeprefix(_SVG) in _DRAWN
        for name, value in element.attrib.items():
            if name == _HREF:
                assert value.startswith(("#", "data:image/png;base64,"))
            else:
                assert not name.startswith("on")
                assert "href" not in name
                assert "url(" not in value.replace("url(#", "") or name == "aria-label"
    return root


def texts(svg: bytes) -> list[str]:
    """The texts of an SVG, in order."""
    return [element.text or "" for element in read_svg(svg).iter(f"{_SVG}text")]


def fills(svg: bytes) -> list[str]:
    """The colors of the cells of a grid, in order."""
    styles = [element.get("style", "") for element in read_svg(svg).iter(f"{_SVG}path", f"{_SVG}use")]
    return [style.split("fill: ")[1][:7] for style in styles if "fill: #" in style and "stroke-width: 0.25" in style]


def heatmap_of(weights, *, queries=None, titles=None, others=None, **fields) -> Heatmap:
    """A heatmap of these weights; logits are 10 times as high, scores the same."""
    weights = np.array(weights, float)
    m, n = weights.shape
    return Heatmap(
        queries=queries or [f"request {row}" for row in range(m)],
        columns=[Column(str(column), (titles or {}).get(column, f"item {column}"), "shop") for column in range(n)],
        weights=weights,
        logits=weights * 10,
        scores=weights,
        others=1 - weights.sum(axis=1) if others is None else np.array(others),
        **{
            "none_of_these": None, "right": None, "catalog": "shop", "catalogs": ["shop"], "model": "small",
            "temperature": 0.05, "items": 9, "masked": 0, "lexical": 0.0, "trained": False, **fields,
        },
    )  # fmt: skip


def matrix_of(cells, *, query="moon sea", title="The item", words=None, **fields) -> Matrix:
    """A matrix of these cells, with a term and a prior."""
    cells = np.array(cells, float)
    r, c = cells.shape
    words = words or [[f"row {row}" for row in range(r)], [f"column {column}" for column in range(c)]]
    sums = cells.sum(axis=1), cells.sum(axis=0)
    rows, columns = (
        [Line("word", word, None, None, float(total)) for word, total in zip(*pair, strict=True)]
        for pair in zip(words, sums, strict=True)
    )
    logit = float(cells.sum()) + 0.25 - 0.5
    hit = Hit(1, "a", title, 0.5, 0.5, logit, "", {}, catalog="shop")
    fields = {"lexical": {"moon": 0.25}, "prior": {"year": -0.5}, **fields}
    return Matrix(hit, query, "", "words", rows, columns, cells, np.abs(cells).max(), float(cells.sum()), 0.0, **fields)


def map_of(points, *, weights=None, hits=3, title="item {}", query="moon", **fields) -> Map:
    """A map of these points, the first ones on top."""
    points = np.array(points, float).reshape(-1, 2)
    n = len(points)
    weights = np.full(n, 1 / n) if weights is None else np.array(weights)
    top = np.arange(min(hits, n))
    return Map(
        query=query,
        catalog="shop",
        points=points,
        weights=weights,
        request=(0.5, 0.5),
        output=(float(weights @ points[:, 0]), float(weights @ points[:, 1])),
        variance=(0.25, 0.125),
        hits=[
            Hit(int(row) + 1, str(row), title.format(row), float(weights[row]), 0.5, 1.0, "", {}) for row in top
        ],
        hit_rows=top,
        **{"hidden": 0, **fields},
    )  # fmt: skip
