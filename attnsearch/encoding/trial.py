"""An encoder, tried in a process of its own: a model's tokenizer may abort its process, or never return.

Only an unknown model is tried, when a catalog is indexed with it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnsearch.encoding.encoder import Encoder, Precision, parts_of
from attnsearch.encoding.loading import build, check_dims, check_prompts
from attnsearch.encoding.passages import split_passages
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import ModelError
from attnsearch.models.faults import model_errors
from attnsearch.models.model import Model
from attnsearch.models.use import Use, Wanted, check_wanted

QUICK, SLOW = 12, 180  # seconds for the texts, in numpy and with torch, which takes up to a minute to load
WEIGHTS = 50 << 20  # bytes of weights that are read in a second, at least
MEMORY = 4 << 30  # bytes beside the weights

TEXTS = (
    *(
        "",
        " ",
        "a",
        "moon",
        "Science fiction, 1984.",
        "naïve Straße İstanbul ﬁ Ⅷ",
        "日本の小説 🚀",
        "שלום \u202e \x00\x07",
    ),
    *("[CLS] [SEP] [UNK] <s> </s>", "a" * 64 + "!", "x" * 2_000, " " * 2_000, "word " * 400, "1" * 200, "\u0301" * 50),
)

# The process imports what its parent would, and nothing from the working directory.
_PROGRAM = """
import json, sys
job = json.loads(sys.argv[1])
sys.path[:] = job.pop("path")
from attnsearch.encoding import trial
problem = trial.attempt(**job)
sys.stdout.write("\\n" + json.dumps(problem))
"""

log = logging.getLogger("attnsearch")


def open_wanted(
    load: Callable[[Wanted], Encoder], wanted: Wanted, *, unless: Callable[[str], bool], offline: bool
) -> tuple[Encoder, Wanted]:
    """The encoder that `load` makes of what is wanted, tried out as by `try_out`; and what is wanted as a use has it.

    Raises InputError for an invalid prompt or number of dims, and as `load` and `try_out` do.
    """
    check_wanted(wanted)
    encoder = load(wanted._replace(dims=None))
    try_out(encoder, unless=unless)
    if wanted.dims is not None:
        wanted = wanted._replace(dims=check_dims(encoder, wanted.dims, offline=offline))
        encoder = load(wanted)
    check_prompts(encoder)
    return encoder, wanted


def try_out(encoder: Encoder, *, unless: Callable[[str], bool]) -> None:
    """Embed some short texts in another process, unless the model is known, or `unless` is true of its identity.

    Of several heads, each has a process of its own. Raises ModelError if that fails, ends the process, or takes too
    long.
    """
    for part in parts_of(encoder):
        _try_out(part, unless)


def _try_out(encoder: Encoder, unless: Callable[[str], bool]) -> None:
    model = encoder.model
    if model.is_known or unless(model.identity):
        return
    if isinstance(encoder, SentenceEncoder):
        encoder.check_installed()
    log.info("trying the model %s in a process of its own (once)", model.name)
    weights = sum(status.st_size for status in model.files.values())
    limit = (QUICK if encoder.quick else SLOW) + weights // WEIGHTS
    job = {
        "path": sys.path,
        "name": model.name,
        "folder": str(model.folder),
        "quick": encoder.quick,
        "precision": encoder.precision,
        "use": encoder.use._replace(dims=0),  # the model may be narrower, which is for others to say
        "memory": MEMORY + 4 * weights,
        "seconds": limit * (os.cpu_count() or 1),
    }
    argv = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(job)]
    try:
        out = subprocess.check_output(  # noqa: S603 (our own words, in Python's own interpreter)
            argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=limit
        )
    except subprocess.TimeoutExpired:
        message = f"did not embed {len(TEXTS)} short texts within {limit} seconds"
        raise ModelError(message, where=model.name, hint="its tokenizer may never return; use another model") from None
    except subprocess.CalledProcessError as error:
        message = f"ended the process that tried it ({_describe_end(error.returncode)})"
        raise ModelError(message, where=model.name, hint="its files may be broken; use another model") from None
    except OSError as error:
        raise ModelError(f"can't be tried in a process of its own: {error.strerror}", where=model.name) from None
    if problem := json.loads(out.splitlines()[-1]):
        raise ModelError(problem)


def attempt(
    name: str, folder: str, *, quick: bool, precision: Precision, use: Sequence[Any], memory: int, seconds: int
) -> str:
    """Embed the texts in this process: the message of the ModelError that they cause, or ""."""
    _limit(memory, seconds)
    encoder = build(Model(name, Path(folder)), quick=quick, precision=precision, use=Use(*use))
    try:
        with model_errors("fails on short texts", name):
            for text in TEXTS:
                split_passages(encoder, "", text)
            encoder.encode([text for text in TEXTS if text.strip()])
    except ModelError as error:
        return error.message
    return ""


def _limit(memory: int, seconds: int) -> None:
    """Let this process use so many bytes of memory and seconds of processors, and leave no core behind.

    The system ends it even when its parent was killed and no longer waits for it. Not every system can.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _describe_end(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"
