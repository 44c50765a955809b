"""The documents: their commands run, their outputs are real, no option is missing, their links lead somewhere."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typer

import attnsearch
from attnsearch.cli.app import COMMANDS, load_command
from attnsearch.cli.app import attnsearch as callback
from attnsearch.errors import Exit
from tests.documents import (
    DOCUMENTS,
    PYTHON,
    README,
    REFERENCE,
    ROOT,
    Terminal,
    blocks,
    is_shown,
    scripts_of,
    shown,
)  # fmt: skip
from tests.torture.__main__ import HARNESSES

WIDE = 120
HEATMAP = (
    'attnsearch heatmap "life on Mars" "time travel" spies "ships lost in the ice" ghosts vampires "a leaking tap"'
    " -k 2 -c library -o heatmap.svg"
)
LINKED = [*DOCUMENTS, ROOT / "benchmarks" / "README.md"]
by_name = pytest.mark.parametrize("document", LINKED, ids=lambda file: str(file.relative_to(ROOT)))


def section(text: str, heading: str) -> str:
    """The prose and tables under a heading, up to the next heading of its level or above."""
    text = unfenced(text)
    level = len(heading.split()[0])
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"no heading {heading!r}"
    return match[1]


def unfenced(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads."""
    lines = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    heads = {number - 1 for number, line in enumerate(cells) if set("".join(line)) <= set("-:")}
    return [line for number, line in enumerate(cells) if number not in heads and number - 1 not in heads]


class TestCommands:
    @pytest.mark.real
    @pytest.mark.parametrize("document", [README, REFERENCE], ids=lambda file: file.stem.lower())
    def test_all_run_and_print_what_is_shown(self, document, tmp_path):
        terminal = Terminal(tmp_path)
        for script, expected in shown(document.read_text()):
            code, output, errors = terminal.run(script)
            if expected is None:
                assert (code, errors) == (0, ""), script
            else:
                assert is_shown(expected, output + errors), f"$ {script}\n{output}{errors}"

    def test_no_command_is_outside_the_blocks(self):
        """Such commands would not be run."""
        for document in (README, REFERENCE):
            assert not [line for line in unfenced(document.read_text()).splitlines() if re.match(r"\s*\$ ", line)]
            assert not re.findall(r"^```(?!sh|text|python|yaml|json|toml|$)", document.read_text(), re.MULTILINE)

    def test_omitted_lines(self):
        assert is_shown("a\n…\nd\n", "a\nb\nc\nd\n")
        assert is_shown("…\nd\n", "a\nd\n")
        assert is_shown("a…\n12 ms\n", "a…\n7 ms\n")
        assert not is_shown("a\n…\nd\n", "a\nb\nc\n")
        assert not is_shown("a\nd\n", "a\nb\nd\n")

    def test_the_last_digit(self):
        """It depends on the processor."""
        assert is_shown("x 16.5%  -0.0514\n", "x 16.6%  -0.0515\n")
        assert is_shown("x 8.317e-05 …\n", "x 8.318e-05 …\n")
        assert not is_shown("x 16.5%\n", "x 16.7%\n")
        assert not is_shown("x 16.5%\n", "x -16.5%\n")
        assert not is_shown("169 items\n", "170 items\n")
        assert not is_shown("3.1 and 4.0\n", "3.1 and 4\n")

    def test_the_python(self, small, capsys):
        (block,) = blocks(README, "python")
        exec(block, {})
        lines = capsys.readouterr().out.splitlines()
        assert len([line for line in lines if re.fullmatch(r"\d+\.\d% .+", line)]) == 3

    @pytest.mark.real
    def test_the_pages_of_python(self, capsys, monkeypatch, tmp_path):
        """Each block prints what the block of text after it shows."""
        monkeypatch.chdir(tmp_path)
        scripts = list(scripts_of(PYTHON.read_text()))
        namespace: dict[str, Any] = {}
        for script, output in scripts:
            exec(script, namespace)
            printed = capsys.readouterr().out
            assert is_shown(output, printed), f"{script}{printed}"
        assert len(scripts) > 8


class TestReference:
    text = REFERENCE.read_text()

    def options(self) -> Iterator[tuple[str, list[str]]]:
        """Every option of every command, with all of its names."""
        app = typer.Typer(add_completion=False)
        app.callback()(callback)
        for name in COMMANDS:
            app.command(name)(load_command(name))
        for name, command in typer.main.get_command(app).commands.items():
            for option in command.params:
                if option.param_type_name == "option" and not option.hidden:
                    yield name, option.opts

    def documented(self) -> set[tuple[str, str]]:
        """Every command and option in the reference, from the command's own table or that of shared options."""
        pairs = set()
        for command in COMMANDS:
            for cells in rows(section(self.text, f"### {command}")):
                pairs |= {(command, name) for name in self.names(cells[0])}
        for cells in rows(section(self.text, "## Shared options")):
            pairs |= set(itertools.product(cells[-1].split(", "), self.names(cells[0])))
        return pairs

    @staticmethod
    def names(cell: str) -> list[str]:
        return re.findall(r"(?<![\w-])--?[a-zA-Z0-9][\w-]*", cell)

    def test_every_command_has_a_section(self):
        headings = re.findall(r"^### (\w+)$", section(self.text, "## Commands"), re.MULTILINE)
        assert headings == list(COMMANDS)

    def test_every_option_is_there_and_no_other(self):
        real = {(command, name) for command, names in self.options() for name in names}
        assert real == self.documented()

    def test_the_catalog_file(self, write, run, small):
        (block,) = blocks(REFERENCE, "yaml")
        assert run("index", write("x.yaml", block)).code == 0
        (hit,) = json.loads(run("query", "lamp", "-c", "shop", "--json").out)["hits"]
        assert (hit["id"], hit["fields"]) == ("lamp-7", {"tags": ["light", "desk"], "price": 39.5})

    def test_the_defaults(self, run, write, tmp_path, monkeypatch):
        (block,) = blocks(REFERENCE, "toml")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        write("attnsearch/config.toml", block)
        assert run("query", " ").err.startswith("attnsearch: the query is empty")
        assert run("index", "none.csv").err.startswith("attnsearch: none.csv: no such file")

    @pytest.mark.real
    def test_the_json(self, run):
        (block,) = blocks(REFERENCE, "json")
        assert_alike(json.loads(block), json.loads(run("query", "science fiction", "-k", "1", "--json").out))

    def test_every_field_of_a_result_is_there(self, write, run, small):
        shop = write("shop.yaml", "- {id: a, title: moon, year: 1990, day: 2020-05-01, kind: x}\n- {title: b}\n")
        options = ("-c", shop, "--lexical", "1", "--prior", "year", "--explain", "--vector", "--json")
        values = ("--value", "year", "--value", "day", "--value", "kind")
        result = json.loads(run("query", "moon", *options, *values).out)
        over = json.loads(run("explain", "moon", "a", "--over", "b", "-c", shop, "--json").out)
        matrix = json.loads(run("explain", "moon", "a", "--matrix", "-c", shop, "--json").out)
        names = (
            set(fields(result, {"fields", "rows", "totals", "shapes"}))
            | set(fields(over, {"fields"}))
            | set(fields(matrix, {"fields"}))
        )
        assert {"why", "query_words", "spread_days", "share", "says", "ratio", "cells"} <= names
        tables = "\n".join(" ".join(cells) for cells in rows(section(self.text, "## JSON")))
        assert names - {"trained"} <= set(re.findall(r"`(?:[\w\[\]]*\.)?(\w+)`", tables)) | {"moon", "year"}

    def test_every_field_of_a_heatmap_is_there(self, run, shop, write):
        judged = write("judged.yaml", "- {query: moon, relevant: [a]}\n")
        argv = ("heatmap", "--requests", judged, "-c", "shop", "--lexical", "1", "-w", "has price", "--json")
        names = set(fields(json.loads(run(*argv).out), set()))
        table = self.text[self.text.index("| field of `heatmap` |") :].partition("\n\n")[0]
        assert {"columns", "id", "weights", "right", "lexical"} <= names <= set(re.findall(r"`(\w+)`", table))

    @pytest.mark.parametrize(
        ("row", "argv"),
        [
            ("index", ["index", "{shop}", "--json"]),
            ("list", ["list", "--json"]),
            ("info", ["info", "shop", "--json"]),
            ("check", ["check", "shop", "--json"]),
            ("eval", ["eval", "{judged}", "-c", "shop", "--json", "--compare", "--lexical 1"]),
            ("train", ["train", "{judged}", "-c", "shop", "--json"]),
            ("feedback", ["feedback", "moon", "--good", "a", "-c", "shop", "--json"]),
            ("feedback", ["feedback", "moon", "--remove", "-c", "shop", "--json"]),
            ("feedback --list", ["feedback", "--list", "-c", "shop", "--json"]),
        ],
        ids=lambda case: case if isinstance(case, str) else "",
    )
    def test_every_field_of_the_other_commands_is_there(self, row, argv, shop, write, run):
        judged = write("judged.yaml", "- {query: moon, relevant: [a]}\n- {query: robot, relevant: [c]}\n")
        run("feedback", "moon", "--bad", "b", "-c", "shop")
        ran = run(*(word.format(shop=shop, judged=judged) for word in argv))
        (cells,) = (cells for cells in rows(section(self.text, "## JSON")) if cells[0] == f"`{row}`")
        names = set(fields(json.loads(ran.out), {"info"} if row == "index" else {"noted", "removed", "grades"}))
        assert names <= set(re.findall(r"`(\w+)`", cells[1]))

    def test_every_parameter_of_http_is_there(self):
        """With what it may be, as the types say it, and what it means."""
        from attnsearch.wire import requests
        from attnsearch.wire.mistakes import spell_type

        kinds = {"query": requests.QueryRequest, "like": requests.LikeRequest, "explain": requests.ExplainRequest,
                 "heatmap": requests.HeatmapRequest, "feedback": requests.FeedbackRequest}  # fmt: skip
        expected: dict[tuple[str, ...], list[str]] = {}
        for address, kind in kinds.items():
            schema = kind.model_json_schema()
            for name, part in schema["properties"].items():
                of = f"**{address}**" if name in schema.get("required", ()) else address
                expected.setdefault((f"`{name}`", spell_type(part), part["description"]), []).append(of)
        cells = rows(section(self.text, "## HTTP").partition("| parameter |")[2].partition("| status |")[0])
        shown = {(name, kind, meaning): of.split(", ") for name, of, kind, meaning in cells}
        assert shown == expected

    def test_every_address_and_status_is_there(self):
        from attnsearch.serve.catalogs import Catalogs
        from attnsearch.serve.http import REFUSALS, make_app

        text = section(self.text, "## HTTP")
        addresses = {
            f"{method} {path.replace('{item}', 'ITEM')}"
            for path, methods in make_app(Catalogs()).openapi()["paths"].items()
            for method in map(str.upper, methods)
        }
        shown = {cells[0].strip("`").partition("?")[0] for cells in rows(text.partition("| parameter |")[0])}
        assert shown - {"GET /", "/mcp"} == addresses
        assert rows(text.partition("| status |")[2]) == [[str(status), says] for status, says in REFUSALS.items()]

    def test_every_field_of_an_answer_is_there(self):
        from pydantic import BaseModel

        from attnsearch.wire import catalogs, results

        types = {kind for file in (catalogs, results) for kind in vars(file).values() if isinstance(kind, type)}
        kinds = [kind for kind in types if issubclass(kind, BaseModel) and kind is not BaseModel]
        names = {field.alias or name for kind in kinds for name, field in kind.model_fields.items()}
        assert {"none_of_these", "cells", "schema", "from", "built_in", "hint"} <= names
        text = section(self.text, "## JSON") + section(self.text, "## HTTP")
        assert names <= set(re.findall(r"`(?:[\w\[\]]*\.)?(\w+)`", text)) | {"error", "message", "code", "hint"}

    def test_the_exit_codes(self):
        assert [int(cells[0]) for cells in rows(section(self.text, "## Exit codes"))] == [int(code) for code in Exit]

    def test_every_variable_that_the_code_reads(self):
        code = "\n".join(file.read_text() for file in (ROOT / "attnsearch").rglob("*.py"))
        variables = set(re.findall(r"environ(?:\.get|\.setdefault)?[(\[]\"(\w+)", code))
        assert len(variables) >= 5
        assert variables <= set(re.findall(r"`(\w+)(?:=\w+)?`", section(self.text, "## Environment")))

    def test_the_limits(self):
        """The numbers in the table are those in the code."""
        from attnsearch.explanation import cells, saved
        from attnsearch.exports import form
        from attnsearch.pages import heatmap
        from attnsearch.readers import binary_tables, delimited, documents, folder, sqlite, text_file
        from attnsearch.sources import items
        from attnsearch.storage import learned
        from attnsearch.storage.lock import WAIT
        from attnsearch.syntax import values
        from attnsearch.terminal.requests import QUERY

        table = dict(rows(section(self.text, "## Limits")))
        assert table == {
            "a YAML or JSON file": f"{text_file.WHOLE >> 20} MiB; {values.PARTS:,} keys, values and ends of "
            f"containers; {values.DEPTH} levels of nesting",
            "a JSONL, CSV, TSV or Parquet file, a file of lines, a database": "any size: it is read as a stream",
            "a workbook": f"{text_file.WHOLE >> 20} MiB; {binary_tables.UNPACKED >> 20:,} MiB once it is unpacked",
            "an export": f"any size in a file; npz through a pipe {text_file.WHOLE >> 20} MiB; "
            f"{text_file.WHOLE >> 20} MiB and {form.PARTS:,} numbers, keys and values for an item",
            "rows of `--sql`, or of a table": f"{sqlite.ROWS:,}",
            "a line of JSONL, a row of CSV or TSV": f"{text_file.LINE >> 20} MiB",
            "files of a folder": f"{folder.FILES:,}; each is read on its own",
            "front matter in TOML": f"{documents.TOML >> 10} KiB",
            "columns of CSV or TSV": f"{delimited.COLUMNS:,}",
            "an item's text, id, title or description": f"{items.LONGEST:,} characters",
            "a title that an id is made of": f"{values.LONGEST_QUERY:,} characters",
            "a number": f"{values.LONGEST_NUMBER:,} digits",
            "a query on standard input": f"{QUERY >> 10} KiB",
            "a file of judgments, of TREC's queries, of qrels": f"{text_file.WHOLE >> 20} MiB",
            "the arrays of `explain --save`": f"{saved.LARGEST >> 30} GiB",
            "a file of `--projections`": f"{learned.LONGEST >> 20} MiB",
            "a request in a file of judgments": f"{values.LONGEST_QUERY:,} characters",
            "a heatmap": f"{cells.MOST_ROWS:,} requests; {cells.MOST_CELLS:,} cells; {heatmap.MOST_CELLS:,} in a page",
            "the wait for another writer that makes no progress": f"{WAIT:.0f} seconds; then the command exits with 3",
        }

    def test_every_public_name_is_there(self):
        listed = section(self.text, "## Python")
        for name in attnsearch.__all__:
            assert re.search(rf"\b{name}\b", listed), name
            assert getattr(attnsearch, name).__doc__
        assert set(attnsearch.__all__) <= set(dir(attnsearch))
        with pytest.raises(AttributeError, match="no attribute 'nobody'"):
            _ = attnsearch.nobody


def fields(value: Any, free: set[str]) -> Iterator[str]:
    """The names of a JSON value's fields, but not within those in `free`, which come from the data."""
    if isinstance(value, list):
        for part in value:
            yield from fields(part, free)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            if name not in free:
                yield from fields(part, free)


def assert_alike(expected: Any, real: Any) -> None:
    """Check JSON as the reference shows it: numbers to four digits, no times; "…" shortens a text or a list."""
    if isinstance(expected, dict):
        assert list(expected) == list(real)
        for name in expected.keys() - {"elapsed_ms"}:
            assert_alike(expected[name], real[name])
    elif isinstance(expected, list):
        assert "…" in expected or len(expected) == len(real)
        for expected_part, real_part in zip(expected, real, strict=False):
            assert_alike(expected_part, real_part)
    elif isinstance(expected, str) and expected.endswith("…"):
        assert real.startswith(expected.removesuffix("…"))
    elif isinstance(expected, float):
        assert real == pytest.approx(expected, rel=1e-4)
    else:
        assert expected == real


class TestHouse:
    table = rows(section((ROOT / "CONTRIBUTING.md").read_text(), "## The house"))

    def test_every_folder_in_order(self):
        from tests.test_house import HOUSE

        names = [name for cells in self.table for name in re.findall(r"\[(\w+)\]", cells[0])]
        assert names == list(HOUSE)

    def test_each_sentence_is_the_folders_own(self):
        for cells in self.table[1:]:
            (name,) = re.findall(r"\[(\w+)\]", cells[0])
            own = (ROOT / "attnsearch" / name / "__init__.py").read_text().removeprefix('"""')
            assert own.casefold().startswith(f"{cells[1]}.".casefold()), name

    def test_links_to_itself(self):
        for cells in self.table:
            for name, path in re.findall(r"\[(\w+)\]\(attnsearch/(\w+)(?:\.py)?\)", cells[0]):
                assert name == path


class TestPicture:
    @pytest.mark.real
    def test_the_heatmap_is_what_its_command_draws(self, tmp_path):
        """The figures and the names; where they stand depends on matplotlib and the fonts."""
        terminal = Terminal(tmp_path)
        assert terminal.run(HEATMAP) == (0, "", "")
        files = (ROOT / "docs" / "heatmap.svg", tmp_path / "heatmap.svg")
        texts = ["".join(f"{text}\n" for text in ET.parse(file).getroot().itertext()) for file in files]
        assert texts[0].count("\n") > 80
        assert is_shown(*texts)


class TestText:
    def test_the_readme_is_short(self):
        lines = README.read_text().splitlines()
        assert len(lines) <= 150
        assert max(map(len, lines)) <= WIDE

    def test_contributing_is_a_page(self):
        assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 100

    @by_name
    def test_lines_fit(self, document):
        """Except rows of tables, which can't be wrapped."""
        lines = [line for line in document.read_text().splitlines() if not line.startswith("|")]
        assert [line for line in lines if len(line) > WIDE] == []

    @by_name
    def test_links_lead_somewhere(self, document):
        for target in re.findall(r"\]\(([^)]+)\)", unfenced(document.read_text())):
            if target.startswith(("https://", "http://")):
                continue
            path, _, anchor = target.partition("#")
            file = (document.parent / path).resolve() if path else document
            assert file.exists(), target
            if anchor:
                assert anchor in anchors(file), target

    def test_the_numbers_of_the_library(self):
        """The outputs and the text name the same catalog that ships."""
        listed = (ROOT / "catalogs" / "library.yaml").read_text()
        items = len(re.findall(r"^  - id: |^- id: |^  - title: |^- title: ", listed, re.MULTILINE))
        assert f"{items} items · " in README.read_text()
        assert f"library of {items} books" in (ROOT / "docs" / "attention.md").read_text()


class TestNames:
    def test_tests_that_are_named_exist(self):
        """reliability.md names the test of each promise."""
        text = (ROOT / "docs" / "reliability.md").read_text()
        named = re.findall(r"`(test_\w+)(?:::(\w+))?`", text)
        assert len(named) > 20
        for module, name in named:
            texts = [file.read_text() for file in (ROOT / "tests").rglob(f"{module}.py")]
            pattern = rf"^(?:def|class) {name}\b" if name else ""
            assert any(re.search(pattern, text, re.MULTILINE) for text in texts), f"{module}::{name}"
        for name in re.findall(r"`torture/(\w+)`", text):
            assert name in HARNESSES

    @by_name
    def test_code_that_is_named_exists(self, document):
        """`folder/file` or `folder/file.name`, of a folder of the package."""
        folders = "|".join(path.name for path in (ROOT / "attnsearch").iterdir() if path.is_dir())
        for path, name in re.findall(rf"`((?:{folders})/\w+)(?:\.py|\.(\w+))?`", document.read_text()):
            file = ROOT / "attnsearch" / f"{path}.py"
            assert file.is_file(), path
            assert not name or re.search(rf"^(?:def |class )?{name}\b", file.read_text(), re.MULTILINE), (
                f"{path}.{name}"
            )


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
