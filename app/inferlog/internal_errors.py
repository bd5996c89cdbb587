"""What fails in the instrumentation stays in the instrumentation: the service does not notice."""

import logging
from contextlib import suppress

_LOGGER = logging.getLogger("inferlog")
_warned: set[tuple[str, str]] = set()


def log_failure(what: str, error: Exception) -> None:
    """Say in the log *what* of the instrumentation did not work. Never raises."""
    with suppress(Exception):
        _LOGGER.warning("inferlog.failed: %s", what, exc_info=error)


def warn_once(message: str, about: str = "", **details: object) -> None:
    """
    Log *message* as a warning, the first time for the same *about* since :func:`forget_warnings`. Never raises.

    Args:
        message: One sentence; names the cause and the call that helps.
        about: Subject of the warning, such as a field's name, where one process may need several.
        **details: Labels of the line: those of the first time.
    """
    if (message, about) in _warned:
        return
    _warned.add((message, about))
    with suppress(Exception):
        _LOGGER.warning(message, extra=({"about": about} if about else {}) | details)


def forget_warnings() -> None:
    """Let every warning be logged again: a new configuration has a log of its own."""
    _warned.clear()
