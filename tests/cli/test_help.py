"""The help of every command: one form, one order, within the window."""

from __future__ import annotations

import re

import pytest
import typer
from typer.core import TyperArgument, TyperOption

from attnsearch.cli.app import COMMANDS, app_for
from attnsearch.cli.help import ARGUMENTS, paragraphs, render, sections
from attnsearch.terminal.options import OUTPUT, PANELS

GROUP = typer.main.get_command(app_for([]))
CONTEXT = typer.Context(GROUP, info_name="attnsearch", help_option_names=["-h", "--help"])
ALL = {"": GROUP, **GROUP.commands}
by_command = pytest.mark.parametrize("name", ALL, ids=lambda name: name or "attnsearch")


def context(name):
    return typer.Context(GROUP.commands[name], info_name=name, parent=CONTEXT) if name else CONTEXT


def shown(name, kind):
    """The parameters of one kind that the help of a command shows."""
    parameters = ALL[name].get_params(context(name))
    return [parameter for parameter in parameters if isinstance(parameter, kind) and not parameter.hidden]


@by_command
@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 100])
def test_no_line_is_wider_than_the_window(run, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = run(*filter(None, [name]), "--help").out
    assert max(map(len, out.splitlines())) <= width
    assert "\x1b" not in out


@by_command
@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_word_is_lost(name, width):
    letters = "".join(render(ALL[name], context(name), width=width).split())
    for section in sections(ALL[name], context(name)):
        for term, text in section.rows:
            assert "".join(f"{term}{text}".split()) in letters
    for part in paragraphs(ALL[name].help):
        assert "".join("".join(part).split()) in letters


def test_the_help_of_a_query_fits_on_60_lines(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert len(run("query", "--help").out.splitlines()) <= 60


@by_command
def test_panels_have_one_order(name):
    titles = [section.title for section in sections(ALL[name], context(name))]
    assert len(set(titles)) == len(titles)
    if name:
        order = [ARGUMENTS, *PANELS]
        assert titles == [title for title in order if title in titles]
        assert titles[-1] == OUTPUT


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_names_its_panel(name):
    assert [option.name for option in shown(name, TyperOption) if option.rich_help_panel not in PANELS] == []


@by_command
def test_each_value_has_a_metavar_of_ours(name):
    """Without one, typer shows its types: `<int range>`."""
    for option in shown(name, TyperOption):
        assert option.is_flag or option.metavar, option.name
    for argument in shown(name, TyperArgument):
        assert re.fullmatch(r"[A-Z|]+(\.\.\.)?", argument.metavar), argument.name


@by_command
def test_what_may_be_given_several_times_is_marked(name):
    for argument in shown(name, TyperArgument):
        assert (argument.nargs == -1) == argument.metavar.endswith("..."), argument.name
    for option in shown(name, TyperOption):
        assert option.multiple == ("Repeatable." in option.help), option.name


@by_command
def test_each_text_is_a_sentence_with_its_default_in_one_form(name):
    for parameter in shown(name, (TyperArgument, TyperOption)):
        assert parameter.help.endswith((".", ")")), parameter.help
        if "default" in parameter.help:
            shown_default = re.search(r"(?<=\. )\(default: ([^()]+)\)\Z", parameter.help)
            assert shown_default, parameter.help
            if re.fullmatch(r"-?[\d.]+", shown_default[1]):
                assert float(shown_default[1]) == parameter.default
        elif isinstance(parameter, TyperOption):
            assert not parameter.default, parameter.name


@by_command
def test_examples_stay_whole(name):
    """At the width of a usual window, so that they can be copied."""
    examples = [text for part in paragraphs(ALL[name].help) if isinstance(part, list) for text in part]
    assert all("attnsearch " in text for text in examples)
    lines = render(ALL[name], context(name), width=80).splitlines()
    assert [text for text in examples if len(text) <= 78 and f"  {text}" not in lines] == []


def test_a_sentence_ends_a_run_of_examples():
    assert list(paragraphs("Do it.\n\nattnsearch a\n\nattnsearch b\n\nOr\nthis.\n\nattnsearch c")) == [
        "Do it.",
        ["attnsearch a", "attnsearch b"],
        "Or this.",
        ["attnsearch c"],
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_common_options_are_taken_everywhere(name):
    """In the help or not: scripts give them to any command."""
    names = {option for parameter in ALL[name].params for option in parameter.opts}
    assert {"-q", "--quiet", "--offline", "--color"} <= names
    assert "--json" not in names or {"-f", "--format"} <= names


def test_common_options_that_change_nothing(run, shop):
    table = run("info", "shop")
    assert table.code == 0
    assert run("info", "shop", "-q", "--offline", "--color", "never", "-f", "table") == table
    assert run("info", "shop", "-f", "json") == run("info", "shop", "--json")
    assert run("info", "shop", "-f", "csv").err == "attnsearch: invalid --format 'csv'; use one of table, json\n"
    assert "'sometimes' is not one of" in run("remove", "shop", "--color", "sometimes").err
