"""The arrays of equation (1) → a file of NumPy, from which a few lines of numpy give every number that was printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.storage.failures import writing
from attnsearch.storage.files import refuse_unless_regular, replacing

ENDING = ".npz"


def check_file(file: Path) -> None:
    """Raise InputError unless arrays can be saved as this file: a regular one, called FILE.npz."""
    if file.suffix.lower() != ENDING:
        raise InputError(f"--save writes arrays of NumPy, not '{file.name}'", hint=f"name it {file.stem}{ENDING}")
    refuse_unless_regular(file)


def save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Save arrays of numbers or texts by their names, whole or not at all; `numpy.load` reads them without pickle.

    Raises InputError as `check_file` does, CatalogError if the file can't be written, TypeError for arrays of objects.
    """
    check_file(file)
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"arrays of objects would be pickled: {', '.join(objects)}")
    with writing(file), replacing(file) as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]  # its other parameter is none of ours
