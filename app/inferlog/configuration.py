"""Configuration of the process, and the runtime that it creates."""

import atexit
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from inferlog import logger, redaction
from inferlog.context import forget_warnings
from inferlog.losses import Stats
from inferlog.runtime import MakeSink, Runtime
from inferlog.settings import Settings, SettingsError, has_settings
from inferlog.sinks.file import check_directory
from inferlog.sinks.stdout import StderrSink

_UNCONFIGURED: Final = Settings(heartbeat_seconds=0.0)
_NOT_CONFIGURED: Final = (
    'inferlog is not configured; events and log lines go to stderr. Call inferlog.configure(service_name="…") '
    "once at start, or set INFERLOG_SERVICE_NAME."
)


_runtime: Runtime | None = None
_first_use = threading.RLock()


def get_runtime() -> Runtime:
    """
    Return the runtime of this process. Never raises.

    The first use without :func:`configure` reads the settings from ``INFERLOG_*``. If none is set, or one is invalid,
    lines and events go to stderr, and one warning names the required call.
    """
    return _runtime or _begin_first_runtime()


def _begin_first_runtime() -> Runtime:
    global _runtime  # noqa: PLW0603 (see configure)
    with _first_use:
        if _runtime is not None:  # another thread was first
            return _runtime
        reason = ""
        if has_settings(os.environ):
            try:
                settings = Settings.read({})
                _check_log_dir(settings)
                _runtime = running = Runtime.begin(settings)
                _activate(settings)
            except Exception as error:  # noqa: BLE001 (only configure() raises)
                reason = f" The settings of the environment are invalid: {error}"
            else:
                return running
        _runtime = running = Runtime.begin(_UNCONFIGURED, lambda _: StderrSink())
    running.log(_NOT_CONFIGURED + reason, level="warning", logger="inferlog", values={})
    return running


def get_settings() -> Settings:
    """Return the settings of this process; before :func:`configure`, those of the environment. Never raises."""
    if _runtime is not None:
        return _runtime.settings
    try:
        return Settings.read({})
    except SettingsError:
        return _UNCONFIGURED


def configure(
    *,
    service_name: str | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    log_level: str | None = None,
    capture_stdlib: bool | None = None,
    max_file_bytes: int | None = None,
    max_file_age_seconds: float | None = None,
    keep_shipped_seconds: float | None = None,
    max_total_bytes: int | None = None,
    audit_key_file: str | os.PathLike[str] | None = None,
    client_id_header: str | None = None,
    client_id_key_file: str | os.PathLike[str] | None = None,
    client_id_plain: bool | None = None,
    redact_names: str | Collection[str] | None = None,
    redact_patterns: str | Collection[str] | None = None,
    price_file: str | os.PathLike[str] | None = None,
    heartbeat_seconds: float | None = None,
    capture_content: bool | None = None,
    sinks: str | Collection[str] | None = None,
    console: str | None = None,
    forward_host: str | None = None,
    forward_port: int | None = None,
    forward_queue_events: int | None = None,
) -> None:
    """
    Configure inferlog for this process, once, at start. Settings not passed are read from ``INFERLOG_*``.

    Without this call nothing raises: see :func:`get_runtime`. A process spawned by ``multiprocessing`` imports the
    service's modules but inherits no configuration: it also needs this call, or ``INFERLOG_*``.

    See :class:`inferlog.settings.Settings` for the arguments. From this call on, structlog loggers, and with
    *capture_stdlib* also Python's, write JSON lines to *log_dir*. A forked child gets its own instance id and files
    automatically. A second call closes the files of the first and replaces its settings.

    Raises:
        SettingsError: If a setting is invalid; the message names the setting, the value found and the value expected.
            Also if no file can be created in *log_dir* for another reason than a full disk.
    """
    global _runtime
    settings = Settings.read(locals())
    _check_log_dir(settings)
    with _first_use:
        replaced, _runtime = _runtime, Runtime.begin(settings)
        _activate(settings)
    if replaced is not None:
        replaced.retire()


def shutdown() -> None:
    """
    Write the last heartbeat and close the files. Called automatically at process exit.

    Events are not buffered: killing the process earlier loses none.
    """
    if _runtime is not None:
        _runtime.close()


def stats() -> Stats:
    """Return the counts of written and lost events and lines of this process; zeros before :func:`configure`."""
    return Stats() if _runtime is None else _runtime.stats()


@contextmanager
def replace_runtime(settings_values: Mapping[str, Any], make_sink: MakeSink) -> Iterator[None]:
    """Write to the sinks of *make_sink* until the block ends, for :mod:`inferlog.testing`."""
    global _runtime  # noqa: PLW0603 (as above)
    before, settings = _runtime, Settings.read(settings_values)
    _runtime = running = Runtime.begin(settings, make_sink)
    _activate(settings)
    try:
        yield
    finally:
        running.retire()
        _runtime = before
        if before is None or before.settings is _UNCONFIGURED:
            forget_warnings()
            redaction.activate(redaction.USUAL)
            logger.uninstall()
        else:
            _activate(before.settings)


def _check_log_dir(settings: Settings) -> None:
    if "file" not in settings.sinks:
        return
    try:
        check_directory(settings.log_dir)
    except OSError as error:
        raise SettingsError(
            f"log_dir is {str(settings.log_dir)!r}, where no file can be created ({error.filename}: {error.strerror}); "
            f"expected a directory writable by user {os.geteuid()}"
        ) from None


def _activate(settings: Settings) -> None:
    forget_warnings()
    redaction.activate(settings.build_secrets())
    logger.install(settings.log_level, capture_stdlib=settings.capture_stdlib)


def _reset_in_child() -> None:
    global _runtime, _first_use  # noqa: PLW0603 (as above)
    _first_use = threading.RLock()  # a thread that does not exist in the child may hold the parent's
    if _runtime is not None:
        parent = _runtime
        _runtime = Runtime.begin(parent.settings, parent.make_sink, parent.startup_files)
        parent.detach_after_fork()


# Loggers look up the runtime at each line, because a fork or a second configuration replaces it.
logger.connect(get_runtime)
os.register_at_fork(after_in_child=_reset_in_child)
atexit.register(shutdown)
