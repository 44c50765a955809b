from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.storage import home


@pytest.mark.parametrize("name", ["library", "my books", "a", "Ünïcode-1.2_x", "a" * 64])
def test_valid_names(name):
    assert home.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "a.", "@x", "a\nb", "a\0", "-x", "a" * 65, " a"]
)
def test_invalid_names(name):
    with pytest.raises(InputError, match="can't be a catalog's name"):
        home.check_name(name)


def test_no_other_is_built_in():
    assert home.built_in_file("../catalogs/library") is None
