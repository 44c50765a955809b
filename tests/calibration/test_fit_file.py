"""What was fitted, on disk: what comes back, and what is refused."""

from __future__ import annotations

import json
import math

import pytest

from attnsearch.attention.null_key import NullKey
from attnsearch.calibration import fit_file
from attnsearch.calibration.fit_file import Fit, forget_fit, pack_fit, read_fit, write_fit
from attnsearch.calibration.fitting import Fitted, Mean
from attnsearch.errors import CatalogError, InputError

FITTED = Fitted(
    0.02, NullKey(3.5, 1.25, 0.02), 381, Mean(0.3, 0.2, 0.4), Mean(0.9, 0.88, 0.92), {"library": 0.9, "kitchen": 0.8}
)
FIT = Fit("a model", "2026-01-02T03:04:05+00:00", FITTED)
NONE = FIT._replace(fitted=FITTED._replace(null=None))


@pytest.fixture
def file(tmp_path):
    return tmp_path / ".fits" / "ab.json"


@pytest.mark.parametrize("fit", [FIT, NONE], ids=["null key", "none"])
def test_what_is_written_comes_back(file, fit):
    write_fit(file, fit)
    assert read_fit(file) == fit
    assert [path.name for path in file.parent.iterdir()] == ["ab.json"]


def test_a_file_is_replaced_whole(file, monkeypatch):
    write_fit(file, FIT)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(CatalogError, match="No space"):
            write_fit(file, NONE)
    assert read_fit(file) == FIT
    assert [path.name for path in file.parent.iterdir()] == ["ab.json"]


def test_every_byte_counts(file):
    """A changed byte is seen, or changes nothing: blanks between the words of JSON."""
    raw = pack_fit(FIT)
    file.parent.mkdir()
    seen = 0
    for place in range(0, len(raw), 3):
        file.write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
        try:
            assert read_fit(file) == FIT
        except ValueError:
            seen += 1
    assert seen > len(raw) / 4


@pytest.mark.parametrize("length", [0, 1, 50, -2])
def test_a_shortened_file_is_refused(file, length):
    file.parent.mkdir()
    file.write_bytes(pack_fit(FIT)[:length])
    with pytest.raises(ValueError, match="not what was written"):
        read_fit(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0},
        {"temperature": math.nan},
        {"temperature": True},
        {"temperature": 10.0},
        {"null": [math.inf, 1.0]},
        {"null": [1.0, -1.0]},
        {"null": [1.0, 0.0]},
        {"null": [10**400, 1.0]},
        {"null": [1.0]},
        {"null": "ab"},
        {"model": 3},
        {"model": "\ud800"},
        {"when": None},
        {"requests": -1},
        {"requests": 1.5},
        {"gain": [0.1, math.nan, 0.2]},
        {"accuracy": None},
        {"accuracies": {"library": 2.0}},
        {"accuracies": [0.5]},
        {"form": "1"},
        {"surplus": 1},
    ],
    ids=str,
)
def test_what_no_fit_gives_is_refused_even_with_its_checksum(file, wrong):
    members = json.loads(pack_fit(FIT))["fit"] | wrong
    file.parent.mkdir()
    file.write_text(json.dumps({"fit": members, "sum": fit_file._compute_checksum(members)}))
    with pytest.raises(ValueError, match="not what was written"):
        read_fit(file)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"fit": [], "sum": ""}', "[" * 10_000, "x" * (1 << 17)], ids=len)
def test_another_file_is_refused(file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ValueError, match="not what was written"):
        read_fit(file)


def test_a_newer_form_is_refused(file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fit_file, "FORM", fit_file.FORM + 1)
        write_fit(file, FIT)
    with pytest.raises(InputError, match="newer"):
        read_fit(file)


def test_links_are_not_followed(file, tmp_path):
    write_fit(tmp_path / "other", FIT)
    file.parent.mkdir()
    file.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        read_fit(file)


def test_forgetting(file):
    assert not forget_fit(file)
    write_fit(file, FIT)
    assert forget_fit(file)
    assert not file.exists()
