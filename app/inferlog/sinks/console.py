"""A short copy of events and log lines for the developer at the terminal, by structlog's own renderer."""

import logging
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import orjson
from structlog.dev import ConsoleRenderer, plain_traceback

from inferlog.server_lines import OWN_LOGGERS

STREAMS: Final = frozenset({"events", "app"})
"""Streams that a developer reads: not heartbeats, and not prompts and answers."""

_LEVEL_OF_STATUS: Final = {"success": "info", "rejected": "warning", "cancelled": "warning", "error": "error"}
_REQUEST_ID_CHARACTERS: Final = 8
_ERROR_CHARACTERS: Final = 200
_RENDERER_KEYS: Final = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "stack", "exception", "exc_info"}
)


class ConsoleSink:
    """
    Writes each line to standard error for a human. Never raises, never waits.

    What the terminal does not take at once is left out there, as while it is stopped by Ctrl-S: the record of truth
    has it. Control characters are shown as escapes, so that no value commands the terminal.
    """

    copies_dropped = 0

    def __init__(self) -> None:
        self._render = ConsoleRenderer(0, colors=_has_colors(), sort_keys=False, exception_formatter=plain_traceback)
        self._terminal = _open_terminal()
        self._torn = False

    def write(self, line: bytes) -> bool:
        """Show *line*. Return True: a terminal that is gone is not a loss of events."""
        with suppress(Exception):  # closed, taken away, or full: nothing of it is the service's fault
            document = orjson.loads(line)
            values = _line_values(document) if "log" in document else _event_values(document)
            if values is not None:
                self._show(f"{self._render(None, '', values)}\n")
        return True

    def close(self) -> None:
        """Release the terminal. A later line goes to standard error as it is then."""
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def detach_after_fork(self) -> None:
        """Release, in a forked child, what belongs to the parent."""
        self.close()

    def _show(self, text: str) -> None:
        if self._terminal is None:
            if _takes_text():
                sys.stderr.write(text)
                sys.stderr.flush()
            return
        line = ("\n" + text if self._torn else text).encode("utf-8", "replace")
        self._torn = os.write(self._terminal, line) < len(line)


def _open_terminal() -> int | None:
    """Open the terminal of standard error again, so as not to wait for it: others write to the one that is open."""
    try:
        name = os.ttyname(sys.stderr.fileno())
        return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError, AttributeError):
        return None


def is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # taken away, or closed
        return False


def _has_colors() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _takes_text() -> bool:
    try:
        descriptor = sys.stderr.fileno()
    except OSError:
        return True  # replaced by an object in memory
    return bool(select.select((), (descriptor,), (), 0)[1])


def _event_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an event that a developer looks at."""
    usage = document.get("gen_ai", {}).get("usage", {})
    http = document.get("http", {})
    values = {
        "version": document.get("model_version"),
        "status": document["status"],
        "latency_ms": _milliseconds(document.get("latency_seconds")),
        "first_token_ms": _milliseconds(document.get("time_to_first_token_seconds")),
        "tokens_in": usage.get("input_tokens"),
        "tokens_out": usage.get("output_tokens"),
        "route": http.get("route"),
        "code": http.get("response", {}).get("status_code"),
    }
    return _rendered(document, values, level=_LEVEL_OF_STATUS[document["status"]], text=document["event"]["action"])


def _line_values(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of a log line that a developer looks at; None if its server shows it already."""
    log = document["log"]
    if log["logger"] in OWN_LOGGERS and _server_shows(log["logger"]):
        return None
    rendered = _rendered(document, {}, level=log["level"], text=document["message"], logger=log["logger"])
    stack_trace = document.get("error", {}).get("stack_trace")
    if stack_trace is not None:
        rendered["exception"] = "\n".join(map(_printable, stack_trace.split("\n")))
    return rendered


def _rendered(
    document: Mapping[str, Any], values: Mapping[str, Any], *, level: str, text: str, **more: str
) -> dict[str, Any]:
    error = document.get("error", {})
    head = {
        "timestamp": datetime.fromisoformat(document["@timestamp"]).astimezone().strftime("%H:%M:%S"),
        "level": level,
        "event": text,
        **more,
        **{name: value for name, value in values.items() if value is not None},
    }
    tail = {}
    if error:
        tail["error"] = ": ".join(filter(None, (error.get("type"), error.get("message"))))[:_ERROR_CHARACTERS]
    if "request_id" in document:
        tail["request"] = document["request_id"][-_REQUEST_ID_CHARACTERS:]
    taken = _RENDERER_KEYS | head.keys() | tail.keys()
    labels = {f"{name}_" if name in taken else name: value for name, value in document.get("labels", {}).items()}
    return {
        _printable(name): _printable(value) if isinstance(value, str) else value
        for name, value in {**head, **labels, **tail}.items()
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _server_shows(name: str) -> bool:
    """Return whether a web server writes the lines of its logger *name* to the terminal by itself."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.name != "root":
        if any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
            return True
        logger = logger.parent
    return False


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
