"""What went wrong → the error object of the command line, and a fitting status.

It gives away nothing of the machines: of a path, it has only the last part.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from attnsearch.cluster.part import VersionsError
from attnsearch.errors import AttnsearchError, CatalogError, InputError, ModelError
from attnsearch.opening.items import UnknownItemError
from attnsearch.output.safe_text import short
from attnsearch.storage.failures import MissingError
from attnsearch.storage.files import home_folder
from attnsearch.wire.requests import QueryRequest

_PATH = re.compile(r"(?<![\w.:/~])(?:~|/)[^\s'\"`,;:]*/[^\s'\"`,;:]*|(?<=')/[^']*(?=')")

# What names other machines, and what stands for it.
_MACHINES = {
    re.compile(r"(?:tcp|tls)://[^\s,;]*[^\s,;:]"): "the cluster",
    re.compile(r"the worker \S+:\d+"): "a worker",
}

# Options that our errors name, and what they are called here.
_PARAMETERS = {f"--{name.replace('_', '-')}": name for name in QueryRequest.model_fields}
_PARAMETERS |= {"--top-k": "k", "--value": "values", "--prior": "priors"}
_OPTION = re.compile(rf"(?<![\w'-])(?:{'|'.join(sorted(_PARAMETERS, key=len, reverse=True))})(?![\w'-])")

_OWNER = re.compile(
    r"\bbelongs to [^;]*; set ATTNSEARCH_HOME .*"
)  # for whoever started the server, not for its clients

_REFUSED = {404: "no such address", 405: "this address does not take that method"}

STATUS: dict[type[AttnsearchError], int] = {
    UnknownItemError: 404,
    MissingError: 404,
    VersionsError: 503,
    InputError: 400,
    CatalogError: 503,
    ModelError: 503,
}


def status_of(problem: AttnsearchError) -> int:
    """The status of HTTP that fits an error."""
    return next((status for kind, status in STATUS.items() if isinstance(problem, kind)), 500)


def as_json(problem: AttnsearchError) -> dict[str, Any]:
    """The error object, as docs/reference.md describes it, without paths and users of this machine."""
    texts = (problem.message, _OWNER.sub("belongs to another user", problem.hint))
    message, hint = (short(_hide_paths(_name_parameters(text), problem)) for text in texts)
    return {"error": {"code": int(problem.code), "message": message, "hint": hint}}


def _name_parameters(text: str) -> str:
    """The text with parameters in the place of options of the command line."""
    return _OPTION.sub(lambda match: f"'{_PARAMETERS[match[0]]}'", text)


def _hide_paths(text: str, problem: AttnsearchError) -> str:
    """The text with the last part of each path, and without other machines.

    What a client wrote may look like a path, and stays as it is.
    """
    for folder in (home_folder(), home_folder().resolve()):
        text = text.replace(f"{folder}{os.sep}", "")
    if isinstance(problem, InputError) and not isinstance(problem, VersionsError):
        return text
    for machine, name in _MACHINES.items():
        text = machine.sub(name, text)
    return _PATH.sub(lambda match: Path(match[0]).name, text)


def of_status(status: int) -> InputError:
    """The error for what is refused before any of our code runs, such as an unknown address."""
    hint = "/openapi.json describes what there is"
    return InputError(_REFUSED.get(status, "the request can't be answered"), hint=hint)
