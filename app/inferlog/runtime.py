"""What one process writes with, from its start or fork to its end."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inferlog.audit import Hasher
from inferlog.client import ClientIds
from inferlog.context import Inference, current_inference, inference_at_hand
from inferlog.event import STATUS_OF_ACTION
from inferlog.goodbye import close_at_the_end_of_a_worker
from inferlog.heartbeat import Heartbeat
from inferlog.ids import IdMaker, new_instance_id
from inferlog.internal_errors import warn_once
from inferlog.line import describe_error, line_document
from inferlog.losses import Losses, Stats
from inferlog.pricing import PriceTable, PriceTableError, read_price_table
from inferlog.recorder import EventRecorder, LineRecorder, Sink
from inferlog.settings import NO_SINKS, Settings, SettingsError
from inferlog.sinks.console import STREAMS, ConsoleSink, is_terminal
from inferlog.sinks.fan_out import FanOut
from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.housekeeping import Housekeeping
from inferlog.sinks.retention import Retention
from inferlog.sinks.stdout import NullSink, StdoutSink


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFiles:
    """
    What is read from files at the start and kept: after a fork they may be gone, or another's to read.

    Attributes:
        audit_key: Key of the hash chain.
        client_ids: Makes of who called what an event may carry.
        prices: What an inference costs; None if nobody has said.
    """

    audit_key: bytes
    client_ids: ClientIds
    prices: PriceTable | None

    @classmethod
    def read(cls, settings: Settings) -> "FromFiles":
        """
        Read what *settings* names.

        Raises:
            SettingsError: If a file cannot be used.
        """
        return cls(
            audit_key=settings.read_key("audit_key_file"),
            client_ids=ClientIds(settings.read_key("client_id_key_file"), plain=settings.client_id_plain),
            prices=_price_table(settings),
        )


MakeSink = Callable[[str], Sink]
"""Makes the sink of a stream: ``events``, ``app``, ``health`` or ``content``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """
    What one process writes with.

    Attributes:
        settings: As read by :func:`inferlog.configure`.
        make_id: Makes event and request ids.
        from_files: What was read at the start.
        events: Takes the inference events.
        app: Takes all other log lines.
        content: Takes prompts and answers; None unless the service has opted in.
        heartbeat: Says now and then how the process is.
        make_sink: Makes the sink of a stream; None: those that the settings name.
        losses: Reports lost lines on standard error.
        housekeeping: Looks after the log directory.
        stats: Returns what has been written and lost so far.
        lowest_level: Number of the level below which lines are not written.
    """

    settings: Settings
    make_id: IdMaker
    from_files: FromFiles
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
        cls, settings: Settings, make_sink: MakeSink | None = None, from_files: FromFiles | None = None
    ) -> "Runtime":
        """
        Put together the recorders of this process. No file is opened before the first line.

        Args:
            settings: As read.
            make_sink: Makes the sink of a stream; None: those that the settings name.
            from_files: What the parent of a forked process has read; None: read now.

        Raises:
            SettingsError: If a file that the settings name cannot be used.
        """
        from_files = from_files or FromFiles.read(settings)
        instance_id, make_id = new_instance_id(), IdMaker()
        service = {
            "name": settings.service_name,
            "version": settings.service_version,
            "environment": settings.environment,
            "instance": {"id": instance_id},
        }
        losses = Losses()
        housekeeping = Housekeeping()
        sink = make_sink or _FromSettings(settings, instance_id, losses, housekeeping).sink

        def recorder(stream: str) -> LineRecorder:
            return LineRecorder(sink(stream), dataset=f"inference.{stream}", service=service, make_id=make_id)

        events = EventRecorder(sink("events"), service=service, make_id=make_id, hasher=Hasher(from_files.audit_key))
        app, health = recorder("app"), recorder("health")
        content = recorder("content") if settings.capture_content else None
        stats = partial(_stats, events, [each for each in (app, health, content) if each is not None], losses)
        return cls(
            settings=settings,
            make_id=make_id,
            from_files=from_files,
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
        """Write a log line; one that is named as an inference ends, with its latency, as that inference's event."""
        if isinstance(message, str) and message in STATUS_OF_ACTION and values.get("latency_seconds") is not None:
            self._log_inference(message, values, error)
            return
        self.app.record(
            line_document(
                message, level=level, logger=logger, values=values, error=error, inference=inference_at_hand()
            )
        )

    def _log_inference(self, action: str, values: Mapping[str, Any], error: BaseException | None) -> None:
        """Take the log line *action* as the event of an inference: of the one that it is written in, or of its own."""
        stated = finished_inference(values, error)
        named, status = STATUS_OF_ACTION[action], stated.fields.get("status")
        if status is None:
            stated.fields["status"] = named
        elif status != named:
            warn_once("a log line's status disagrees with its name; the status counts", action, status=status)
        surrounding = current_inference.get()
        if surrounding is None or surrounding.ended:
            self.record_finished(stated, surrounding)
            return
        if status is None and named == "success":
            del stated.fields["status"]  # how the request around it ends is not known yet
        if "latency_seconds" in surrounding.fields and "latency_seconds" in stated.fields:
            warn_once(
                "several inferences are logged within one request or tracked call and make one event; "
                "record each with inferlog.record_inference(…)",
                action,
            )
        surrounding.include(stated)

    def record_finished(self, inference: Inference, surrounding: Inference | None) -> None:
        """Write the event of an *inference* measured elsewhere, in the chain that *surrounding* belongs to."""
        inference.identify(self.make_id(), surrounding)
        inference.conclude()
        inference.ended = True
        self.record(inference)

    def record(self, inference: Inference) -> None:
        """Write the event of a finished *inference*, and a line about what was refused on the way to it."""
        if not self.heartbeat.begun:
            self._begin_heartbeat()
        fields = inference.fields
        prices = self.from_files.prices
        if prices is not None and "cost_usd" not in fields:
            inference.bind({"cost_usd": prices.cost_usd(fields)})
        # A copy: a thread that the request has left behind may go on binding.
        fields = fields.copy()
        if "client_id" in fields:
            fields["client_id"] = self.from_files.client_ids(fields["client_id"])
        self.events.record(fields, inference.labels)
        inference.closed = True
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

    def _begin_heartbeat(self) -> None:
        self.heartbeat.start()
        if self.heartbeat.begun:
            close_at_the_end_of_a_worker(self.close)

    def close(self) -> None:
        """Say goodbye with a last heartbeat, and close what is open."""
        self.heartbeat.stop()
        for recorder in self._recorders():
            recorder.close()
        self.housekeeping.stop()
        self.losses.report(even_early=True)

    def detach_after_fork(self) -> None:
        """Let go, in a forked child, of what belongs to the parent."""
        for recorder in self._recorders():
            recorder.detach_after_fork()

    def _recorders(self) -> list[EventRecorder | LineRecorder]:
        return [self.events, self.app, self.heartbeat.recorder, *([self.content] if self.content else [])]


def finished_inference(values: Mapping[str, Any], error: BaseException | None = None) -> Inference:
    """Return the inference that *values* state, with ``status_code`` as another word for a status that is a code."""
    inference = Inference()
    if "status_code" in values:
        values = dict(values)
        code = values.pop("status_code")
        values["http_response_status_code" if values.get("status") is not None else "status"] = code
    inference.bind(values)
    if error is not None:
        inference.bind_exception(describe_error(error))
    return inference


def _stats(events: EventRecorder, lines: Sequence[LineRecorder], losses: Losses) -> Stats:
    return Stats(
        events_written=events.written,
        events_dropped=events.dropped,
        events_removed=losses.events_removed,
        lines_written=sum(recorder.written for recorder in lines),
        lines_dropped=sum(recorder.dropped for recorder in lines),
        copies_dropped=events.copies_dropped,
        last_loss=losses.last_loss,
        last_loss_unix_seconds=losses.last_loss_unix_seconds,
    )


class _FromSettings:
    """Makes the sinks that the settings name, with what they share."""

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
        housekeeping.chores += [self._retention.sweep_if_wanted, losses.report]

    def sink(self, stream: str) -> Sink:
        """Return the sink of *stream*. The first that the settings name reports its losses; copies count theirs."""
        truth, *copies = self._settings.sinks
        sinks = [self._made(truth, stream, self._losses), *(self._made(copy, stream, None) for copy in copies)]
        if stream in STREAMS and _has_console(self._settings):
            sinks.append(ConsoleSink())
        return sinks[0] if len(sinks) == 1 else FanOut(sinks)

    def _made(self, name: str, stream: str, losses: Losses | None) -> Sink:
        settings = self._settings
        if name == "none":
            return NullSink()
        if name == "stdout":
            return StdoutSink(stream, losses)
        if name == "forward":
            return _forward_sink(settings, stream, losses)
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
        self._housekeeping.chores.append(sink.look)
        return sink


def _has_console(settings: Settings) -> bool:
    if settings.sinks == NO_SINKS:
        return False
    if settings.console == "auto":
        # Lines on standard output are on the terminal already.
        return settings.environment == "development" and "stdout" not in settings.sinks and is_terminal()
    return settings.console == "always"


def _forward_sink(settings: Settings, stream: str, losses: Losses | None) -> Sink:
    try:
        from inferlog.sinks.forward import ForwardSink  # noqa: PLC0415 (needs an extra that only who asks for it has)
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


def _price_table(settings: Settings) -> PriceTable | None:
    if settings.price_file is None:
        return None
    try:
        return read_price_table(settings.price_file)
    except PriceTableError as error:
        raise SettingsError(f"price_file {error}") from error
