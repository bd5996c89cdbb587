"""Integration of structlog and Python's ``logging``: JSON lines with the ids of the current request."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, Self, cast

import structlog
from structlog.typing import Context, EventDict, FilteringBoundLogger, Processor, WrappedLogger

from inferlog.context import current_inference, log_failure
from inferlog.event import STATUS_OF_ACTION
from inferlog.recorder import unwritten_events
from inferlog.server_lines import OWN_LOGGERS, get_ids, get_message

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
    Destination of log lines.

    Attributes:
        lowest_level: Lowest level that is written, such as ``logging.INFO``.
    """

    @property
    def lowest_level(self) -> int: ...  # noqa: D102 (as above)

    def log(
        self, message: Any, *, level: str, logger: str, values: Mapping[str, Any], error: BaseException | None
    ) -> None:
        """Write one line. Never raises."""


def _raise_not_connected() -> Writer:
    raise RuntimeError("inferlog.configuration connects the loggers when it is imported")


_writer: Callable[[], Writer] = _raise_not_connected


def connect(writer: Callable[[], Writer]) -> None:
    """
    Route the lines of all loggers, and the library's own warnings, to the current *writer*.

    *writer* is called at each line, so that a logger created at import time writes to the same destination as others.
    """
    global _writer  # noqa: PLW0603 (loggers are created before the configuration)
    _writer = writer
    own = logging.getLogger("inferlog")
    if not any(isinstance(handler, StdlibHandler) for handler in own.handlers):
        own.addHandler(StdlibHandler())


def get_logger(name: str = "", **initial_values: Any) -> FilteringBoundLogger:
    """
    Return a structlog logger. Its lines have the ids of the current request.

    ``log.info("model.loaded", seconds=1.2)`` writes ``{"message": "model.loaded", "labels": {"seconds": 1.2}, …}``.
    ``log.info("inference_completed", model_version="v3", latency_seconds=0.84, status=200)`` writes an inference event,
    as :func:`inferlog.record_inference` does; so do ``inference_rejected``, ``inference_failed`` and
    ``inference_cancelled`` with ``latency_seconds``, whatever the level. Inside a request they add to its event.

    A logger can be created before :func:`inferlog.configure`.
    """
    return cast("FilteringBoundLogger", BoundLogger(_LineLogger(name), _PROCESSORS, initial_values))


class BoundLogger(structlog.BoundLoggerBase):
    """
    structlog logger that accepts every name as a value, and checks the level at each line.

    ``log.info("webhook", event=1, level=2)`` writes both as labels. A call never raises.
    """

    def __init__(self, logger: WrappedLogger, processors: Any, context: Context) -> None:
        own_context = dict(context)
        _set_aside(own_context)
        super().__init__(logger, processors, own_context)

    def bind(self, /, **new_values: Any) -> Self:
        """Return a new logger with *new_values* added to the existing ones."""
        return self.__class__(self._logger, self._processors, {**self._context, **new_values})

    def new(self, /, **new_values: Any) -> Self:
        """Return a new logger with *new_values* alone."""
        return self.__class__(self._logger, self._processors, new_values)

    def unbind(self, *keys: str) -> Self:
        """
        Return a new logger without the values of *keys*.

        Raises:
            KeyError: If one of them has no value.
        """
        return super().unbind(*map(self._find_key, keys))

    def try_unbind(self, *keys: str) -> Self:
        """Return a new logger without the values of *keys*, as far as they have one."""
        return super().try_unbind(*map(self._find_key, keys))

    def log(self, level: int, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line at the numeric level *level*, such as ``logging.INFO``."""
        self._write(level, _get_level_name(level), event, args, values)

    async def alog(self, level: int, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line in a thread, so that the event loop does not wait for the disk."""
        await _run_in_thread(partial(self._write, level, _get_level_name(level), event, args, values))

    def exception(self, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line with the exception being handled."""
        self._write(logging.ERROR, "error", event, args, {"exc_info": True} | values)

    async def aexception(self, event: Any = "", /, *args: Any, **values: Any) -> None:
        """Write a line with the exception being handled, in a thread."""
        values = {"exc_info": True} | values
        if values["exc_info"] is True:
            values["exc_info"] = sys.exc_info()
        await _run_in_thread(partial(self._write, logging.ERROR, "error", event, args, values))

    def is_enabled_for(self, level: int) -> bool:
        """Return whether a line of *level* is written."""
        return level >= _writer().lowest_level

    def get_effective_level(self) -> int:
        """Return the lowest level that is written."""
        return _writer().lowest_level

    def _find_key(self, key: str) -> str:
        aside = _CALLERS.get(key)
        return aside if aside is not None and aside in self._context else key

    def _write(self, number: int, level: str, event: Any, args: tuple[Any, ...], values: dict[str, Any]) -> None:
        if number < _writer().lowest_level and not (isinstance(event, str) and event in STATUS_OF_ACTION):
            return
        _set_aside(values)
        try:
            arguments, line = self._process_event(level, _interpolate(event, args), values)
            self._logger.msg(*arguments, **line)
        except structlog.DropEvent:  # raised by a processor of the service
            return
        except Exception as error:  # noqa: BLE001 (a processor of the service may raise)
            # Not a function: at the limit of the recursion none can be called.
            if (
                (values.get("latency_seconds") is not None or self._context.get("latency_seconds") is not None)
                and isinstance(event, str)
                and event in STATUS_OF_ACTION
                and ((owner := current_inference.get()) is None or owner.ended)
            ):
                unwritten_events.append(type(error).__name__)
            log_failure("a log line", error)


def _make_methods(method_level: str) -> tuple[Callable[..., None], Callable[..., Awaitable[None]]]:
    number = _LEVELS[method_level.upper()]

    def write(self: BoundLogger, event: Any = "", /, *args: Any, **values: Any) -> None:
        self._write(number, method_level, event, args, values)

    async def write_in_a_thread(self: BoundLogger, event: Any = "", /, *args: Any, **values: Any) -> None:
        await _run_in_thread(partial(self._write, number, method_level, event, args, values))

    return write, write_in_a_thread


for _name, _level in _LEVEL_OF_METHOD.items():
    _now, _awaited = _make_methods(_level)
    setattr(BoundLogger, _name, _now)
    setattr(BoundLogger, f"a{_name}", _awaited)


async def _run_in_thread(write: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, write)


def _get_level_name(level: int) -> str:
    """Return the name of *level*, or of the next lower named level."""
    return next((name for name in ("critical", "error", "warning", "info") if level >= _LEVELS[name.upper()]), "debug")


def _interpolate(event: Any, args: tuple[Any, ...]) -> Any:
    if not args:
        return event
    try:
        return event % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args)
    except Exception:  # noqa: BLE001 (a log call never raises: the line shows the unformatted parts)
        return f"{event} {args}"


# Keys that structlog uses for message, its arguments and level. The caller's values of these names are stored aside.
_CALLERS: Final = {name: f"inferlog.callers_{name}" for name in ("event", "positional_args", "level")}


def _set_aside(values: EventDict, names: Collection[str] = ("event", "positional_args")) -> None:
    """Rename the values of *names* in *values*, in place."""
    for name in names:
        if name in values:
            values[_CALLERS[name]] = values.pop(name)


def _set_level_aside(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    _set_aside(event_dict, ["level"])
    return event_dict


def _interpolate_positional_args(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Fill in the arguments of ``structlog.stdlib.BoundLogger``, which a service may configure as wrapper class."""
    if isinstance(event_dict.get("positional_args"), tuple):
        event_dict["event"] = _interpolate(event_dict.get("event", ""), event_dict.pop("positional_args"))
    return event_dict


def _to_line(logger: WrappedLogger, _: str, event_dict: EventDict) -> tuple[tuple[()], dict[str, Any]]:
    """Convert structlog's event dictionary to the arguments of :meth:`Writer.log`."""
    message, level = event_dict.pop("event", ""), event_dict.pop("level")
    error = _find_exception(event_dict.pop("exc_info", None))
    name = logger.name
    if not name and isinstance(event_dict.get("logger_name"), str):
        name = event_dict.pop("logger_name")
    for callers, aside in _CALLERS.items():
        if aside in event_dict:
            event_dict[callers] = event_dict.pop(aside)
    return (), {"message": message, "level": level, "logger": name or "app", "values": event_dict, "error": error}


# One list for all loggers: structlog.testing.capture_logs() replaces its content.
_PROCESSORS: Final[list[Processor]] = [
    _interpolate_positional_args,  # first: a value of this name in the context variables is the caller's
    structlog.contextvars.merge_contextvars,
    _set_level_aside,
    structlog.processors.add_log_level,
    cast("Processor", _to_line),
]


class _LineLogger:
    """
    Last link of structlog's chain: passes a line to the writer from a method of any level.

    Attributes:
        name: ``log.logger`` of its lines.
    """

    def __init__(self, name: str = "", *_: Any) -> None:
        self.name = name

    def msg(self, **line: Any) -> None:
        _writer().log(**line)

    debug = info = warning = warn = error = err = critical = exception = fatal = log = msg


_levels_before: dict[logging.Logger, int] = {}
_level_set: int | None = None


def install(level: str, *, capture_stdlib: bool) -> None:
    """Configure ``structlog.get_logger()``, and with *capture_stdlib* Python's loggers, to write the same lines."""
    global _level_set  # noqa: PLW0603 (Python's loggers are of the process too)
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=BoundLogger,
        logger_factory=_LineLogger,
        cache_logger_on_first_use=False,
    )
    _remove_handlers()
    if capture_stdlib:
        root = logging.getLogger()
        if root.level != _level_set:  # not by an earlier configuration
            _levels_before[root] = root.level
        # Never higher than before: the service's own handlers may want more.
        _level_set = min(_levels_before.setdefault(root, root.level), _LEVELS[level.upper()])
        root.setLevel(_level_set)
        handler = StdlibHandler()
        handler.setLevel(level.upper())
        handler.addFilter(_is_of_others)
        for logger in (root, *_find_server_loggers()):
            if handler not in logger.handlers:  # gunicorn's worker gives several loggers one list
                logger.addHandler(handler)


def uninstall() -> None:
    """Restore structlog's defaults, and Python's loggers as before :func:`install`."""
    structlog.reset_defaults()
    _remove_handlers()
    for logger, level in _levels_before.items():
        logger.setLevel(level)
    _levels_before.clear()


def _remove_handlers() -> None:
    for logger in (logging.getLogger(), *map(logging.getLogger, OWN_LOGGERS)):
        for handler in [handler for handler in logger.handlers if isinstance(handler, StdlibHandler)]:
            logger.removeHandler(handler)


def _find_server_loggers() -> list[logging.Logger]:
    """Return the loggers that a web server uses itself; disabled ones stay disabled."""
    loggers = [logging.getLogger(name) for name in OWN_LOGGERS]
    return [logger for logger in loggers if logger.handlers and not logger.propagate]


def _is_of_others(record: logging.LogRecord) -> bool:
    """Return whether *record* is not the library's own, whose logger already has a handler, see :func:`connect`."""
    return record.name.partition(".")[0] != "inferlog"


def _find_exception(exc_info: Any) -> BaseException | None:
    """Return the exception for ``exc_info`` in any of the forms that logging calls accept."""
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        exc_info = exc_info[1]
    if isinstance(exc_info, BaseException):
        return exc_info
    with suppress(Exception):  # any value of the caller, such as a tensor, which has no truth value
        return sys.exc_info()[1] if exc_info else None
    return None


class StdlibHandler(logging.Handler):
    """Writes the records of Python's ``logging`` as lines of the same form."""

    def handle(self, record: logging.LogRecord) -> bool:
        """
        Write *record* without the lock of a handler.

        The recorder has its own, which lets a signal handler and a finaliser log while their thread writes a line. With
        both, one thread could hold the first and another the second.
        """
        passed = self.filter(record)  # since Python 3.12 also another record
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; an unformattable one is handled according to ``logging.raiseExceptions``."""
        try:
            _writer().log(
                get_message(record),
                level=record.levelname.lower(),
                logger=record.name,
                values={**_get_extras(record), **get_ids(record)},
                error=_find_exception(record.exc_info),
            )
        except Exception as error:  # noqa: BLE001 (the contract of logging: a handler does not raise)
            if (
                getattr(record, "latency_seconds", None) is not None
                and isinstance(record.msg, str)
                and record.msg in STATUS_OF_ACTION
                and ((owner := current_inference.get()) is None or owner.ended)
            ):
                unwritten_events.append(type(error).__name__)
            try:  # noqa: SIM105 (suppress is a function of Python)
                self.handleError(record)
            except RecursionError:
                pass


_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def _get_extras(record: logging.LogRecord) -> Mapping[str, Any]:
    return {str(name): value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
