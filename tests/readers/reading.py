"""How the tests of files of tables read one, or see it refused."""

from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import records
from attnsearch.syntax.formats import Reading


def read(path, **options):
    return list(records.read_records(str(path), reading=Reading(**options)).items)


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")
