"""structlog and Python's own logging, set up to write JSON lines that carry the request's ids."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from inferlog.context import inference_at_hand
from inferlog.line import line_document
from inferlog.server_lines import OWN_LOGGERS, ids_of, message_of

WriteLine = Callable[[dict[str, Any]], None]


def get_logger(name: str = "", **initial_values: Any) -> FilteringBoundLogger:
    """
    Return a structlog logger. Its lines carry the ids of the request during which they are written.

    ``log.info("model.loaded", seconds=1.2)`` writes ``{"message": "model.loaded", "labels": {"seconds": 1.2}, …}``.
    """
    if name:
        initial_values["logger_name"] = name
    logger: FilteringBoundLogger = structlog.get_logger(**initial_values)
    return logger


def install(level: str, *, capture_stdlib: bool, write: WriteLine) -> None:
    """Have structlog, and with *capture_stdlib* Python's loggers, hand their lines to *write*."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _to_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(write),
        cache_logger_on_first_use=False,
    )
    _remove_handlers()
    if capture_stdlib:
        root = logging.getLogger()
        root.setLevel(level.upper())
        handler = StdlibHandler(write)
        handler.setLevel(level.upper())
        for logger in (root, *_loggers_of_servers()):
            if handler not in logger.handlers:  # gunicorn's worker gives several loggers one list
                logger.addHandler(handler)


def uninstall() -> None:
    """Set structlog and Python's root logger back to how they are without this library."""
    structlog.reset_defaults()
    _remove_handlers()
    logging.getLogger().setLevel(logging.WARNING)


def _remove_handlers() -> None:
    for logger in (logging.getLogger(), *map(logging.getLogger, OWN_LOGGERS)):
        for handler in [handler for handler in logger.handlers if isinstance(handler, StdlibHandler)]:
            logger.removeHandler(handler)


def _loggers_of_servers() -> list[logging.Logger]:
    """Return the loggers that a web server writes with itself: what it has switched off stays off."""
    loggers = [logging.getLogger(name) for name in OWN_LOGGERS]
    return [logger for logger in loggers if logger.handlers and not logger.propagate]


class _LineLogger:
    """End of the chain: takes the finished document, whatever the level's method is called."""

    def __init__(self, write: WriteLine) -> None:
        self._write = write

    def msg(self, line: dict[str, Any]) -> None:
        self._write(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def _to_line(_: WrappedLogger, __: str, event_dict: EventDict) -> tuple[tuple[dict[str, Any]], dict[str, Any]]:
    """Turn structlog's event dictionary into the line's document."""
    values = dict(event_dict)
    line = line_document(
        values.pop("event", ""),
        level=values.pop("level"),
        logger=str(values.pop("logger_name", "") or "app"),
        error=_exception(values.pop("exc_info", None)),
        values=values,
        inference=inference_at_hand(),
    )
    return (line,), {}


def _exception(exc_info: Any) -> BaseException | None:
    """Return the exception that ``exc_info`` means, in any of the forms that logging calls take."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) == 3 else None
    return sys.exc_info()[1] if exc_info else None


class StdlibHandler(logging.Handler):
    """Writes what libraries say through Python's ``logging`` as lines of the same form."""

    def __init__(self, write: WriteLine) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; a record that cannot be formatted goes the way of ``logging.raiseExceptions``."""
        try:
            self._write(
                line_document(
                    message_of(record),
                    level=record.levelname.lower(),
                    logger=record.name,
                    values={**_extras(record), **ids_of(record)},
                    error=_exception(record.exc_info),
                    inference=inference_at_hand(),
                )
            )
        except Exception:  # noqa: BLE001 (logging's own contract: a handler does not raise into the service)
            self.handleError(record)


_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
