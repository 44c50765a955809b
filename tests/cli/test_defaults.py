"""Defaults of options: what the environment and the user's file may say, and what wins."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperArgument

from attnsearch.cli import defaults
from attnsearch.cli.app import COMMANDS, app_for
from attnsearch.cli.defaults import long_name, may_have_default, variable_name
from attnsearch.errors import InputError

GROUP = typer.main.get_command(app_for([]))


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write the user's file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "attnsearch" / "config.toml"
    file.parent.mkdir(parents=True)

    def config(text: str | bytes) -> Path:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return config


def parsed(name, *argv):
    """The options of a command as these words leave them."""
    parent = typer.Context(GROUP, info_name="attnsearch", obj=COMMANDS)
    context = GROUP.commands[name].make_context(name, list(argv), parent=parent, resilient_parsing=False)
    return context.params


def titles(ran):
    assert (ran.code, ran.err) == (0, "")
    return [hit["title"] for hit in json.loads(ran.out)["hits"]]


@pytest.fixture
def ask(run, shop):
    """Ask the shop of three items."""
    return lambda *words: run("query", "moon", "-c", "shop", "--json", *words)


class TestWhatWins:
    def test_the_command_line_then_the_environment_then_the_file(self, ask, config, monkeypatch):
        assert len(titles(ask())) == 3
        config("[query]\ntop-k = 1\n")
        assert len(titles(ask())) == 1
        monkeypatch.setenv("ATTNSEARCH_QUERY_TOP_K", "2")
        assert len(titles(ask())) == 2
        assert len(titles(ask("-k", "3"))) == 3
        monkeypatch.setenv("ATTNSEARCH_QUERY_TOP_K", "")
        assert len(titles(ask())) == 1

    def test_a_flag_is_turned_off(self, config, monkeypatch):
        config("[query]\nexplain = true\n")
        assert parsed("query")["explain"]
        assert not parsed("query", "--no-explain")["explain"]
        monkeypatch.setenv("ATTNSEARCH_QUERY_EXPLAIN", "no")
        assert not parsed("query")["explain"]
        assert parsed("query", "--explain")["explain"]

    @pytest.mark.parametrize(
        ("file", "argv", "shown"),
        [
            ("format = 'json'", ["-f", "csv"], {"format_": "csv", "json": False}),
            ("format = 'csv'", ["--json"], {"format_": None, "json": True}),
            ("format = 'csv'", ["--jsonl"], {"format_": None, "jsonl": True}),
            ("temperature = 0.1", ["--textbook"], {"temperature": None, "textbook": True}),
            ("textbook = true", ["--temperature", "0.1"], {"temperature": 0.1, "textbook": False}),
            ("projections = '/x'", ["--untrained"], {"projections": None, "untrained": True}),
            ("temperature = 0.1", ["--untrained"], {"temperature": 0.1, "untrained": True}),
        ],
    )
    def test_what_excludes_a_default(self, config, file, argv, shown):
        config(f"[query]\n{file}\n")
        assert shown.items() <= parsed("query", *argv).items()

    def test_a_variable_excludes_a_default_of_the_file(self, config, monkeypatch):
        config("[query]\ntemperature = 0.1\n")
        monkeypatch.setenv("ATTNSEARCH_QUERY_TEXTBOOK", "1")
        assert parsed("query")["temperature"] is None

    def test_two_defaults_that_exclude_each_other(self, run, shop, config):
        config("[query]\ntemperature = 0.1\ntextbook = true\n")
        assert run("query", "moon").err.startswith("attnsearch: --textbook and --temperature exclude each other; ")

    def test_a_command_has_only_its_own(self, config):
        config("[explain]\ntop-k = 1\n[eval]\ntop-k = 2\n")
        assert [parsed("explain", "x")["top_k"], parsed("eval", "x")["top_k"]] == [1, 2]
        assert parsed("query")["top_k"] is None

    def test_the_catalog_of_the_environment_wins_over_that_of_the_file(self, config, monkeypatch):
        config("[query]\ncatalog = 'file'\n")
        assert list(parsed("query")["catalog"]) == ["file"]
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "variable")
        assert not parsed("query")["catalog"]
        monkeypatch.setenv("ATTNSEARCH_QUERY_CATALOG", "own")
        assert list(parsed("query")["catalog"]) == ["own"]

    def test_a_query_without_its_command(self, run, shop, config):
        config("[query]\ntop-k = 1\ncatalog = 'shop'\n")
        assert len(titles(run("moon sea", "--json"))) == 1


SAMPLES = {"int": 3, "float": 0.5, "str": "x", "flag": True}


class TestValues:
    @pytest.mark.parametrize(
        ("name", "option"),
        [
            (name, long_name(option))
            for name, command in GROUP.commands.items()
            for option in command.params
            if long_name(option) and may_have_default(option)
        ],
    )
    def test_every_option_takes_them_from_both(self, config, monkeypatch, name, option):
        """Whatever its type: the file and the environment give what the command line does."""
        command = GROUP.commands[name]
        if option in ("json", "jsonl") and "format" in map(long_name, command.params):
            return  # whose default is that of --format
        (parameter,) = (parameter for parameter in command.params if long_name(parameter) == option)
        kind = "flag" if parameter.is_flag else parameter.type.name.split()[0]
        value = getattr(parameter.type, "choices", [SAMPLES.get(kind, "/x")])[0]
        words = ["x"] * sum(isinstance(part, TyperArgument) and part.required for part in command.params)
        expected = parsed(name, f"--{option}" if parameter.is_flag else f"--{option}={value}", *words)
        config(f"[{name}]\n{option} = {json.dumps(value)}\n")
        assert parsed(name, *words) == expected
        config("")
        monkeypatch.setenv(variable_name(name, option), str(value))
        assert parsed(name, *words) == expected

    def test_several(self, config, monkeypatch):
        """A list in the file, a line each in the environment: a filter has blanks."""
        both = ["year > 1990", "genre = poetry"]
        config(f"[query]\nwhere = {json.dumps(both)}\n")
        assert list(parsed("query")["where"]) == both
        config("[query]\nwhere = 'year > 1990'\n")
        assert list(parsed("query")["where"]) == both[:1]
        monkeypatch.setenv("ATTNSEARCH_QUERY_WHERE", "\n".join(both))
        assert list(parsed("query")["where"]) == both

    def test_a_weight_may_be_a_number_or_auto(self, config):
        for text in ("0.5", "1", "'auto'"):
            config(f"[query]\nlexical = {text}\n")
            assert parsed("query")["lexical"] == text.strip("'")

    def test_a_path_means_the_same_everywhere(self, config, monkeypatch):
        monkeypatch.setenv("HOME", "/home/x")
        config("[query]\nprojections = '~/p'\n")
        assert parsed("query")["projections"] == "/home/x/p"


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("[serach]\nx = 1\n", ": there is no command 'serach'; see 'attnsearch docs reference'"),
            ("[qurey]\n", ": there is no command 'qurey'; did you mean 'query'?"),
            ("top-k = 1\n", ": 'top-k' stands outside of a command; write the command above it, such as [query]"),
            ("[query]\ntop_k = 1\n", ": query.top_k: 'query' has no option 'top_k'; did you mean 'top-k'?"),
            ("[query]\nlimit = 1\n", ": query.limit: 'query' has no option 'limit'; did you mean 'top-k'?"),
            ("[query]\nk = 1\n", ": query.k: 'query' has no option 'k'; did you mean 'top-k'?"),
            ("[query]\ntext = 'x'\n", ": query.text: 'query' has no option 'text'; did you mean 'textbook'?"),
            ("[query]\ntop-k = '1'\n", ": query.top-k: is not a whole number"),
            ("[query]\ntop-k = 1.5\n", ": query.top-k: is not a whole number"),
            ("[query]\ntop-k = true\n", ": query.top-k: is not a whole number"),
            ("[query]\ntop-k = [1]\n", ": query.top-k: is not a whole number"),
            ("[query]\ntop-k = 0\n", ": query.top-k: 0 is not at least 1"),
            ("[query]\ntop-p = 'x'\n", ": query.top-p: is not a number"),
            ("[query]\ntop-p = 2\n", ": query.top-p: 2.0 is not from 0 to 1"),
            ("[query]\nexplain = 1\n", ": query.explain: is not true or false"),
            ("[query]\nformat = true\n", ": query.format: is not a text"),
            ("[query]\ncatalog = 2020-01-01\n", ": query.catalog: is not a text"),
            ("[query]\nwhere = [true]\n", ": query.where: is not a text"),
            ("[query]\njson = true\n", ": query.json: --json has no default; set 'format' to \"json\""),
            ("[query]\nprojections = 'x'\n", ": query.projections: 'x' is a relative path; write one that begins"),
            ("[query]\nversion = true\n", ": query.version: --version has no default; give it on the command line"),
            ("[query\n", ":1: not TOML: expected ']' at the end of a table declaration"),
            ("[query]\n\ntop-k\n", ":3: not TOML: expected '=' after a key in a key/value pair"),
            ("[query]\nx = [[" + "[" * 5000, ": not TOML: nested too deep"),
            ("[query]\ntop-k = " + "9" * 5000, ": a whole number with thousands of digits"),
            (b"[query]\n# \xff\n", ":2: not UTF-8; save the file as UTF-8"),
            ("#" * (1 << 20) + "\n", ": is larger than 1 MiB"),
        ],
    )
    def test_the_file(self, run, config, home, text, error):
        file = config(text)
        code, out, message = run("query", "moon", "-k", "1")
        assert (code, out) == (2, "")
        assert message.startswith(f"attnsearch: {file}{error}")
        assert message.count("\n") == 1
        assert not home.exists()
        assert run("query", "--help").code == run("--version").code == run("query", "-V").code == 0

    @pytest.mark.parametrize(
        ("variable", "value", "error"),
        [
            ("TOP_K", "x", "'x' is not a whole number"),
            ("TOPK", "1", "'query' has no option 'topk'; did you mean 'ATTNSEARCH_QUERY_TOP_K'?"),
            ("LIMIT", "1", "'query' has no option 'limit'; did you mean 'ATTNSEARCH_QUERY_TOP_K'?"),
            ("EXPLAIN", "perhaps", "'perhaps' is not true or false"),
            ("JSON", "1", "--json has no default; set 'ATTNSEARCH_QUERY_FORMAT' to \"json\""),
        ],
    )
    def test_the_environment(self, run, monkeypatch, variable, value, error):
        monkeypatch.setenv(f"ATTNSEARCH_QUERY_{variable}", value)
        assert run("query", "moon") == (2, "", f"attnsearch: ATTNSEARCH_QUERY_{variable}: {error}\n")
        assert run("list").code == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("format = 'xml'", "invalid --format 'xml'; use one of table, json, jsonl, csv, tsv, md, html"),
            ("temperature = 0", "invalid temperature 0; give a number of at least 0.000001, such as 0.05"),
            ("catalog = 'zzz'", "there is no catalog 'zzz'; 'attnsearch list' shows what there is"),
            ("catalog = 'z & z'", "there is no catalog 'z & z'; 'attnsearch list' shows what there is"),
            (
                "lexical = 'x'",
                "invalid value for '--lexical': 'x' is not a number; give --lexical a number, such as 0.3",
            ),
        ],
    )
    def test_an_error_of_the_command_names_the_default(self, run, config, text, message):
        file = config(f"[query]\n{text}\n")
        key = text.partition(" ")[0]
        assert run("query", "moon").err == f"attnsearch: {message}; the default is from {file}: query.{key}\n"

    def test_other_errors_do_not(self, run, config):
        config("[query]\nformat = 'csv'\n")
        assert "default" not in run("query", " ").err


class TestSafety:
    def test_nothing_that_guards_against_a_loss_has_a_default(self, run, config, monkeypatch):
        guards = {"all", "force", "remove", "repair", "yes"}
        commands = GROUP.commands.items()
        options = [(name, long_name(option)) for name, command in commands for option in command.params]
        pairs = [pair for pair in options if pair[1] in guards]
        assert len(pairs) >= 3
        for name, option in pairs:
            config(f"[{name}]\n{option} = true\n")
            code, _, error = run(name, "x")
            assert code == 2
            assert f"{name}.{option}: --{option} has no default; give it on the command line" in error
            config("")
            with monkeypatch.context() as patch:
                patch.setenv(variable_name(name, option), "1")
                assert run(name, "x").err.startswith(f"attnsearch: {variable_name(name, option)}: --{option} has no ")

    def test_no_two_variables_are_the_same(self):
        variables = [
            variable_name(name, long_name(option))
            for name, command in GROUP.commands.items()
            for option in command.params
            if long_name(option)
        ]
        own = {"ATTNSEARCH_HOME", "ATTNSEARCH_CATALOG", "ATTNSEARCH_DEBUG", "ATTNSEARCH_VERSION"}
        assert len(set(variables)) == len(variables)
        assert not own & set(variables)
        for one, other in itertools.permutations(GROUP.commands, 2):
            assert not variable_name(one, "").startswith(variable_name(other, "")), (one, other)

    def test_a_variable_of_all_commands_is_none_of_an_option(self, run, monkeypatch):
        """`ATTNSEARCH_VERSION`, which a packager may set, would else print the version, whatever was asked."""
        monkeypatch.setenv("ATTNSEARCH_VERSION", "1")
        monkeypatch.setenv("ATTNSEARCH_INSTALL_COMPLETION", "1")
        assert run("list").out.startswith("name")


class TestWhereTheFileLies:
    @pytest.fixture
    def file(self, tmp_path, monkeypatch):
        """The file in the home folder, where the environment names no other."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CONFIG_HOME")
        path = tmp_path / ".config" / "attnsearch" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text("[query]\ntop-k = 7\n")
        return path

    @pytest.mark.parametrize("folder", [None, "", "config", "./config", "~/config"])
    def test_a_relative_folder_counts_as_none(self, file, tmp_path, monkeypatch, folder):
        if folder is not None:
            monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        (tmp_path / "config" / "attnsearch").mkdir(parents=True)
        (tmp_path / "config" / "attnsearch" / "config.toml").write_text("[query]\ntop-k = 8\n")
        monkeypatch.chdir(tmp_path)
        assert parsed("query")["top_k"] == 7

    @pytest.mark.parametrize("home", ["relative", "", "/nonexistent"])
    def test_no_home(self, file, tmp_path, monkeypatch, home):
        monkeypatch.setenv("HOME", home)
        monkeypatch.chdir(tmp_path)
        assert defaults.config_file() is None or defaults.config_file().is_absolute()

    def test_a_folder_that_may_not_be_read(self, file, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "stat", refuse)
        assert defaults.config_file() is None

    def test_a_file_that_may_not_be_read(self, file, run, monkeypatch):
        def refuse(*args):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("attnsearch.storage.files.os.open", refuse)
        with pytest.raises(InputError, match=re.escape(f"{file}: Permission denied")):
            defaults.read_config(file)

    @pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
    def test_something_else_in_its_place(self, file, run, kind):
        file.unlink()
        if kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to("nothing")
        code, _, error = run("query", " ")
        expected = "the query is empty" if kind == "link to nothing" else f"{file}: "
        assert code == 2
        assert error.startswith(f"attnsearch: {expected}")


def test_toml_is_loaded_only_for_a_file(tmp_path):
    program = "import sys; from attnsearch.cli import main; main(['list']); print('tomllib' in sys.modules)"
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    for loaded in ("False", "True"):
        ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        assert ran.stdout.splitlines()[-1] == loaded
        (tmp_path / "attnsearch").mkdir(exist_ok=True)
        (tmp_path / "attnsearch" / "config.toml").write_text("")


def test_completion_is_silent_about_a_wrong_file(config, monkeypatch, capsys, run):
    config("[query\n")
    monkeypatch.setenv("_ATTNSEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "attnsearch query --exp")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        run()
    out, err = capsys.readouterr()
    assert (out.split(), err) == (["--explain"], "")
