"""Pictures of what the commands draw, in terminals of several widths and colors, and of pages in a browser.

    python .ci/screenshots.py FOLDER                                # all of them: some minutes
    python .ci/screenshots.py FOLDER heatmap --columns 80 --colors 256 --dark
    python .ci/screenshots.py FOLDER page-query --columns 360
    python .ci/screenshots.py FOLDER serve-item --dark

Each command runs on the built-in catalogs, in a pseudo-terminal that says how wide it is and, by $TERM, $COLORTERM and
$COLORFGBG, what it shows. rich reads what it prints, and Chromium takes the pictures. A line that is wider than the
terminal ends in red, and is named, as is a command that fails. Needs `chromium` in the PATH, or its path in $CHROMIUM.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import math
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
REQUESTS = ("ships lost in the ice", "a detective in London", "life on other planets", "falling in love", "how to cook")
COMMANDS: dict[str, tuple[str, ...]] = {
    "query": ("query", "science fiction"),
    "query-show": ("query", "a voyage to the moon", "-w", "year < 1950", "--show", "year", "--show", "author"),
    "query-explain": ("query", "ships lost in the ice", "-k", "2", "--explain", "--lexical"),
    "explain": ("explain", "ships lost in the ice"),
    "explain-and": ("explain", "ships lost in the ice", "--and", "falling in love", "--value", "year"),
    "explain-item": ("explain", "ships lost in the ice", "Moby-Dick", "--over", "Longitude"),
    "matrix": ("explain", "ships lost in the ice", "Moby-Dick", "--matrix"),
    "pieces": ("explain", "ships lost in the ice", "Longitude", "--matrix", "--pieces"),
    "heatmap": ("heatmap", *REQUESTS),
    "heatmap-score": ("heatmap", *REQUESTS, "--by", "score"),
    "heatmap-logit": ("heatmap", *REQUESTS, "--by", "logit"),
    "heatmap-many": ("heatmap", "--requests", "library.judgments.yaml"),
    **{f"lesson-{number}": ("lesson", "--step", str(number)) for number in range(1, 15)},
    "lesson": ("lesson",),
    "eval": ("eval", "library.judgments.yaml"),
    "eval-compare": ("eval", "library.judgments.yaml", "--compare", "--textbook"),
    "duplicates": ("duplicates",),
    "show": ("show", "solaris"),
    "list": ("list",),
    "info": ("info", "library"),
    "docs": ("docs", "attention"),
    "help": ("query", "--help"),
}
PAGES: dict[str, tuple[str, ...]] = {
    "page-query": ("query", "ships lost in the ice", "a detective in London", "--explain", "-k", "5"),
    "page-explain": ("explain", "ships lost in the ice"),
    "page-item": ("explain", "ships lost in the ice", "Moby-Dick"),
    "page-matrix": ("explain", "ships lost in the ice", "Moby-Dick", "--matrix"),
    "page-heatmap": ("heatmap", *REQUESTS),
    "page-lesson": ("lesson",),
    "page-eval": ("eval", "library.judgments.yaml"),
    "page-train": ("train", "library.judgments.yaml", "--dry-run"),
}
# The page of `attnsearch serve`, by the state in its address.
VIEWS = {
    "serve": "",
    "serve-query": "q=ships+lost+in+the+ice&w=year+>+1850",
    "serve-item": "q=ships+lost+in+the+ice&item=moby-dick&of=library",
    "serve-heatmap": "q=ships+lost+in+the+ice",
}
WITHOUT_CATALOG = {"lesson", "list", "info", "docs", "--help"}

NAMES = [*COMMANDS, *PAGES, *VIEWS]

MANY = 1 << 24
COLORS = {"none": 0, "16": 16, "256": 256, "all": MANY}
TERMS = {
    0: {"TERM": "xterm-256color", "NO_COLOR": "1"},
    16: {"TERM": "xterm"},
    256: {"TERM": "xterm-256color"},
    MANY: {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
}
# The background, the text, and the sixteen colors: of xterm on black, and of VS Code's terminal on white.
THEMES = {
    "dark": "1e1e1e d4d4d4 000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5"
    " 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff",
    "light": "ffffff 1f1f1f 000000 cd3131 107c10 949800 0451a5 bc05bc 0598bc 555555"
    " 666666 cd3131 14ce14 b5ba00 0451a5 bc05bc 0598bc a5a5a5",
}
CELL, LINE = 8.43, 17  # pixels of DejaVu Sans Mono at 14 pixels
PAGE = """<!doctype html><meta charset=utf-8><style>
body {{ margin: 8px; background: {background}; color: {foreground} }}
pre {{ font: 14px/LINEpx "DejaVu Sans Mono", monospace; margin: 0; direction: ltr; unicode-bidi: bidi-override }}
pre.edge {{ width: WIDTHpx; border-right: 1px dotted #888 }}</style><pre class=edge>{code}</pre>"""
FRAMES = """<!doctype html><meta charset=utf-8><style>
body {{ margin: 0 }} iframe {{ display: block; border: 0; height: {window}px }}
</style><title></title>{frames}<script>
onload = () => {{
  const inner = [...document.querySelectorAll("iframe")].map(frame => frame.contentWindow)
  document.title = inner[0].document.documentElement.scrollHeight
  inner.forEach((shown, number) => shown.scrollTo(0, {window} * number))
  document.querySelector("iframe:last-of-type").style.marginTop = {above} + "px"
}}</script>"""
BROWSER = os.environ.get("CHROMIUM", "chromium")
WINDOW, HIGHEST = 900, 12_600  # pixels of a page, and of a picture


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=", ".join(NAMES))
    parser.add_argument(
        "--columns",
        type=int,
        nargs="+",
        help="of terminals: 40 80 120 200; pixels of pages: 360 800 1600, or 360 800 1400 2000 if they are served",
    )
    parser.add_argument("--colors", choices=COLORS, nargs="+", default=list(COLORS))
    parser.add_argument("--dark", action="store_true", help="only on a dark background")
    parser.add_argument("--light", action="store_true", help="only on a light one")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*NAMES}:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    backgrounds = [name for name in THEMES if getattr(arguments, name) or not (arguments.dark or arguments.light)]
    names = arguments.names or NAMES
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        for name in ("library.yaml", "library.judgments.yaml", "kitchen.yaml"):
            shutil.copy(ROOT / "catalogs" / name, home)
        run(("index", "library.yaml", "-q"), home, 80, 0, "dark")
        for name in names:
            for background in backgrounds:
                if name in PAGES:
                    picture_page(name, arguments.folder, home, arguments.columns or (360, 800, 1600), background)
                    continue
                if name in VIEWS:
                    picture_view(name, arguments.folder, home, arguments.columns or (360, 800, 1400, 2000), background)
                    continue
                for columns in arguments.columns or (40, 80, 120, 200):
                    for colors in arguments.colors:
                        if colors != "none" or background == backgrounds[0]:
                            picture_terminal(name, arguments.folder, home, columns, colors, background)


def picture_terminal(name: str, folder: Path, home: Path, columns: int, colors: str, background: str) -> None:
    """What a command draws in a terminal."""
    file = folder / f"{name}-{columns}-{colors}-{background}.png"
    code, output, errors = run(COMMANDS[name], home, columns, COLORS[colors], background)
    if code or errors:
        print(f"{file.name}: exit code {code}; {errors.strip()}", file=sys.stderr)
    lines = [Text.from_ansi(line) for line in (output or errors).splitlines()]
    for number, line in enumerate(lines, 1):
        if line.cell_len > columns:
            print(f"{file.name}: line {number} has {line.cell_len} cells", file=sys.stderr)
            line.stylize("white on red", columns)
    widest = max([columns, *(line.cell_len for line in lines)])
    console = Console(record=True, file=io.StringIO(), width=widest + 1, force_terminal=True, color_system="truecolor")
    console.print(Text("\n").join(lines), no_wrap=True, crop=False, highlight=False)
    shown, written, *sixteen = (tuple(bytes.fromhex(part)) for part in THEMES[background].split())
    theme = TerminalTheme(shown, written, sixteen[:8], sixteen[8:])  # type: ignore[arg-type]
    layout = PAGE.replace("LINE", str(LINE)).replace("WIDTH", str(columns * CELL))  # rich fills in the rest
    page = home / "page.html"
    page.write_text(console.export_html(theme=theme, code_format=layout, inline_styles=True), encoding="utf-8")
    take_picture(page, file, round(widest * CELL) + 24, min(len(lines) * LINE + 24, HIGHEST), background)


def picture_page(name: str, folder: Path, home: Path, widths: list[int], background: str) -> None:
    """A page that a command makes, in windows of these widths, from its top to its end."""
    page = home / "answer.html"
    page.unlink(missing_ok=True)
    code, _, errors = run((*PAGES[name], "-o", str(page)), home, 100, 0, "dark")
    if code or errors or not page.exists():
        print(f"{name}: exit code {code}; {errors.strip()}", file=sys.stderr)
        return
    for width in widths:
        outer = home / "outer.html"
        # A window of Chromium is not narrower than 500 pixels: a frame is. One above the other, each scrolled to where
        # the one above it ends, they show all of the page, and each is as high as a window for what goes by that. The
        # last one has nothing to scroll to, and lies over the one above it.
        frame = f"<iframe src='{page.name}' style='width: {width}px; color-scheme: {background}'></iframe>"
        outer.write_text(FRAMES.format(window=WINDOW, frames=frame, above=0))
        dumped = chromium("--dump-dom", outer.as_uri(), home=home)
        height = max(int(dumped.rpartition("<title>")[2].partition("<")[0] or HIGHEST), WINDOW)
        count = math.ceil(height / WINDOW)
        outer.write_text(FRAMES.format(window=WINDOW, frames=frame * count, above=height - count * WINDOW))
        height = min(height, HIGHEST)
        take_picture(outer, folder / f"{name}-{width}-{background}.png", width, height, background)


def picture_view(name: str, folder: Path, home: Path, widths: list[int], background: str) -> None:
    """The page of a server in windows of these widths, in a state, from its top to its end. Needs playwright."""
    from playwright.sync_api import sync_playwright

    argv = [sys.executable, "-m", "attnsearch", "serve", "--port", "0", "-c", "library"]
    environment = os.environ | {"ATTNSEARCH_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with server, sync_playwright() as playwright:
        address = server.stdout.readline().strip()  # type: ignore[union-attr]
        browser = playwright.chromium.launch(executable_path=shutil.which(BROWSER), args=["--no-sandbox"])
        for width in widths:
            size = {"width": width, "height": WINDOW}
            page = browser.new_page(viewport=size, color_scheme=background, reduced_motion="reduce")  # type: ignore[arg-type]
            asked = json.dumps(json.dumps({"[]": REQUESTS}))
            page.add_init_script(f"sessionStorage.setItem('attnsearch-requests', {asked})")
            page.goto(f"{address}#{VIEWS[name]}")
            page.wait_for_load_state("networkidle")
            if name == "serve-heatmap":
                page.click("#heatmap summary")
                page.wait_for_selector("#heatmap table")
            file = folder / f"{name}-{width}-{background}.png"
            page.screenshot(path=file, full_page=True)
            print(file)
        browser.close()
        server.terminate()


def take_picture(page: Path, file: Path, width: int, height: int, background: str) -> None:
    """A picture of a page, in a window of this size, in a browser that prefers dark or light pages."""
    scheme = {"dark": 0, "light": 1}[background]
    chromium(
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--screenshot={file.resolve()}",
        page.as_uri(),
        home=page.parent,
    )
    print(file)


def chromium(*options: str, home: Path) -> str:
    """Run Chromium without a window and without the network: what it prints."""
    argv = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=2000",
        "--allow-file-access-from-files", "--hide-scrollbars",
        f"--user-data-dir={home / 'chromium'}", *options,
    ]  # fmt: skip
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout


def run(argv: tuple[str, ...], home: Path, columns: int, colors: int, background: str) -> tuple[int, str, str]:
    """Run a command in a terminal: its exit code, its stdout, and its stderr, which is not the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    hidden = ("COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "ATTNSEARCH_CATALOG")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {
        "ATTNSEARCH_HOME": str(home / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "COLORFGBG": {"dark": "15;0", "light": "0;15"}[background],
        **TERMS[colors],
    }
    catalog = [] if WITHOUT_CATALOG & set(argv) or argv[0] in ("index", "duplicates") else ["-c", "library"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "attnsearch", *argv, *catalog],
            cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=errors,
        )  # fmt: skip
        os.close(theirs)
        output = b"".join(read(ours))
        os.close(ours)
        code = process.wait()
        errors.seek(0)
        return code, output.decode().replace("\r\n", "\n"), errors.read().decode()


def read(descriptor: int) -> Iterator[bytes]:
    """All that is written to a terminal, until the last process on the other side has ended."""
    try:
        while part := os.read(descriptor, 1 << 16):
            yield part
    except OSError:
        pass


if __name__ == "__main__":
    main()
