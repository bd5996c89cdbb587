"""The one configuration call, and the process's state that it sets."""

import atexit
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from inferlog import logger, redaction
from inferlog.guard import forget_warnings
from inferlog.losses import Stats
from inferlog.runtime import MakeSink, Runtime
from inferlog.settings import Settings, SettingsError
from inferlog.sinks.file import check_directory


class NotConfiguredError(RuntimeError):
    """The library is used before :func:`inferlog.configure`."""


_runtime: Runtime | None = None


def runtime() -> Runtime:
    """
    Return what this process writes with.

    Raises:
        NotConfiguredError: Before :func:`configure`.
    """
    if _runtime is None:
        raise NotConfiguredError('inferlog is not configured: call inferlog.configure(service_name="…") once at start')
    return _runtime


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
    forward_host: str | None = None,
    forward_port: int | None = None,
    forward_queue_events: int | None = None,
) -> None:
    """
    Set inferlog up for this process: once, at start. What is not given is read from ``INFERLOG_*``.

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
        if before is None:
            logger.uninstall()
            redaction.put_in_force(redaction.USUAL)
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
    redaction.put_in_force(settings.secrets())
    logger.install(settings.log_level, capture_stdlib=settings.capture_stdlib, write=_write_app_line)


def _write_app_line(content: dict[str, object]) -> None:
    # Asked for at each line, since a fork replaces it.
    runtime().app.record(content)


def _begin_anew_in_child() -> None:
    global _runtime  # noqa: PLW0603 (as above)
    if _runtime is not None:
        parent = _runtime
        _runtime = Runtime.begin(parent.settings, parent.make_sink, parent.from_files)
        parent.abandon()


os.register_at_fork(after_in_child=_begin_anew_in_child)
atexit.register(shutdown)
