"""Fixtures of the audit tests, which read files written by the library."""

from tests.support.logfiles import logs

__all__ = ["logs"]
