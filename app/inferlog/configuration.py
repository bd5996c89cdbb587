"""The one configuration call, and the process's state that it sets."""

import atexit
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from inferlog import logger, redaction
from inferlog.internal_errors import forget_warnings
from inferlog.losses import Stats
from inferlog.runtime import MakeSink, Runtime
from inferlog.settings import Settings, SettingsError, any_setting_in
from inferlog.sinks.file import check_directory
from inferlog.sinks.stdout import StderrSink

_UNCONFIGURED: Final = Settings(heartbeat_seconds=0.0)
_NOT_CONFIGURED: Final = (
    'inferlog is not configured, so that events and log lines go to stderr: call inferlog.configure(service_name="…") '
    "once at start, or set INFERLOG_SERVICE_NAME"
)


_runtime: Runtime | None = None
_first_use = threading.RLock()


def runtime() -> Runtime:
    """
    Return the recorders of this process. Never raises.

    The first use without :func:`configure` takes the settings from ``INFERLOG_*``. Where none is set there, or one
    cannot be used, lines and events go to stderr, and one of them names the call to make.
    """
    return _runtime or _first_runtime()


def _first_runtime() -> Runtime:
    global _runtime  # noqa: PLW0603 (see configure)
    with _first_use:
        if _runtime is not None:  # another thread came first
            return _runtime
        refused = ""
        if any_setting_in(os.environ):
            try:
                settings = Settings.read({})
                _check_log_dir(settings)
                _runtime = running = Runtime.begin(settings)
                _put_in_force(settings)
            except Exception as error:  # noqa: BLE001 (only configure() raises)
                refused = f" (the settings of the environment cannot be used: {error})"
            else:
                return running
        _runtime = running = Runtime.begin(_UNCONFIGURED, lambda _: StderrSink())
    running.log(_NOT_CONFIGURED + refused, level="warning", logger="inferlog", values={})
    return running


def settings_in_force() -> Settings:
    """Return the settings of this process; before :func:`configure`, those that it would have by now. Never raises."""
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
    Set inferlog up for this process: once, at start. What is not given is read from ``INFERLOG_*``.

    Without this call nothing raises: see :func:`runtime`. A process that ``multiprocessing`` spawns imports the
    service's modules but inherits no configuration: it needs the call too, or ``INFERLOG_*``.

    The arguments are explained at :class:`inferlog.settings.Settings`. structlog's loggers, and with
    *capture_stdlib* Python's own, write JSON lines into *log_dir* from here on. A forked child gets an instance id
    and files of its own by itself. A second call closes the files of the first and begins anew.

    Raises:
        SettingsError: If a setting cannot be used; it names the setting, what was found and what was expected. Also if
            no file can be made in *log_dir*, but not because its disk is full.
    """
    global _runtime  # noqa: PLW0603 (the one place where a process's state is set)
    settings = Settings.read(locals())
    _check_log_dir(settings)
    shutdown()
    _runtime = Runtime.begin(settings)
    _put_in_force(settings)


def shutdown() -> None:
    """
    Write a last heartbeat and close the files; done at the process's end by itself.

    Events are not buffered: a process that is killed before loses none.
    """
    if _runtime is not None:
        _runtime.close()


def stats() -> Stats:
    """Return how many events and lines this process has written and lost; zeros before :func:`configure`."""
    return Stats() if _runtime is None else _runtime.stats()


@contextmanager
def replaced(given: Mapping[str, Any], make_sink: MakeSink) -> Iterator[None]:
    """Write to the sinks of *make_sink* until the block ends: what :mod:`inferlog.testing` stands on."""
    global _runtime  # noqa: PLW0603 (as above)
    before, settings = _runtime, Settings.read(given)
    _runtime = running = Runtime.begin(settings, make_sink)
    _put_in_force(settings)
    try:
        yield
    finally:
        running.close()
        _runtime = before
        if before is None or before.settings is _UNCONFIGURED:
            forget_warnings()
            redaction.activate(redaction.USUAL)
            logger.uninstall()
        else:
            _put_in_force(before.settings)


def _check_log_dir(settings: Settings) -> None:
    if "file" not in settings.sinks:
        return
    try:
        check_directory(settings.log_dir)
    except OSError as error:
        raise SettingsError(
            f"log_dir is {str(settings.log_dir)!r}, where no file can be made ({error.filename}: {error.strerror}); "
            f"expected a directory that user {os.geteuid()} may write to"
        ) from None


def _put_in_force(settings: Settings) -> None:
    forget_warnings()
    redaction.activate(settings.secrets())
    logger.install(settings.log_level, capture_stdlib=settings.capture_stdlib)


def _begin_anew_in_child() -> None:
    global _runtime, _first_use  # noqa: PLW0603 (as above)
    _first_use = threading.RLock()  # the parent's may be held by a thread that is not in the child
    if _runtime is not None:
        parent = _runtime
        _runtime = Runtime.begin(parent.settings, parent.make_sink, parent.from_files)
        parent.detach_after_fork()


# At each line the runtime is asked for: a fork and a second configuration replace it.
logger.connect(runtime)
os.register_at_fork(after_in_child=_begin_anew_in_child)
atexit.register(shutdown)
