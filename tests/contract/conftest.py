"""Contract tests read the library's output."""

from tests.support.logfiles import logs

__all__ = ["logs"]
