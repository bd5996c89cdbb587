"""The one configuration call, and what it leaves behind for a process: its instance id and its recorders."""

import os
from dataclasses import dataclass

from inferlog import logger
from inferlog.audit import Hasher
from inferlog.context import Inference
from inferlog.ids import IdMaker, new_instance_id
from inferlog.line import line_document
from inferlog.pricing import PriceTable, PriceTableError, read_price_table
from inferlog.recorder import EventRecorder, LineRecorder
from inferlog.settings import Settings, SettingsError
from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Retention


class NotConfiguredError(RuntimeError):
    """The library is used before :func:`inferlog.configure`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """
    What one process writes with.

    Attributes:
        settings: As read by :func:`configure`.
        instance_id: ``service.instance.id``: this process since its start or fork.
        make_id: Makes event and request ids.
        events: Takes the inference events.
        app: Takes all other log lines.
        prices: What an inference costs; None if nobody has said.
    """

    settings: Settings
    instance_id: str
    make_id: IdMaker
    events: EventRecorder
    app: LineRecorder
    prices: PriceTable | None

    @classmethod
    def begin(cls, settings: Settings) -> "Runtime":
        """Put together the recorders of this process. No file is opened before the first line."""
        instance_id, make_id = new_instance_id(), IdMaker()
        service = {
            "name": settings.service_name,
            "version": settings.service_version,
            "environment": settings.environment,
            "instance": {"id": instance_id},
        }

        limits = FileLimits(max_file_bytes=settings.max_file_bytes, max_file_age_seconds=settings.max_file_age_seconds)
        retention = Retention(
            settings.log_dir,
            keep_shipped_seconds=settings.keep_shipped_seconds,
            max_total_bytes=settings.max_total_bytes,
        )

        def sink(stream: str) -> FileSink:
            return FileSink(
                settings.log_dir,
                stream=stream,
                service=settings.service_name,
                instance_id=instance_id,
                limits=limits,
                retention=retention,
            )

        return cls(
            settings=settings,
            instance_id=instance_id,
            make_id=make_id,
            events=EventRecorder(
                sink("events"), service=service, make_id=make_id, hasher=Hasher(settings.read_audit_key())
            ),
            app=LineRecorder(sink("app"), dataset="inference.app", service=service, make_id=make_id),
            prices=_price_table(settings),
        )

    def record(self, inference: Inference) -> None:
        """Write the event of a finished *inference*, and a line about what was refused on the way to it."""
        fields = inference.fields
        if self.prices is not None and "cost_usd" not in fields:
            inference.bind({"cost_usd": self.prices.cost_usd(fields)})
        self.events.record(fields, inference.labels)
        if inference.refused:
            self.app.record(
                line_document(
                    "inferlog.value_refused",
                    level="warning",
                    logger="inferlog",
                    values={"reasons": "; ".join(inference.refused)},
                    inference=inference,
                )
            )

    def close(self) -> None:
        """Close the files."""
        self.events.close()
        self.app.close()


def _price_table(settings: Settings) -> PriceTable | None:
    if settings.price_file is None:
        return None
    try:
        return read_price_table(settings.price_file)
    except PriceTableError as error:
        raise SettingsError(f"price_file {error}") from error


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
    price_file: str | os.PathLike[str] | None = None,
) -> None:
    """
    Set inferlog up for this process: once, at start. What is not given is read from ``INFERLOG_*``.

    The arguments are explained at :class:`inferlog.settings.Settings`. structlog's loggers, and with
    *capture_stdlib* Python's own, write JSON lines into *log_dir* from here on. A forked child gets an instance id
    and files of its own by itself. A second call closes the files of the first and begins anew.

    Raises:
        SettingsError: If a setting cannot be used; it names the setting, what was found and what was expected.
    """
    global _runtime  # noqa: PLW0603 (the one place where a process's state is set)
    settings = Settings.read(locals())
    shutdown()
    _runtime = Runtime.begin(settings)
    logger.install(settings.log_level, capture_stdlib=settings.capture_stdlib, write=_write_app_line)


def shutdown() -> None:
    """Close the files. Nothing is buffered, so that leaving this out loses nothing either."""
    if _runtime is not None:
        _runtime.close()


def _write_app_line(content: dict[str, object]) -> None:
    # Asked for at each line, since a fork replaces it.
    runtime().app.record(content)


def _begin_anew_in_child() -> None:
    global _runtime
    if _runtime is not None:
        parent, _runtime = _runtime, Runtime.begin(_runtime.settings)
        parent.events.abandon()
        parent.app.abandon()


os.register_at_fork(after_in_child=_begin_anew_in_child)
