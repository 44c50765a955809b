"""A program that uses tools → the lines of its configuration that start `attnsearch mcp`, or ask a server.

Nothing is written: each program has files of its own, with other settings in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from attnsearch.errors import InputError
from attnsearch.syntax.nearest import find_nearest

TOKEN = "ATTNSEARCH_SERVE_TOKEN"  # noqa: S105 (the name of a variable)
_NAME = "attnsearch"

_VARIABLE = f"it takes the token that 'attnsearch serve' prints from the variable {TOKEN}"
_ASKED = "it asks for the token that 'attnsearch serve' prints"

_URL = re.compile(r"(?i)https?://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(?P<path>(/[^\s?#]*)?)")
_UNPRINTED = re.compile(
    "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
)  # TOML or YAML take these only escaped
_LOOPBACK = re.compile(r"(?i)localhost|127(\.\d{1,3}){3}|\[::1\]")


class Client(NamedTuple):
    """A program: its file, and what it calls things there.

    `servers` is the key of all servers. `kind` has the types of a local and a remote server, empty if it wants none;
    `url` is the key of an address, empty if it takes none. `bearer` stands for the token in a header, and `needs` says
    where the client gets it. `more` is a way without the file.
    """

    name: str
    title: str
    file: str
    form: str = "json"
    servers: str = "mcpServers"
    kind: tuple[str, str] = ("", "")
    url: str = "url"
    bearer: str = "TOKEN"
    needs: str = "put the token that 'attnsearch serve' prints in the place of TOKEN"
    more: str = ""


CLIENTS = (
    Client("claude-code", "Claude Code", ".mcp.json of a project", kind=("stdio", "http"), bearer=f"${{{TOKEN}}}",
           needs=_VARIABLE, more="or run: claude mcp add attnsearch -- {command}"),
    Client("claude-desktop", "Claude Desktop",
           "claude_desktop_config.json, which Settings > Developer > Edit Config opens", url=""),
    Client("cursor", "Cursor", "~/.cursor/mcp.json, or .cursor/mcp.json of a project", bearer=f"${{env:{TOKEN}}}",
           needs=_VARIABLE),
    Client("vscode", "VS Code", ".vscode/mcp.json of a project, or the file of 'MCP: Open User Configuration'",
           servers="servers", kind=("stdio", "http"), bearer="${input:attnsearch-token}", needs=_ASKED),
    Client("windsurf", "Windsurf", "~/.codeium/windsurf/mcp_config.json", url="serverUrl", bearer=f"${{env:{TOKEN}}}",
           needs=_VARIABLE),
    Client("zed", "Zed", "settings.json", servers="context_servers"),
    Client("gemini", "Gemini CLI", "~/.gemini/settings.json", url="httpUrl", bearer=f"${TOKEN}", needs=_VARIABLE),
    Client("codex", "Codex", "~/.codex/config.toml", form="toml", servers="mcp_servers", needs=_VARIABLE),
    Client("continue", "Continue", ".continue/mcpServers/attnsearch.yaml of a project", form="yaml",
           kind=("stdio", "streamable-http")),
    Client("goose", "Goose", "~/.config/goose/config.yaml", form="yaml", servers="extensions",
           kind=("stdio", "streamable_http"), url="uri"),
)  # fmt: skip


class Start(NamedTuple):
    """How a client starts a server: the words of the command, and the variables that it needs."""

    words: Sequence[str]
    variables: Mapping[str, str] = {}


def find_client(name: str) -> Client:
    """The client of this name. Raises InputError with the nearest one."""
    key = re.sub(r"[\s_]+", "-", name.strip().casefold())
    known = {client.name: client for client in CLIENTS} | {client.title.casefold().replace(" ", "-"): client
                                                           for client in CLIENTS}  # fmt: skip
    if key in known:
        return known[key]
    near = find_nearest(key, known)
    names = ", ".join(client.name for client in CLIENTS)
    hint = f"did you mean '{known[near[0]].name}'?" if near else f"one of: {names}"
    raise InputError(f"there is no configuration for '{name[:80]}'", hint=hint)


def check_url(url: str) -> tuple[str, bool]:
    """The address of a server's /mcp, and whether only this machine reaches it. Raises InputError."""
    match = _URL.fullmatch(url.strip())
    if not match:
        raise InputError(f"'{url[:200]}' is not the address of a server", hint="such as http://127.0.0.1:8400/mcp")
    path = match["path"].rstrip("/")
    address = match[0][: match.start("path") - match.start()] + (path if path.endswith("/mcp") else f"{path}/mcp")
    return address, _LOOPBACK.fullmatch(match["host"]) is not None


def configure(client: Client, start: Start | str) -> str:
    """The lines of a client's configuration, for a server that it starts, or for one at an address."""
    entry = _address(client, start) if isinstance(start, str) else _command(client, start)
    if client.form == "toml":
        return _as_toml({f"{client.servers}.{_NAME}": entry})
    if client.name == "continue":
        of_project = {"name": _NAME, "version": "0.0.1", "schema": "v1", client.servers: [{"name": _NAME, **entry}]}
        return _as_yaml(of_project)
    if client.name == "goose":
        return _as_yaml({client.servers: {_NAME: {"name": _NAME, "enabled": True, **entry, "timeout": 300}}})
    document: dict[str, Any] = {client.servers: {_NAME: entry}}
    if client.name == "vscode" and "headers" in entry:
        asked = {"type": "promptString", "id": "attnsearch-token", "description": "Token of attnsearch serve",
                 "password": True}  # fmt: skip
        document = {"inputs": [asked], **document}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def explain_place(client: Client, start: Start | str) -> str:
    """Where the lines go, and what else they need, in one sentence."""
    parts = [f"for {client.title}: {client.file}"]
    if not isinstance(start, str) and client.more:
        import shlex

        parts.append(client.more.format(command=shlex.join(start.words)))
    if isinstance(start, str) and not check_url(start)[1]:
        parts.append(client.needs)
    return "; ".join(parts)


def _command(client: Client, start: Start) -> dict[str, Any]:
    command, *args = start.words
    kind = {"type": client.kind[0]} if client.kind[0] else {}
    if client.name == "goose":
        return {**kind, "cmd": command, "args": args, "envs": dict(start.variables)}
    env = {"env": dict(start.variables)} if start.variables else {}
    return {**kind, "command": command, "args": args, **env}


def _address(client: Client, start: str) -> dict[str, Any]:
    url, is_local = check_url(start)
    if not client.url:
        hint = "leave out --url: it starts attnsearch itself"
        raise InputError(f"the configuration of {client.title} takes no address", hint=hint)
    entry: dict[str, Any] = {"type": client.kind[1]} if client.kind[1] else {}
    entry[client.url] = url
    if is_local:
        return entry
    if client.name == "codex":
        return {**entry, "bearer_token_env_var": TOKEN}
    headers = {"Authorization": f"Bearer {client.bearer}"}
    if client.name == "continue":
        return {**entry, "requestOptions": {"headers": headers}}
    return {**entry, "headers": headers}


def _as_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, lists of texts, and tables of texts as TOML, whose texts are JSON's but for one escape."""
    lines = []
    for name, table in tables.items():
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        lines += [f"[{name}]", *(f"{key} = {_text(value)}" for key, value in table.items() if key not in inner)]
        for key, values in inner.items():
            lines += ["", f"[{name}.{key}]", *(f"{word} = {_text(value)}" for word, value in values.items())]
    return "\n".join([*lines, ""])


def _as_yaml(document: Mapping[str, Any], indent: str = "") -> str:
    """Mappings, and lists of them, in blocks; all else as JSON, which is YAML."""
    text = ""
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            text += f"{indent}{key}:\n{_as_yaml(value, indent + '  ')}"
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            text += f"{indent}{key}:\n"
            for part in value:
                text += f"{indent}  - {_as_yaml(part, indent + '    ').lstrip()}"
        else:
            text += f"{indent}{key}: {_text(value)}\n"
    return text


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
