"""What was fitted to an encoder ↔ a file beside the catalogs, which all of them use.

The file is JSON: {"fit": {…}, "sum": "…"}. It belongs to an encoder's files, prompts and width: see `files.fit_file`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attnsearch.attention.null_key import NullKey
from attnsearch.calibration.fitting import HIGHEST, LOWEST, Fitted, Mean
from attnsearch.errors import InputError
from attnsearch.models.use import Use
from attnsearch.storage import checksum
from attnsearch.storage.failures import writing
from attnsearch.storage.files import open_to_read, replace_file, sync

FORM = 1

_LONGEST = 1 << 16  # bytes of a file
_LARGEST = 1e6  # of a logit, or a sharpness
_MOST_REQUESTS = 1_000_000

log = logging.getLogger("attnsearch")


class Fit(NamedTuple):
    """What was fitted to the encoder of the model called `model`, and when (ISO 8601, UTC)."""

    model: str
    when: str
    fitted: Fitted

    @property
    def temperature(self) -> float:
        """The temperature τ."""
        return self.fitted.temperature

    @property
    def null(self) -> NullKey | None:
        """The null key."""
        return self.fitted.null

    def describe_accuracy(self) -> str:
        """How well the null key tells held-out requests with an answer from those without, in words."""
        mean, low, high = self.fitted.accuracy
        verdict = "" if self.null else ", no better than chance"
        return f"{mean:.1%} right ({low:.1%} to {high:.1%}){verdict}"


def write_fit(file: Path, fit: Fit) -> None:
    """Replace the file with a fit, atomically. Raises CatalogError if it can't be written."""
    with writing(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, pack_fit(fit))


def pack_fit(fit: Fit) -> bytes:
    """The bytes of the file with a fit."""
    fitted = fit.fitted
    members = {
        "form": FORM,
        "model": fit.model,
        "when": fit.when,
        **fitted._asdict(),
        "null": fitted.null and fitted.null[:2],
    }
    return json.dumps({"fit": members, "sum": _compute_checksum(members)}, indent=1).encode()


def read_fit(file: Path) -> Fit:
    """The fit in a file.

    Raises OSError, InputError if it has a newer form, ValueError if it is not what was written.
    """
    with open_to_read(file) as stream:
        raw = stream.read(_LONGEST + 1)
    try:
        if len(raw) > _LONGEST:
            raise ValueError("it is too long")
        whole = json.loads(raw)
        members = whole["fit"]
        if whole["sum"] != _compute_checksum(members):
            raise ValueError("wrong checksum")
        if members.pop("form") > FORM:
            raise InputError("was fitted by a newer attnsearch", where=str(file), hint="upgrade attnsearch")
        return _parse(members)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is not what was written ({error})") from None


def command_to_calibrate(model: str, use: Use | None) -> str:
    """The command that fits the encoder of a model with a use, as a catalog records it.

    >>> command_to_calibrate("./mine", Use("find: ", "", 64))
    "attnsearch calibrate --model ./mine --query-prompt 'find: ' --key-prompt '' --dims 64"
    """
    import shlex  # which a query does without

    words = ["attnsearch", "calibrate", "--model", model]
    if use is not None:
        words += ["--query-prompt", use.query_prompt, "--key-prompt", use.key_prompt]
        words += ["--dims", str(use.dims)] if use.dims else []
    return shlex.join(words)


def load_fit(file: Path | None, model: str, use: Use | None) -> Fit | None:
    """The fit in a file, to the encoder of the model called `model` with this use; None if there is no file.

    A file that can't be used counts as missing, with a warning.
    """
    if file is None:
        return None
    try:
        return read_fit(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
    except InputError as error:
        problem = f"{error.message}, and is not used; {error.hint}"
    except ValueError as error:
        problem = f"{error}, and is not used; fit it again: {command_to_calibrate(model, use)}"
    log.warning("%s: %s", file, problem)
    return None


def forget_fit(file: Path) -> bool:
    """Delete a file with a fit; return whether there was one. Raises CatalogError if it can't be deleted."""
    with writing(file, "deleted"):
        if not (file.is_symlink() or file.exists()):
            return False
        file.unlink(missing_ok=True)
        sync(file.parent)
    return True


def _parse(members: dict[str, Any]) -> Fit:
    """The fit in these members. Raises ValueError or TypeError for what no fit gives."""
    temperature, null = members.pop("temperature"), members.pop("null")
    if not (_is_number(temperature) and LOWEST <= temperature <= HIGHEST):
        raise ValueError("its temperature is not one that can be fitted")
    if null is not None:
        logit, sharpness = null
        if not (all(map(_is_number, null)) and abs(logit) <= _LARGEST and 0 < sharpness <= _LARGEST):
            raise ValueError("its null key is not one that can be fitted")
        null = NullKey(float(logit), float(sharpness), float(temperature))
    model, when = members.pop("model"), members.pop("when")
    for text in (model, when):
        if type(text) is not str:
            raise TypeError("its texts are not text")
        text.encode()
    gain, accuracy = (_parse_mean(members.pop(name)) for name in ("gain", "accuracy"))
    fitted = Fitted(float(temperature), null, gain=gain, accuracy=accuracy, **members)
    if type(fitted.requests) is not int or not 0 <= fitted.requests <= _MOST_REQUESTS:
        raise ValueError("its requests are not a number of requests")
    _check_accuracies(fitted.accuracies)
    return Fit(model, when, fitted)


def _parse_mean(numbers: list[float]) -> Mean:
    if not all(map(_is_number, numbers)):
        raise TypeError("a mean is not a number")
    return Mean(*map(float, numbers))


def _check_accuracies(accuracies: Mapping[str, float]) -> None:
    if not isinstance(accuracies, dict):
        raise TypeError("its accuracies are not a mapping")
    for name, accuracy in accuracies.items():
        name.encode()
        if not (_is_number(accuracy) and 0 <= accuracy <= 1):
            raise ValueError("an accuracy is not a share")


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _compute_checksum(members: Mapping[str, Any]) -> str:
    return str(checksum.row_checksum(json.dumps(members, sort_keys=True)))
