"""The workshop, which makes each model once for all tests."""

from __future__ import annotations

import pytest

from tests.networks.made import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("models"))
