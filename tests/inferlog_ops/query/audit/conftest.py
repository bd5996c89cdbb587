"""These tests look at what the library writes."""

from tests.support.logfiles import logs

__all__ = ["logs"]
