"""Fixtures of the library's tests."""

from tests.support.logfiles import logs

__all__ = ["logs"]
