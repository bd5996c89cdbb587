"""Locust's users, a class for each way to behave. None of them waits for an answer before it asks again."""

from collections.abc import Iterator
from random import Random
from time import perf_counter
from typing import Any, ClassVar

from locust import User, task
from locust.exception import StopUser

from inferlog_traffic import arrivals, bodies, generator
from inferlog_traffic.exchange import Outcome, Request


class Caller(User):
    """
    Asks at moments of its own, drawn from the seed.

    Attributes:
        caller: Name of the class in statistics and records.
        wanted: How its requests end if all is well.
    """

    abstract = True
    host = "http://127.0.0.1:8000"
    caller: ClassVar[str]
    wanted: ClassVar[Outcome] = Outcome.ANSWERED

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.generator = generator.of(environment)
        self.settings = self.generator.settings
        self._name = self.generator.new_name(self.caller)
        self._moments = self.moments(Random(f"{self.settings.seed}/{self._name}/when"))  # noqa: S311 (no secret)
        self.draw = Random(f"{self.settings.seed}/{self._name}/what")  # noqa: S311 (as above)
        self._sent = 0
        self._began_at = self._due_at = 0.0

    def moments(self, draw: Random) -> Iterator[float]:
        """Return the seconds from the start on at which requests are due."""
        return arrivals.independent(self.settings.user_requests_per_second, draw)

    def request(self, correlation_id: str) -> Request:
        """Return the next request, a question to any version."""
        return self.chat(correlation_id, self.settings.model)

    def chat(self, correlation_id: str, model: str, **more: Any) -> Request:
        """Return a request that asks *model* one of the prompts."""
        body = bodies.chat(model, self.draw.choice(self.generator.prompts), **more)
        return Request(
            correlation_id=correlation_id,
            caller=self.caller,
            body=body,
            model=model,
            streamed=bool(more.get("stream")),
        )

    def on_start(self) -> None:
        """Look up when the first request is due."""
        self._began_at = perf_counter()
        self._due_at = self._began_at + next(self._moments)

    def wait_time(self) -> float:
        """Return the seconds until the next request is due."""
        return max(0.0, self._due_at - perf_counter())

    @task
    def ask(self) -> None:
        """Send what is due. What was sent before may still be under way."""
        while self._due_at <= perf_counter():
            if self.generator.has_sent_all:
                raise StopUser
            self._sent += 1
            request = self.request(f"{self.generator.run_id}-{self._name}-{self._sent}")
            self.generator.send(request, due_at=self._due_at, wanted=self.wanted, url=str(self.host))
            self._due_at = self._began_at + next(self._moments)


class SteadyChat(Caller):
    """Asks, and wants the whole answer at once."""

    caller = "steady"
    weight = 8


class StreamingChat(Caller):
    """Reads the answer while it is being made: the first token is what counts."""

    caller = "stream"
    weight = 6

    def request(self, correlation_id: str) -> Request:
        """Return the next request, for a stream."""
        return self.chat(correlation_id, self.settings.model, stream=True)


class BurstChat(Caller):
    """Asks many things at once, then nothing for long: a batch job, or a page with many parts."""

    caller = "burst"
    weight = 2

    def moments(self, draw: Random) -> Iterator[float]:
        """Return the same moment again and again before the next."""
        return arrivals.bursts(self.settings.user_requests_per_second, draw, size=self.settings.burst_requests)


class CanaryChat(Caller):
    """Asks for one version of the model: a team that tries the new one, or keeps to the old one."""

    caller = "canary"
    weight = 2

    def request(self, correlation_id: str) -> Request:
        """Return the next request, for the pinned version."""
        return self.chat(correlation_id, f"{self.settings.model}:{self.settings.pinned_version}")


class MalformedChat(Caller):
    """Sends what no service can answer, and is to be told so."""

    caller = "malformed"
    weight = 1
    wanted = Outcome.REFUSED

    def request(self, correlation_id: str) -> Request:
        """Return the next mistake."""
        body = self.draw.choice(bodies.malformed(self.settings.model))
        return Request(correlation_id=correlation_id, caller=self.caller, body=body, model=None)


class LeavingChat(Caller):
    """Asks for a long story and closes the page at its first word."""

    caller = "leaving"
    weight = 1
    wanted = Outcome.LEFT

    def request(self, correlation_id: str) -> Request:
        """Return the next request for a story."""
        model = self.settings.model
        return Request(
            correlation_id=correlation_id,
            caller=self.caller,
            body=bodies.chat(model, bodies.LONG_STORY, stream=True),
            model=model,
            streamed=True,
            leaves=True,
        )


class LongChat(Caller):
    """Asks one version for so long a story that a service may give it up."""

    caller = "long"
    weight = 1

    def request(self, correlation_id: str) -> Request:
        """Return the next request for a story."""
        model = f"{self.settings.model}:{self.settings.pinned_version}"
        body = bodies.chat(model, bodies.LONG_STORY, max_tokens=bodies.MANY_TOKENS)
        return Request(correlation_id=correlation_id, caller=self.caller, body=body, model=model)
