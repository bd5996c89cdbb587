"""Runtime of one process: its recorders, sinks and heartbeat, from start or fork to exit."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from inferlog.audit import Hasher
from inferlog.client_id import ClientIds
from inferlog.context import Inference, current_inference, find_inference, get_innermost, log_failure, warn_once
from inferlog.event import STATUS_OF_ACTION
from inferlog.heartbeat import Heartbeat, close_at_worker_exit
from inferlog.line import build_line, describe_error
from inferlog.losses import Losses, Stats
from inferlog.pricing import PriceTable, PriceTableError, read_price_table
from inferlog.recorder import (
    EventRecorder,
    IdMaker,
    LineRecorder,
    Sink,
    make_id_maker,
    make_instance_id,
    unwritten_events,
)
from inferlog.settings import NO_SINKS, Settings, SettingsError
from inferlog.sinks.console import STREAMS, ConsoleSink, is_terminal
from inferlog.sinks.fan_out import FanOut
from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Housekeeping, Retention
from inferlog.sinks.stdout import NullSink, StdoutSink


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupFiles:
    """
    Content of the files named by the settings, kept in memory because a forked child may be unable to read them.

    Attributes:
        audit_key: Key of the hash chain.
        client_ids: Converts client ids to their written form.
        prices: Price table; None if not configured.
    """

    audit_key: bytes
    client_ids: ClientIds
    prices: PriceTable | None

    @classmethod
    def read(cls, settings: Settings) -> "StartupFiles":
        """
        Read the files named by *settings*.

        Raises:
            SettingsError: If a file cannot be read or is invalid.
        """
        return cls(
            audit_key=settings.read_key("audit_key_file"),
            client_ids=ClientIds(settings.read_key("client_id_key_file"), plain=settings.client_id_plain),
            prices=_read_price_table(settings),
        )


MakeSink = Callable[[str], Sink]
"""Factory of the sink of a stream: ``events``, ``app``, ``health`` or ``content``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """
    Recorders and settings of one process.

    Attributes:
        settings: As read by :func:`inferlog.configure`.
        make_id: Generator of event and request ids.
        startup_files: Content of the files named by the settings.
        events: Recorder of the inference events.
        app: Recorder of all other log lines.
        content: Recorder of prompts and answers; None unless the service has opted in.
        heartbeat: Writes the health lines.
        make_sink: Factory of sinks; None for the sinks named by the settings.
        losses: Reports lost lines on standard error.
        housekeeping: Background thread of the log directory and of the reports of losses.
        stats: Returns the counts of written and lost lines.
        lowest_level: Lowest level that is written, a number of ``logging``.
    """

    settings: Settings
    make_id: IdMaker
    startup_files: StartupFiles
    events: EventRecorder
    app: LineRecorder
    content: LineRecorder | None
    heartbeat: Heartbeat
    make_sink: MakeSink | None
    losses: Losses
    housekeeping: Housekeeping
    stats: Callable[[], Stats]
    lowest_level: int

    @classmethod
    def begin(
        cls, settings: Settings, make_sink: MakeSink | None = None, startup_files: StartupFiles | None = None
    ) -> "Runtime":
        """
        Create the recorders of this process. No file is opened before the first line.

        Args:
            settings: As read.
            make_sink: Factory of sinks; None for the sinks named by the settings.
            startup_files: Files already read by the parent of a forked process; None to read them now.

        Raises:
            SettingsError: If a file named by the settings cannot be read or is invalid.
        """
        startup_files = startup_files or StartupFiles.read(settings)
        instance_id, make_id = make_instance_id(), make_id_maker()
        service = {
            "name": settings.service_name,
            "version": settings.service_version,
            "environment": settings.environment,
            "instance": {"id": instance_id},
        }
        housekeeping = Housekeeping()
        losses = Losses(start_reports=housekeeping.start)
        sink = make_sink or _SinkFactory(settings, instance_id, losses, housekeeping).make_stream_sink

        def recorder(stream: str) -> LineRecorder:
            return LineRecorder(sink(stream), dataset=f"inference.{stream}", service=service, make_id=make_id)

        events = EventRecorder(sink("events"), service=service, make_id=make_id, hasher=Hasher(startup_files.audit_key))
        housekeeping.tasks += [events.count_unwritten, losses.report]
        app, health = recorder("app"), recorder("health")
        content = recorder("content") if settings.capture_content else None
        losses.failures = {"events": events.failures, "app": app.failures, "health": health.failures}
        if content is not None:
            losses.failures["content"] = content.failures
        stats = partial(_collect_stats, events, [each for each in (app, health, content) if each is not None], losses)
        return cls(
            settings=settings,
            make_id=make_id,
            startup_files=startup_files,
            events=events,
            app=app,
            content=content,
            heartbeat=Heartbeat(
                health,
                stats=stats,
                log_dir=settings.log_dir,
                instance_id=instance_id,
                every_seconds=0.0 if settings.sinks == NO_SINKS else settings.heartbeat_seconds,
            ),
            make_sink=make_sink,
            losses=losses,
            housekeeping=housekeeping,
            stats=stats,
            lowest_level=logging.getLevelNamesMapping()[settings.log_level.upper()],
        )

    def log(
        self, message: Any, *, level: str, logger: str, values: Mapping[str, Any], error: BaseException | None = None
    ) -> None:
        """Write a log line, or an event for a line such as ``inference_completed`` with ``latency_seconds``."""
        if isinstance(message, str) and message in STATUS_OF_ACTION and values.get("latency_seconds") is not None:
            logged: Inference | None = None
            try:
                logged = build_inference(values, error)
                self._take_logged(message, logged)
            except Exception as failure:  # noqa: BLE001 (a failure to log must not affect the service)
                owner = current_inference.get()
                if (owner is None or owner.ended) and (logged is None or not logged.closed):
                    unwritten_events.append(type(failure).__name__)
                try:  # noqa: SIM105 (suppress is a function of Python, which cannot be called at the limit)
                    log_failure("the event of a log line", failure)
                except RecursionError:
                    pass
            return
        self.app.record(
            build_line(message, level=level, logger=logger, values=values, error=error, inference=find_inference())
        )

    def _take_logged(self, action: str, logged: Inference) -> None:
        """Merge *logged*, from a log line *action*, into the current inference, or write its own event."""
        named, status = STATUS_OF_ACTION[action], logged.fields.get("status")
        if status is None:
            logged.fields["status"] = named
        elif status != named:
            warn_once("the status of a log line contradicts its name; the status is used", action, status=status)
        surrounding = get_innermost()
        owner = surrounding and (surrounding.owner or surrounding)
        if surrounding is None or owner is None or owner.ended:
            self.record_finished(logged, owner)
            return
        if status is None and named == "success":
            del logged.fields["status"]  # the surrounding request has not ended yet
        if "latency_seconds" in surrounding.fields and "latency_seconds" in logged.fields:
            warn_once(
                "several inferences are logged within one request or tracked call and share one event; "
                "record each with inferlog.record_inference(…)",
                action,
            )
        surrounding.include(logged)

    def record_finished(self, inference: Inference, surrounding: Inference | None) -> None:
        """Write the event of an *inference* measured elsewhere, in the call chain of *surrounding*."""
        inference.identify(self.make_id(), surrounding)
        inference.conclude()
        inference.ended = True
        self.record(inference)

    def record(self, inference: Inference) -> None:
        """Write the event of a finished *inference*, and a log line about its rejected values."""
        if not self.heartbeat.is_started:
            self._start_heartbeat()
        fields = inference.fields
        prices = self.startup_files.prices
        if prices is not None and "cost_usd" not in fields:
            inference.bind({"cost_usd": prices.compute_cost_usd(fields)})
        # A copy: a thread that outlives the request may still bind values.
        fields = fields.copy()
        if "client_id" in fields:
            fields["client_id"] = self.startup_files.client_ids(fields["client_id"])
        self.events.record(inference, fields)
        if inference.rejected:
            self._report_rejected(inference)

    def _report_rejected(self, inference: Inference) -> None:
        try:
            self.app.record(
                build_line(
                    "inferlog.value_refused",
                    level="warning",
                    logger="inferlog",
                    values={"reasons": "; ".join(inference.rejected)},
                    inference=inference,
                )
            )
        except Exception as failure:  # noqa: BLE001 (the event is written)
            log_failure("the line about rejected values", failure)

    def _start_heartbeat(self) -> None:
        self.heartbeat.start()
        if self.heartbeat.is_started:
            close_at_worker_exit(self.close)

    def close(self) -> None:
        """Write the last heartbeat and close all sinks."""
        self.heartbeat.stop()
        for recorder in self._list_recorders():
            recorder.close()
        self.events.count_unwritten()
        self.housekeeping.stop()
        self.losses.report(even_early=True)

    def retire(self) -> None:
        """Close for good, since another runtime replaces this one: a thread that still has it leaves nothing open."""
        self.heartbeat.retire()
        self.housekeeping.retire()
        for recorder in self._list_recorders():
            recorder.retire(partial(self.losses.report, even_early=True))
        self.close()

    def detach_after_fork(self) -> None:
        """Release the parent's sinks in a forked child."""
        for recorder in self._list_recorders():
            with suppress(Exception):  # the other files are the parent's too
                recorder.detach_after_fork()

    def _list_recorders(self) -> list[EventRecorder | LineRecorder]:
        return [self.events, self.app, self.heartbeat.recorder, *([self.content] if self.content else [])]


def build_inference(values: Mapping[str, Any], error: BaseException | None = None) -> Inference:
    """Return an inference with *values* bound; ``status_code`` is an alternative to a numeric ``status``."""
    inference = Inference()
    if "status_code" in values:
        values = dict(values)
        code = values.pop("status_code")
        values["http_response_status_code" if values.get("status") is not None else "status"] = code
    inference.bind(values)
    if error is not None:
        inference.bind_exception(describe_error(error))
    return inference


def _collect_stats(events: EventRecorder, lines: Sequence[LineRecorder], losses: Losses) -> Stats:
    events.count_unwritten()
    last_loss, lost_at = losses.read_last_loss() or (None, None)
    return Stats(
        events_written=events.written,
        events_dropped=events.dropped,
        events_removed=losses.events_removed,
        lines_written=sum(recorder.written for recorder in lines),
        lines_dropped=sum(recorder.dropped for recorder in lines),
        copies_dropped=events.copies_dropped,
        last_loss=last_loss,
        last_loss_unix_seconds=lost_at,
    )


class _SinkFactory:
    """Creates the sinks named by the settings, with their shared retention, losses and housekeeping."""

    def __init__(self, settings: Settings, instance_id: str, losses: Losses, housekeeping: Housekeeping) -> None:
        self._settings = settings
        self._instance_id = instance_id
        self._losses = losses
        self._housekeeping = housekeeping
        self._retention = Retention(
            settings.log_dir,
            keep_shipped_seconds=settings.keep_shipped_seconds,
            max_total_bytes=settings.max_total_bytes,
            max_file_age_seconds=settings.max_file_age_seconds,
            start_housekeeping=housekeeping.start,
        )
        housekeeping.tasks.append(self._retention.sweep_if_requested)

    def make_stream_sink(self, stream: str) -> Sink:
        """Return the sink of *stream*. The first configured sink reports its losses; the copies only count theirs."""
        truth, *copies = self._settings.sinks
        sinks = [
            self._make_sink(truth, stream, self._losses),
            *(self._make_sink(copy, stream, None) for copy in copies),
        ]
        if stream in STREAMS and _has_console(self._settings):
            sinks.append(ConsoleSink())
        return sinks[0] if len(sinks) == 1 else FanOut(sinks)

    def _make_sink(self, name: str, stream: str, losses: Losses | None) -> Sink:
        settings = self._settings
        if name == "none":
            return NullSink()
        if name == "stdout":
            return StdoutSink(stream, losses)
        if name == "forward":
            return _make_forward_sink(settings, stream, losses)
        sink = FileSink(
            settings.log_dir,
            stream=stream,
            service=settings.service_name,
            instance_id=self._instance_id,
            limits=FileLimits(
                max_file_bytes=settings.max_file_bytes, max_file_age_seconds=settings.max_file_age_seconds
            ),
            retention=self._retention,
            losses=losses,
        )
        self._housekeeping.tasks.append(sink.check_file)
        return sink


def _has_console(settings: Settings) -> bool:
    if settings.sinks == NO_SINKS:
        return False
    if settings.console == "auto":
        # Lines on standard output are already on the terminal.
        return settings.environment == "development" and "stdout" not in settings.sinks and is_terminal()
    return settings.console == "always"


def _make_forward_sink(settings: Settings, stream: str, losses: Losses | None) -> Sink:
    try:
        from inferlog.sinks.forward import ForwardSink  # noqa: PLC0415 (requires an optional extra)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"sinks names forward, which needs {error.name}; install it with: pip install 'inferlog[forward]'"
        ) from error
    return ForwardSink(
        stream,
        host=settings.forward_host,
        port=settings.forward_port,
        queue_events=settings.forward_queue_events,
        losses=losses,
    )


def _read_price_table(settings: Settings) -> PriceTable | None:
    if settings.price_file is None:
        return None
    try:
        return read_price_table(settings.price_file)
    except PriceTableError as error:
        raise SettingsError(f"price_file {error}") from error
