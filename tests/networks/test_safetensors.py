"""Files written by hand as the form says, and files of the safetensors library."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnsearch.errors import ModelError
from attnsearch.networks.safetensors import pack, unpack
from attnsearch.networks.weights import read_weights

TYPES = {"f4": "F32", "f2": "F16", "i8": "I64", "u2": "BF16", "u1": "U8", "f8": "F64", "i4": "I32", "i1": "I8"}


def write_tensors(path, tensors, metadata=None):
    """A safetensors file, written as the form says, without the library."""
    header, data = {}, b""
    for name, x in tensors.items():
        header[name] = {"dtype": TYPES[x.dtype.str[1:]], "shape": list(x.shape),
                        "data_offsets": [len(data), len(data) + x.nbytes]}  # fmt: skip
        data += x.tobytes()
    text = json.dumps({"__metadata__": {"format": "pt"}, **header} if metadata is None else metadata).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def arrays():
    rng = np.random.default_rng(7)
    shapes = {"a": (3, 4), "b": (5,), "scalar": (), "empty": (0, 2), "last": (2, 1, 3)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_library_reads_what_we_read(tmp_path, arrays):
    from safetensors.numpy import load_file

    path = write_tensors(tmp_path / "x", {**arrays, "half": np.arange(6, dtype=np.float16)})
    ours, theirs = read_weights(path), load_file(path)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert all(ours[name].dtype == theirs[name].dtype for name in theirs)


def test_the_library_reads_what_we_write(tmp_path, arrays):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    path = tmp_path / "x"
    path.write_bytes(pack(arrays, {"who": "söme one"}))
    theirs = load_file(path)
    assert theirs.keys() == arrays.keys()
    assert all(np.array_equal(arrays[name], theirs[name]) for name in arrays)
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"who": "söme one"}


def test_there_and_back(arrays):
    raw = np.frombuffer(pack(arrays, {"k": "v"}), np.uint8)
    tensors = unpack(raw)
    assert tensors.metadata == {"k": "v"}
    assert list(tensors.arrays) == list(arrays)
    assert all(np.array_equal(arrays[name], tensors.arrays[name]) for name in arrays)
    assert np.shares_memory(tensors.arrays["a"], raw)


def test_a_header_longer_than_allowed(arrays):
    raw = np.frombuffer(pack(arrays, {"k": "v" * 100}), np.uint8)
    length = int.from_bytes(raw[:8].tobytes(), "little")
    unpack(raw, longest=length)
    with pytest.raises(ValueError, match="its header is longer"):
        unpack(raw, longest=length - 1)


ENTRY = '{"dtype": "F32", "shape": [1], "data_offsets": [%d, %d]}'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (f'{{"a": {ENTRY % (0, 4)}, "a": {ENTRY % (4, 8)}}}', "a name is used twice"),
        (f'{{"a": {ENTRY % (0, 4)}, "b": {ENTRY % (0, 4)}}}', "its offsets overlap, or leave a hole"),
        (f'{{"a": {ENTRY % (4, 8)}}}', "its offsets overlap, or leave a hole"),
        (f'{{"a": {ENTRY % (0, 12)}}}', "its offsets point past its end"),
        (f'{{"a": {ENTRY % (0, 4)}}}', "it has data that no tensor uses"),
        ('{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}', "a shape of 3 numbers, but 8 bytes"),
        ('{"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}', "2 is not a list of whole numbers"),
        ('{"a": {"dtype": "F32", "shape": [2]}}', "its header is invalid: 'data_offsets'"),
        ("[]", "its header is invalid"),
    ],
)
def test_what_is_wrong_with_a_header(header, message):
    raw = len(header).to_bytes(8, "little") + header.encode() + bytes(8)
    with pytest.raises(ValueError, match=message):
        unpack(np.frombuffer(raw, np.uint8))


def test_other_types_are_left_out(tmp_path):
    path = write_tensors(tmp_path / "x", {"a": np.ones(2, np.float32), "flags": np.ones(2, np.uint8)})
    assert list(read_weights(path)) == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\xff" * 8,
        (1 << 62).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{{",
        (4).to_bytes(8, "little") + b"null",
    ],
)
def test_no_header(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        read_weights(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1, 1 << 62], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 7]},
        {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": "08"},
        {"dtype": "F32", "shape": [2]},
        {"shape": [2], "data_offsets": [0, 8]},
        "nothing",
        None,
    ],
)
def test_a_header_that_lies(tmp_path, entry):
    path = write_tensors(tmp_path / "x", {"a": np.ones(2, np.float32)}, metadata={"a": entry})
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        read_weights(path)
