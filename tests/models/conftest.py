"""The fixtures of the encoders."""

from tests.encoding.conftest import copy, static

__all__ = ["copy", "static"]
