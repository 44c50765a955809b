"""Man pages of the commands, made when a wheel is built, from what `--help` shows and two tables of the reference.

No package does this for typer: click-man needs click's own classes, which typer no longer uses. This needs only typer,
which the build installs, and no model, numpy or torch.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parents[1]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the pages to a wheel as share/man/man1. An editable installation has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages where the wheel takes them from."""
        if version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp())
        for name, text in pages(self.metadata.version).items():
            (self.folder / name).write_text(text, encoding="ascii")
            build_data["shared_data"][str(self.folder / name)] = f"share/man/man1/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the pages, which the wheel has."""
        if version != "editable":
            shutil.rmtree(self.folder)


def pages(version: str) -> dict[str, str]:
    """Every page by the name of its file."""
    sys.path.insert(0, str(ROOT))
    import typer

    from attnsearch.cli.app import app_for

    group: Any = typer.main.get_command(app_for([]))
    context = typer.Context(group, info_name="attnsearch", help_option_names=["-h", "--help"])
    by_name = {"attnsearch.1": _page(group, context, version)}
    for name, command in group.commands.items():
        inner = typer.Context(command, info_name=name, parent=context)
        by_name[f"attnsearch-{name}.1"] = _page(command, inner, version)
    return by_name


def _page(command: Any, context: Any, version: str) -> str:
    """A page, with an ASCII form of each other letter, for terminals that lack it."""
    from attnsearch.output.safe_text import simplified

    page = "\n".join(_lines(command, context, version)) + "\n"
    codes = sorted(set(re.findall(r"\\\[u([0-9A-F]+)\]", page)))
    ascii_forms = [roff(simplified(chr(int(code, 16)))).replace(" ", r"\ ") for code in codes]
    forms = [rf".fchar \[u{code}] {form}" for code, form in zip(codes, ascii_forms, strict=True)]
    return "\n".join([*forms, page])


def _lines(command: Any, context: Any, version: str) -> Iterator[str]:
    """The lines of a command's page, or of the group's."""
    from attnsearch.cli.help import paragraphs, sections, usage

    is_group = context.parent is None
    name = context.command_path.replace(" ", "-")
    summary, *others = paragraphs(command.help)
    yield f'.TH {name.upper().replace("-", chr(92) + "-")} 1 "" "attnsearch {version}" "User Commands"'
    yield from (".nh", ".ad l")  # names of options and commands stay whole
    yield from (".SH NAME", rf"{roff(name)} \- {roff(str(summary).rstrip('.'))}")
    yield from (
        ".SH SYNOPSIS",
        rf"\fB{roff(context.command_path)}\fR "
        + roff(usage(command, context).removeprefix(f"{context.command_path} ")),
    )
    yield from (".SH DESCRIPTION", roff(str(summary)))
    for paragraph in others:
        if isinstance(paragraph, str):
            yield from (".PP", roff(paragraph))
        else:
            yield from (".PP", ".nf", ".RS 4", *map(roff, paragraph), ".RE", ".fi")
    for title, rows in sections(command, context):
        yield f".SH {roff(title.upper())}"
        for term, text in rows:
            yield from (".TP", _bold_names(term.strip()), roff(text))
    if is_group:
        yield from _table("EXIT STATUS", "Exit codes")
        yield from _table("ENVIRONMENT", "Environment")
        yield from (".SH FILES", ".TP", r"\fI$XDG_CONFIG_HOME/attnsearch/config.toml\fR", "Defaults of options.")
    names = [f"attnsearch-{name}" for name in getattr(command, "commands", ())] or ["attnsearch"]
    yield from (".SH SEE ALSO", ", ".join(rf"\fB{roff(name)}\fR(1)" for name in names) + ";")
    yield rf"\fB{roff('attnsearch docs reference')}\fR"


def _table(title: str, heading: str) -> Iterator[str]:
    """A section from the table under a heading of the reference."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    _, _, table = text.partition(f"\n## {heading}\n")
    yield f".SH {title}"
    for line in table.partition("\n## ")[0].splitlines():
        if line.startswith("|") and not line.startswith(("|--", "| variable |", "| code |")):
            term, meaning = (_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:3])
            yield from (".TP", rf"\fB{roff(term)}\fR", roff(f"{meaning}."))


def _plain(markdown: str) -> str:
    """A cell of a table without its marks for code and links."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown).replace("`", "").replace(r"\|", "|").strip()


def _bold_names(term: str) -> str:
    """An option with its names in bold and its value in italics, or another term in bold."""
    if not term.startswith("-"):
        return rf"\fB{roff(term)}\fR"
    names, metavar = re.fullmatch(r"(-[^\s,]+(?:, -[^\s,]+)*) ?(.*)", term).groups()  # type: ignore[union-attr]
    bold = ", ".join(rf"\fB{roff(name)}\fR" for name in names.split(", "))
    return rf"{bold} \fI{roff(metavar)}\fR" if metavar else bold


def roff(text: str) -> str:
    r"""The text as roff prints it, in ASCII: nothing in it is a request or a sign that a terminal shows otherwise.

    >>> roff("--top-k"), roff("λ"), roff("'a\\b'"), roff(".x")
    ('\\-\\-top\\-k', '\\[u03BB]', '\\(aqa\\eb\\(aq', '\\&.x')
    """
    signs = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
    spelled = "".join(signs.get(sign, sign if sign.isascii() else rf"\[u{ord(sign):04X}]") for sign in text)
    return rf"\&{spelled}" if spelled.startswith(".") else spelled
