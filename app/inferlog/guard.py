"""What fails in the instrumentation stays in the instrumentation: the service does not notice."""

import logging
from contextlib import suppress

_LOGGER = logging.getLogger("inferlog")


def note_failure(what: str, error: Exception) -> None:
    """Say in the log *what* of the instrumentation did not work. Never raises."""
    with suppress(Exception):
        _LOGGER.warning("inferlog.failed: %s", what, exc_info=error)
