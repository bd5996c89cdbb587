"""These tests look at what the library writes."""

from logfiles import logs

__all__ = ["logs"]
