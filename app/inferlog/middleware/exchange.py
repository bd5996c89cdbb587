"""One request and its response, as a middleware sees them pass by, whatever the protocol."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from inferlog.client import ClientId
from inferlog.configuration import runtime
from inferlog.context import attach
from inferlog.internal_errors import log_failure
from inferlog.request import ModelVersion, begin_request, end_request, find_client_id, find_model_version
from inferlog.settings import Settings
from inferlog.streams import DoneMark


class Exchange(ABC):
    """
    What is seen of one request until its one event is written.

    Attributes:
        inference: What the service states of it.
        status_code: Of the response; None before it began.
        client_gone: Whether the caller was seen to leave before the response was complete.
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
        Note that the response begins.

        Args:
            status_code: As the application says it.
            handled_error: The exception that is being handled meanwhile. It says more than "500"; an HTTPException
                says the same.
        """
        self.status_code = int(status_code) if isinstance(status_code, int) and 100 <= status_code <= 599 else None
        if handled_error is not None and type(handled_error).__name__ != "HTTPException":
            self._handled_error = handled_error

    def note_sent(self, part: Any) -> None:
        """Note that the server has taken *part* of a stream, which is bytes unless the application is wrong."""
        if isinstance(part, (bytes, bytearray, memoryview)):
            if self._done_mark is None:
                self._done_mark = DoneMark()
            self._done_mark.take(part)

    def finish(self, error: BaseException | None = None, *, complete: bool = True) -> None:
        """
        Write the event, at the first call. Raises nothing but KeyboardInterrupt, and that with the event written.

        Args:
            error: What the application raised.
            complete: Whether the whole response was handed over.
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
                self._ask(running.settings)
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
        except Exception as failure:  # noqa: BLE001 (a log that fails must not change a response, nor hide its error)
            log_failure("the event of a request", failure)
        self._handled_error = None  # its traceback leads back to here

    def _is_event_stream(self) -> bool:
        return self.response_headers().get("content-type", "").startswith("text/event-stream")

    def _ask(self, settings: Settings) -> None:
        """Find out who called and what answered, where the handler has not said so."""
        inference = self.inference
        client_id = self._client_id or settings.client_id_header
        if client_id is not None and "client_id" not in inference.fields:
            find_client_id(inference, client_id, self.request(), self.request_header, settings)
        if self._model_version is not None and "model_version" not in inference.fields:
            find_model_version(inference, self._model_version, self.request(), self.response_headers())

    @abstractmethod
    def request(self) -> Any:
        """Return what the protocol calls the request: the scope or the environ."""

    @abstractmethod
    def request_header(self, name: str) -> str | None:
        """Return the request's header of that *name*, in lower case; several with commas between them."""

    @abstractmethod
    def response_headers(self) -> Mapping[str, str]:
        """Return the headers of the response, names in lower case; none before it began."""

    @abstractmethod
    def route_template(self) -> str | None:
        """Return the template of the route that took the request."""
