"""An encoder → its temperature and null key, fitted to the catalogs that we ship when they are first needed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from attnsearch.attention.null_key import FITTED
from attnsearch.calibration.fit_file import Fit, command_to_calibrate, read_fit, write_fit
from attnsearch.calibration.fitting import fit
from attnsearch.calibration.shipped import Progress, compare, read_shipped
from attnsearch.encoding.encoder import Encoder, parts_of, record_use
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.models.record import identify
from attnsearch.storage.files import fit_file

log = logging.getLogger("attnsearch")


def calibrate(encoder: Encoder, progress: Progress | None = None) -> Fit:
    """Fit the first head of an encoder, and write its file.

    Raises ModelError as encoding does, CatalogError and InputError if a shipped file, or the fit's, has a problem.
    """
    first = parts_of(encoder)[0]
    fitted = fit(compare(read_shipped(), first, progress))
    made = Fit(first.model.name, datetime.now(UTC).isoformat(timespec="seconds"), fitted)
    write_fit(file_of(first), made)
    return made


def calibrate_if_new(encoder: Encoder, progress: Progress | None = None) -> None:
    """Fit an encoder that was not fitted yet, and whose null key is not shipped.

    A failure is a warning, and the next call tries again. A fit of a newer attnsearch is left alone.
    """
    first = parts_of(encoder)[0]
    if first.model.sha256 in FITTED and record_use(first) is None:
        return
    try:
        read_fit(file_of(first))
    except InputError:
        pass
    except (OSError, ValueError):
        _calibrate_or_warn(first, progress)


def file_of(encoder: Encoder) -> Path:
    """The file of the fit to the first head of an encoder, its prompts and its width; it may not be there."""
    first = parts_of(encoder)[0]
    return fit_file(identify(first.model.identity, record_use(first)))


def _calibrate_or_warn(encoder: Encoder, progress: Progress | None) -> None:
    name = encoder.model.name
    log.warning("fitting the temperature and the null key of %s to the built-in catalogs (once)", name)
    try:
        made = calibrate(encoder, progress)
    except AttnsearchError as error:
        hint = f"try again: {command_to_calibrate(name, record_use(encoder))}"
        log.warning("%s has no null key of its own yet: %s; %s", name, error.message, hint)
        return
    except KeyboardInterrupt:
        log.warning("what was indexed is stored; the next index fits %s", name)
        raise
    if made.null is None:
        log.warning("%s: none of these is unknown: on held-out requests, %s", name, made.describe_accuracy())
