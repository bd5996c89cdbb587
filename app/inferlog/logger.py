"""structlog and Python's own logging, set up to write JSON lines that carry the request's ids."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, cast

import structlog
from structlog.typing import Context, EventDict, FilteringBoundLogger, Processor, WrappedLogger

from inferlog.event import STATUS_OF_ACTION
from inferlog.internal_errors import log_failure
from inferlog.server_lines import OWN_LOGGERS, ids_of, message_of

_LEVELS: Final = logging.getLevelNamesMapping()
_LEVEL_OF_METHOD: Final = {
    **{name: name for name in ("debug", "info", "warning", "error", "critical")},
    "msg": "info",
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
}


class Writer(Protocol):
    """
    Takes log lines.

    Attributes:
        lowest_level: Lines below this number of ``logging`` are not written.
    """

    @property
    def lowest_level(self) -> int: ...  # noqa: D102 (as above)

    def log(
        self, message: Any, *, level: str, logger: str, values: Mapping[str, Any], error: BaseException | None
    ) -> None:
        """Write one line. Never raises."""


def _nobody() -> Writer:
    raise RuntimeError("inferlog.configuration connects the loggers when it is imported")


_writer: Callable[[], Writer] = _nobody


def connect(writer: Callable[[], Writer]) -> None:
    """
    Have all loggers hand their lines to the *writer* of the moment, and the library's own warnings with them.

    It is called at each line: a logger that a module binds when it is imported writes to the same place as all others.
    """
    global _writer  # noqa: PLW0603 (loggers are made before there is a configuration)
    _writer = writer
    own = logging.getLogger("inferlog")
    if not any(isinstance(handler, StdlibHandler) for handler in own.handlers):
        own.addHandler(StdlibHandler())


def get_logger(name: str = "", **initial_values: Any) -> FilteringBoundLogger:
    """
    Return a structlog logger. Its lines carry the ids of the request during which they are written.

    ``log.info("model.loaded", seconds=1.2)`` writes ``{"message": "model.loaded", "labels": {"seconds": 1.2}, …}``.
    ``log.info("inference_completed", model_version="v3", latency_seconds=0.84, status=200)`` writes an inference event,
    as :func:`inferlog.record_inference` does; so do ``inference_rejected``, ``inference_failed`` and
    ``inference_cancelled`` with ``latency_seconds``, whatever the level. Inside a request they add to its event.

    A logger may be made before :func:`inferlog.configure`.
    """
    return cast("FilteringBoundLogger", BoundLogger(_LineLogger(name), _PROCESSORS, initial_values))


class BoundLogger(structlog.BoundLoggerBase):
    """
    structlog's logger with every name free for the caller's values, and the level looked up at each line.

    ``log.info("webhook", event=1, level=2)`` has both in its labels. A call never raises.
    """

    def __init__(self, logger: WrappedLogger, processors: Any, context: Context) -> None:
        super().__init__(logger, processors, _without_event(dict(context)))

    def log(self, level: int, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line at *level*, a number of ``logging``."""
        self._write(level, _name_of(level), event, args, values)

    async def alog(self, level: int, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line from a thread, so that the event loop does not wait for the disk."""
        await _in_a_thread(partial(self._write, level, _name_of(level), event, args, values))

    def exception(self, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line about the exception that is being handled."""
        self._write(logging.ERROR, "error", event, args, {"exc_info": True} | values)

    async def aexception(self, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Do the same from a thread, where the exception is not being handled."""
        values = {"exc_info": True} | values
        if values["exc_info"] is True:
            values["exc_info"] = sys.exc_info()
        await _in_a_thread(partial(self._write, logging.ERROR, "error", event, args, values))

    def is_enabled_for(self, level: int) -> bool:
        """Return whether a line of *level* is written."""
        return level >= _writer().lowest_level

    def get_effective_level(self) -> int:
        """Return the lowest level that is written."""
        return _writer().lowest_level

    def _write(self, number: int, level: str, event: Any, args: tuple[Any, ...], values: dict[str, Any]) -> None:
        if number < _writer().lowest_level and not (isinstance(event, str) and event in STATUS_OF_ACTION):
            return
        if "event" in values:
            _without_event(values)
        try:
            arguments, line = self._process_event(level, _interpolated(event, args), values)
            self._logger.msg(*arguments, **line)
        except structlog.DropEvent:  # a processor of the service's own
            return
        except Exception as error:  # noqa: BLE001 (as one of the service's processors may raise)
            log_failure("a log line", error)


def _method(method_level: str) -> tuple[Callable[..., None], Callable[..., Awaitable[None]]]:
    number = _LEVELS[method_level.upper()]

    def write(self: BoundLogger, event: Any = "", /, *args: Any, **values: Any) -> None:
        self._write(number, method_level, event, args, values)

    async def write_in_a_thread(self: BoundLogger, event: Any = "", /, *args: Any, **values: Any) -> None:
        await _in_a_thread(partial(self._write, number, method_level, event, args, values))

    return write, write_in_a_thread


for _name, _level in _LEVEL_OF_METHOD.items():
    _now, _awaited = _method(_level)
    setattr(BoundLogger, _name, _now)
    setattr(BoundLogger, f"a{_name}", _awaited)


async def _in_a_thread(write: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, write)


def _name_of(level: int) -> str:
    """Return the name of *level*, or of the next one below that has one."""
    return next((name for name in ("critical", "error", "warning", "info") if level >= _LEVELS[name.upper()]), "debug")


def _interpolated(event: Any, args: tuple[Any, ...]) -> Any:
    if not args:
        return event
    try:
        return event % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args)
    except Exception:  # noqa: BLE001 (a log call never raises: the line shows what was to be put together)
        return f"{event} {args}"


# The keys that structlog's processors use for message and level. The caller's own values of these names wait aside.
_CALLERS: Final = {"event": "inferlog.callers_event", "level": "inferlog.callers_level"}


def _without_event(values: dict[str, Any]) -> dict[str, Any]:
    """Put a value named ``event`` aside, in *values* itself."""
    if "event" in values:
        values[_CALLERS["event"]] = values.pop("event")
    return values


def _without_level(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    if "level" in event_dict:
        event_dict[_CALLERS["level"]] = event_dict.pop("level")
    return event_dict


def _to_line(logger: WrappedLogger, _: str, event_dict: EventDict) -> tuple[tuple[()], dict[str, Any]]:
    """Take structlog's event dictionary apart into what :meth:`Writer.log` takes."""
    message, level = event_dict.pop("event", ""), event_dict.pop("level")
    error = _exception(event_dict.pop("exc_info", None))
    name = logger.name or str(event_dict.pop("logger_name", "") or "app")
    for callers, aside in _CALLERS.items():
        if aside in event_dict:
            event_dict[callers] = event_dict.pop(aside)
    return (), {"message": message, "level": level, "logger": name, "values": event_dict, "error": error}


# One list for all loggers: structlog.testing.capture_logs() replaces what is in it.
_PROCESSORS: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    _without_level,
    structlog.processors.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    cast("Processor", _to_line),
]


class _LineLogger:
    """
    End of the chain: hands a line on, whatever the level's method is called.

    Attributes:
        name: ``log.logger`` of its lines.
    """

    def __init__(self, name: str = "", *_: Any) -> None:
        self.name = name

    def msg(self, **line: Any) -> None:
        _writer().log(**line)

    debug = info = warning = warn = error = err = critical = exception = fatal = log = msg


_levels_before: dict[logging.Logger, int] = {}


def install(level: str, *, capture_stdlib: bool) -> None:
    """Have ``structlog.get_logger()``, and with *capture_stdlib* Python's loggers, write lines of the same form."""
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=BoundLogger,
        logger_factory=_LineLogger,
        cache_logger_on_first_use=False,
    )
    _remove_handlers()
    if capture_stdlib:
        root = logging.getLogger()
        _levels_before.setdefault(root, root.level)
        root.setLevel(level.upper())
        handler = StdlibHandler()
        handler.setLevel(level.upper())
        handler.addFilter(_is_of_others)
        for logger in (root, *_loggers_of_servers()):
            if handler not in logger.handlers:  # gunicorn's worker gives several loggers one list
                logger.addHandler(handler)


def uninstall() -> None:
    """Set structlog back to its defaults, and Python's root logger to how it was before :func:`install`."""
    structlog.reset_defaults()
    _remove_handlers()
    for logger, level in _levels_before.items():
        logger.setLevel(level)
    _levels_before.clear()


def _remove_handlers() -> None:
    for logger in (logging.getLogger(), *map(logging.getLogger, OWN_LOGGERS)):
        for handler in [handler for handler in logger.handlers if isinstance(handler, StdlibHandler)]:
            logger.removeHandler(handler)


def _loggers_of_servers() -> list[logging.Logger]:
    """Return the loggers that a web server writes with itself: what it has switched off stays off."""
    loggers = [logging.getLogger(name) for name in OWN_LOGGERS]
    return [logger for logger in loggers if logger.handlers and not logger.propagate]


def _is_of_others(record: logging.LogRecord) -> bool:
    """Return whether another's logger wrote *record*: the library's has a handler already, see :func:`connect`."""
    return record.name.partition(".")[0] != "inferlog"


def _exception(exc_info: Any) -> BaseException | None:
    """Return the exception that ``exc_info`` means, in any of the forms that logging calls take."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) == 3 else None
    return sys.exc_info()[1] if exc_info else None


class StdlibHandler(logging.Handler):
    """Writes the records of Python's ``logging`` as lines of the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; a record that cannot be formatted goes the way of ``logging.raiseExceptions``."""
        try:
            _writer().log(
                message_of(record),
                level=record.levelname.lower(),
                logger=record.name,
                values={**_extras(record), **ids_of(record)},
                error=_exception(record.exc_info),
            )
        except Exception:  # noqa: BLE001 (logging's own contract: a handler does not raise into the service)
            self.handleError(record)


_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
