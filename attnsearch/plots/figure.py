"""What all figures share: their look, and the bytes of an SVG or a PNG.

A figure is a light card, which can be read on a dark page and on a light one. In an SVG its texts stay texts: they can
be selected, and a browser has letters for all of them. The same numbers make the same bytes.

matplotlib is an extra, and heavy: nothing but this folder imports it, inside functions.
"""

from __future__ import annotations

import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.pictures import palette
from attnsearch.plots.texts import SMALL, TEXT, TITLE, clean, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRAY, FAINT = "#1a1d21", "#59616b", "#d5d9de"  # text, less of it, lines
MARGIN = 0.25  # inches around everything
HEAD = MARGIN + 0.5  # of the title and the line below it
LINE = 0.16  # of a small one

_CARD = "#ffffff"
_DPI = 192  # of a PNG, and of the points of an SVG that are too many to be drawn one by one
_LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")  # in points: a hundredth is more than any screen shows
_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FAMILY = "'DejaVu Sans', Verdana, sans-serif"  # of an SVG; the first two have the same widths
_FALLBACKS = (  # fonts with the letters that the first one lacks, in a PNG: those that are installed
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Noto Sans Thai", "Noto Sans Devanagari", "Noto Sans Bengali",
    "Noto Sans Tamil", "WenQuanYi Zen Hei", "Hiragino Sans", "PingFang SC", "Yu Gothic", "Microsoft YaHei",
    "Malgun Gothic", "Apple SD Gothic Neo", "Arial Unicode MS", "Segoe UI Symbol", "Noto Sans Symbols",
    "Noto Sans Symbols 2", "Noto Emoji",
)  # fmt: skip
_STYLE = {
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,  # a title's dollars are dollars
    "axes.edgecolor": FAINT,
    "axes.labelcolor": GRAY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": GRAY,
    "ytick.labelcolor": GRAY,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "svg.fonttype": "none",
    "svg.hashsalt": "attnsearch",
}


def require_matplotlib() -> None:
    """Raise InputError without a matplotlib that can be loaded: before anything is computed that it should draw."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its list of fonts is no news
    backend = os.environ.pop("MPLBACKEND", None)  # not needed here, and refused if it is unknown
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("SVG and PNG need matplotlib", hint="pip install matplotlib") from None
    except (ImportError, OSError, ValueError) as error:  # a broken installation, or a broken matplotlibrc
        raise InputError("SVG and PNG need matplotlib", hint=f"it can't be loaded: {error}") from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


@contextmanager
def style() -> Iterator[None]:
    """Our style alone, whatever the user's own settings of matplotlib are: measure, paint and render a figure in it.

    Raises InputError without matplotlib.
    """
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        mpl.rcParams["font.family"] = ["DejaVu Sans", *(name for name in _FALLBACKS if name in installed)]
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # a letter that no font has is an empty box
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty card, so many inches wide and high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(width, height), facecolor="none", dpi=_DPI)
    FigureCanvasAgg(figure)
    card = FancyBboxPatch(
        (0.01, 0.01),
        width - 0.02,
        height - 0.02,
        boxstyle="round,pad=0,rounding_size=0.08",
        transform=figure.dpi_scale_trans,
        facecolor=_CARD,
        edgecolor=FAINT,
        linewidth=0.8,
        zorder=-10,
    )
    figure.add_artist(card)
    return figure


def render(figure: Figure, form: str, name: str) -> bytes:
    """The bytes of a figure. `name` says what it shows, to those who can't see it."""
    file = io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}  # no date, no version
    figure.savefig(file, format=form, dpi=_DPI, metadata=nothing if form == "svg" else {"Software": None})
    return file.getvalue() if form == "png" else _tidy(file.getvalue(), clean(name))


def write(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Write a text at x inches from the left and y inches from the top of a figure, its top line there."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, **{"va": "top", "fontsize": TEXT, **look})


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes whose upper left corner is at these inches from that of the figure, so wide and high."""
    all_width, all_height = figure.get_size_inches()
    bottom = 1 - (top + height) / all_height
    return figure.add_axes((left / all_width, bottom, width / all_width, height / all_height))


def head(figure: Figure, title: str, below: str) -> None:
    """Write a title and the line below it; both are clean."""
    width = figure.get_figwidth() - 2 * MARGIN
    write(figure, MARGIN, MARGIN, cut(title, width, TITLE, bold=True), fontsize=TITLE, fontweight="bold")
    write(figure, MARGIN, MARGIN + 0.25, cut(below, width, SMALL), fontsize=SMALL, color=GRAY)


def add_notes(figure: Figure, top: float, lines: Sequence[str]) -> None:
    """Write small lines below one another, the first so many inches below the top of a figure; each takes `LINE`."""
    for number, line in enumerate(lines):
        write(figure, MARGIN, top + number * LINE, line, fontsize=SMALL, color=GRAY)


def shade(strength: float) -> str:
    """The color of a strength from -1 to 1 on the card."""
    return palette.to_hex(palette.color(strength, is_light=True))


FOR, AGAINST = shade(1), shade(-1)


def shades(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colors (…, 3) of strengths (…), as `shade` has them."""
    share = np.minimum(np.abs(strengths), 1.0)[..., None]
    nothing, strong, against = (np.array(palette.color(strength, is_light=True)) / 255 for strength in (0, 1, -1))
    mixed: NDArray[np.float64] = nothing + share * (np.where(strengths[..., None] >= 0, strong, against) - nothing)
    return mixed


def letter(name: str) -> str:
    """The color of what belongs to the queries, keys or values: "q", "k" or "v"."""
    return palette.to_hex(palette.letter_color(name, is_light=True))


def ink(strength: float) -> str:
    """The color of a text on a cell of this strength: black or white."""
    return palette.to_hex(palette.ink(palette.color(strength, is_light=True)))


def _tidy(svg: bytes, name: str) -> bytes:
    """An SVG of matplotlib's, in one style, with a name, and without ids that nothing refers to."""
    root = ET.fromstring(svg)  # noqa: S314 (our own)
    for defs in root.findall(f"{{{_SVG}}}defs"):
        for rules in defs.findall(f"{{{_SVG}}}style"):  # they would rule a whole page, were the SVG part of one
            defs.remove(rules)
        if not len(defs):
            root.remove(defs)
    root.set("role", "img")
    root.set("aria-label", name)
    root.set("font-family", _FAMILY)
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    title = ET.Element(f"{{{_SVG}}}title")
    title.text = name
    root.insert(0, title)
    used = {match for element in root.iter() for value in element.attrib.values() for match in _references(value)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        for key in element.attrib.keys() & {"d", "transform", "x", "y", "width", "height", "viewBox"}:
            element.set(key, _LONG_NUMBER.sub(r"\1", element.attrib[key]).strip())
        if element.tag == f"{{{_SVG}}}text":
            element.set("style", _without_family(element.get("style", "")))
        elif not (element.text or "").strip():
            element.text = None
        element.tail = None
    return _serialize(root).encode()


def _references(value: str) -> list[str]:
    return [value[1:]] if value.startswith("#") else re.findall(r"url\(#([^)]*)\)", value)


def _without_family(style: str) -> str:
    """The style of a text without its family: the file's is for all of them."""
    rules = []
    for rule in filter(None, map(str.strip, style.split(";"))):
        name, _, value = rule.partition(":")
        if name == "font":  # before matplotlib 3.11: "font: bold 12px 'DejaVu Sans', …"
            rules.append(f"font: {value.partition(chr(39))[0].strip()} {_FAMILY}")
        elif name != "font-family":
            rules.append(rule)
    return "; ".join(rules)


def _serialize(root: ET.Element) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    return ET.tostring(root, encoding="unicode") + "\n"
