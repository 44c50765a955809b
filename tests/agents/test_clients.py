"""Configurations of clients, read as the clients read them."""

from __future__ import annotations

import json
import shlex
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.agents import clients
from attnsearch.agents.clients import CLIENTS, Start
from attnsearch.errors import InputError

NAMES = [client.name for client in CLIENTS]
READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
START = Start(["/opt/x y/attnsearch", "mcp", "-c", "my shop"], {"ATTNSEARCH_HOME": '/h "é\\'})


def server_of(client: clients.Client, text: str) -> dict[str, Any]:
    """The entry of attnsearch in a configuration."""
    servers = READERS[client.form](text)[client.servers]
    return servers[0] if isinstance(servers, list) else servers["attnsearch"]


@pytest.mark.parametrize("client", CLIENTS, ids=NAMES)
def test_the_command_and_its_variables(client):
    entry = server_of(client, clients.configure(client, START))
    command = [entry.get("command") or entry["cmd"], *entry["args"]]
    assert command == START.words
    assert (entry.get("env") or entry["envs"]) == START.variables


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.url], ids=lambda client: client.name)
@pytest.mark.parametrize("url", ["http://127.0.0.1:8400", "https://shop.example/find/"])
def test_the_address_of_a_server(client, url):
    text = clients.configure(client, url)
    entry = server_of(client, text)
    assert entry[client.url] == f"{url.rstrip('/')}/mcp"
    is_far = "shop.example" in url
    assert ("Bearer" in text or clients.TOKEN in text) is is_far
    assert ("token" in clients.explain_place(client, url)) is is_far


def test_a_client_without_addresses():
    with pytest.raises(InputError, match="Claude Desktop takes no address; leave out --url"):
        clients.configure(clients.find_client("claude-desktop"), "http://127.0.0.1:8400")


@given(st.lists(TEXTS, max_size=3), st.dictionaries(st.sampled_from(["A_B", "C"]), TEXTS, max_size=2))
def test_any_words(texts, variables):
    start = Start(
        ["attnsearch", *texts], {key: value.encode(errors="ignore").decode() for key, value in variables.items()}
    )
    for client in CLIENTS:
        assert server_of(client, clients.configure(client, start))["args"] == texts


@pytest.mark.parametrize(
    ("name", "client"),
    [("cursor", "cursor"), ("Claude Code", "claude-code"), ("VS Code", "vscode"), ("gemini cli", "gemini"),
     ("CODEX", "codex"), ("claude_desktop", "claude-desktop")],
)  # fmt: skip
def test_names(name, client):
    assert clients.find_client(name).name == client


@pytest.mark.parametrize(
    ("name", "hint"),
    [("crusor", "did you mean 'cursor'?"), ("vsc", "did you mean 'vscode'?"), ("emacs", "one of: claude-code")],
)
def test_unknown_names(name, hint):
    with pytest.raises(InputError) as caught:
        clients.find_client(name)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("url", "address", "is_local"),
    [
        ("http://localhost:8400/mcp", "http://localhost:8400/mcp", True),
        ("http://[::1]:8400/", "http://[::1]:8400/mcp", True),
        ("https://localhost.example", "https://localhost.example/mcp", False),
        ("http://127.0.0.1.example/a/mcp/", "http://127.0.0.1.example/a/mcp", False),
    ],
)
def test_addresses(url, address, is_local):
    assert clients.check_url(url) == (address, is_local)


@pytest.mark.parametrize(
    "url", ["", "localhost:8400", "file:///x", "http://", "http://a b", "http://u:p@x/", "http://x/?q"]
)
def test_what_is_no_address(url):
    with pytest.raises(InputError, match="is not the address of a server"):
        clients.check_url(url)


def test_the_sentence_names_the_file_and_the_command():
    says = clients.explain_place(clients.find_client("claude-code"), START)
    assert says.startswith("for Claude Code: .mcp.json of a project; or run: claude mcp add attnsearch -- ")
    assert shlex.split(says.partition(" -- ")[2]) == START.words
