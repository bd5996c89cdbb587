"""Observation of one request and its response by a middleware, independent of the protocol."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from inferlog.configuration import runtime
from inferlog.context import attach, log_failure
from inferlog.request import ClientId, ModelVersion, begin_request, bind_client_id, bind_model_version, end_request
from inferlog.settings import Settings
from inferlog.streams import DoneMark


class Exchange(ABC):
    """
    Observed state of one request until its event is written.

    Attributes:
        inference: Takes the values that the service binds.
        status_code: HTTP status of the response; None before it started.
        client_gone: Whether a disconnect was observed before the response was complete.
    """

    __slots__ = (
        "_activity",
        "_client_id",
        "_done_mark",
        "_handled_error",
        "_model_version",
        "_started",
        "client_gone",
        "inference",
        "status_code",
    )

    def __init__(
        self,
        method: str,
        received: Mapping[str, str],
        model_version: ModelVersion | None,
        client_id: ClientId | None,
    ) -> None:
        self._started = time.perf_counter()
        self._model_version = model_version
        self._client_id = client_id
        running = runtime()
        self._activity = running.heartbeat.activity
        self.inference = begin_request(method, running.make_id(), received, model_version)
        self.inference.fields["in_flight"] = self._activity.begin()
        self.status_code: int | None = None
        self._handled_error: BaseException | None = None
        self.client_gone = False
        self._done_mark: DoneMark | None = None

    def begin_response(self, status_code: Any, handled_error: BaseException | None) -> None:
        """
        Record the start of the response.

        Args:
            status_code: Status code as set by the application, of any type.
            handled_error: Exception being handled at the moment. It is more specific than "500", except for an
                HTTPException, which is ignored.
        """
        self.status_code = int(status_code) if isinstance(status_code, int) and 100 <= status_code <= 599 else None
        if handled_error is not None and type(handled_error).__name__ != "HTTPException":
            self._handled_error = handled_error

    def note_sent(self, part: Any) -> None:
        """Record that the server has accepted *part* of a stream; ignore a part that is not bytes, which is invalid."""
        if isinstance(part, (bytes, bytearray, memoryview)):
            if self._done_mark is None:
                self._done_mark = DoneMark()
            self._done_mark.take(part)

    def finish(self, error: BaseException | None = None, *, complete: bool = True) -> None:
        """
        Write the event, at the first call only. Raises only KeyboardInterrupt, after the event is written.

        Args:
            error: Exception raised by the application.
            complete: Whether the whole response was passed to the server.
        """
        inference = self.inference
        if error is not None:
            attach(error, inference)
        if inference.ended:
            return
        inference.ended = True
        self._activity.end()
        latency_seconds = time.perf_counter() - self._started
        try:
            running = runtime()
            try:
                self._find_missing_values(running.settings)
            finally:
                end_request(
                    inference,
                    latency_seconds=latency_seconds,
                    status_code=self.status_code,
                    route=self.route_template(),
                    error=error,
                    handled_error=self._handled_error,
                    complete=complete,
                    done=self._done_mark is not None and self._done_mark.seen and self._is_event_stream(),
                    client_gone=self.client_gone,
                )
                running.record(inference)
        except Exception as failure:  # noqa: BLE001 (a failure to log must not change a response, nor hide its error)
            log_failure("the event of a request", failure)
        self._handled_error = None  # its traceback refers to this object

    def _is_event_stream(self) -> bool:
        return self.response_headers().get("content-type", "").startswith("text/event-stream")

    def _find_missing_values(self, settings: Settings) -> None:
        """Run the callbacks for client id and model version, unless the handler has bound them."""
        inference = self.inference
        client_id = self._client_id or settings.client_id_header
        if client_id is not None and "client_id" not in inference.fields:
            bind_client_id(inference, client_id, self.request(), self.request_header, settings)
        if self._model_version is not None and "model_version" not in inference.fields:
            bind_model_version(inference, self._model_version, self.request(), self.response_headers())

    @abstractmethod
    def request(self) -> Any:
        """Return the protocol's request object: the scope or the environ."""

    @abstractmethod
    def request_header(self, name: str) -> str | None:
        """Return the request header *name*, given in lower case; several values are joined by commas."""

    @abstractmethod
    def response_headers(self) -> Mapping[str, str]:
        """Return the headers of the response, names in lower case; empty before it started."""

    @abstractmethod
    def route_template(self) -> str | None:
        """Return the template of the matched route."""
