"""Locust's users, one class per behaviour. None of them waits for a response before its next request."""

from collections.abc import Iterator
from random import Random
from time import perf_counter
from typing import Any, ClassVar

from locust import User, task
from locust.exception import StopUser

from inferlog_traffic import arrivals, bodies, generator
from inferlog_traffic.exchange import RequestOutcome, TrafficRequest


class Caller(User):
    """
    User that sends requests at times of its own, drawn from the seed.

    Attributes:
        caller: Name of the class in statistics and records.
        expected: Expected outcome of its requests.
    """

    abstract = True
    host = "http://127.0.0.1:8000"
    caller: ClassVar[str]
    expected: ClassVar[RequestOutcome] = RequestOutcome.ANSWERED

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.generator = generator.get_generator(environment)
        self.settings = self.generator.settings
        self._name = self.generator.make_name(self.caller)
        self._times = self.draw_times(Random(f"{self.settings.seed}/{self._name}/when"))  # noqa: S311 (no secret)
        self.draw = Random(f"{self.settings.seed}/{self._name}/what")  # noqa: S311 (as above)
        self._sent = 0
        self._began_at = self._due_at = 0.0

    def draw_times(self, draw: Random) -> Iterator[float]:
        """Return the times at which requests are due, in seconds from the start."""
        return arrivals.draw_independent(self.settings.user_requests_per_second, draw)

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next request, to any version."""
        return self.build_chat(correlation_id, self.settings.model)

    def build_chat(self, correlation_id: str, model: str, **more: Any) -> TrafficRequest:
        """Return a request to *model* with one of the prompts."""
        body = bodies.build_chat(model, self.draw.choice(self.generator.prompts), **more)
        return TrafficRequest(
            correlation_id=correlation_id,
            caller=self.caller,
            body=body,
            model=model,
            streamed=bool(more.get("stream")),
        )

    def on_start(self) -> None:
        """Schedule the first request."""
        self._began_at = perf_counter()
        self._due_at = self._began_at + next(self._times)

    def wait_time(self) -> float:
        """Return the seconds until the next request is due."""
        return max(0.0, self._due_at - perf_counter())

    @task
    def send_due(self) -> None:
        """Send the requests that are due, even if earlier ones are still open."""
        while self._due_at <= perf_counter():
            if self.generator.has_sent_all:
                raise StopUser
            self._sent += 1
            request = self.build_request(f"{self.generator.run_id}-{self._name}-{self._sent}")
            self.generator.send(request, due_at=self._due_at, expected=self.expected, url=str(self.host))
            self._due_at = self._began_at + next(self._times)


class SteadyChat(Caller):
    """User that requests whole responses."""

    caller = "steady"
    weight = 8


class StreamingChat(Caller):
    """User that requests streams; its time to the first token is measured."""

    caller = "stream"
    weight = 6

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next request, for a stream."""
        return self.build_chat(correlation_id, self.settings.model, stream=True)


class BurstChat(Caller):
    """User that sends many requests at once, then none for a long time, like a batch job."""

    caller = "burst"
    weight = 2

    def draw_times(self, draw: Random) -> Iterator[float]:
        """Return each time once per request of the burst."""
        return arrivals.draw_bursts(self.settings.user_requests_per_second, draw, size=self.settings.burst_requests)


class CanaryChat(Caller):
    """User that requests one version of the model, like a team that tries a new version."""

    caller = "canary"
    weight = 2

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next request, for the pinned version."""
        return self.build_chat(correlation_id, f"{self.settings.model}:{self.settings.pinned_version}")


class MalformedChat(Caller):
    """User that sends malformed requests, which the service must reject."""

    caller = "malformed"
    weight = 1
    expected = RequestOutcome.REFUSED

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next malformed request."""
        body = self.draw.choice(bodies.build_malformed(self.settings.model))
        return TrafficRequest(correlation_id=correlation_id, caller=self.caller, body=body, model=None)


class LeavingChat(Caller):
    """User that requests a long stream and disconnects at its first token."""

    caller = "leaving"
    weight = 1
    expected = RequestOutcome.LEFT

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next request for a story."""
        model = self.settings.model
        return TrafficRequest(
            correlation_id=correlation_id,
            caller=self.caller,
            body=bodies.build_chat(model, bodies.LONG_STORY, stream=True),
            model=model,
            streamed=True,
            leaves=True,
        )


class LongChat(Caller):
    """User that requests a response so long that it may exceed the service's deadline."""

    caller = "long"
    weight = 1

    def build_request(self, correlation_id: str) -> TrafficRequest:
        """Return the next request for a story."""
        model = f"{self.settings.model}:{self.settings.pinned_version}"
        body = bodies.build_chat(model, bodies.LONG_STORY, max_tokens=bodies.MANY_TOKENS)
        return TrafficRequest(correlation_id=correlation_id, caller=self.caller, body=body, model=model)
