"""The load of one process: shared state of its callers, open requests, and times to the first token."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary

import gevent
from gevent.pool import Group
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner
from locust.stats import RequestStats, StatsEntry, get_percentile_stats_summary

from inferlog_traffic import exchange
from inferlog_traffic.bodies import read_prompts
from inferlog_traffic.exchange import ROUTE, ObservedResponse, RequestOutcome, TrafficRequest
from inferlog_traffic.records import RecordFile, RequestRecord
from inferlog_traffic.settings import TrafficSettings

_KEY: Final = "inferlog_first_tokens"
_console: Final = logging.getLogger("locust.stats_logger")


class FirstTokens:
    """Times to the first token by class of caller, apart from Locust's statistics, which would add them to its sums."""

    def __init__(self) -> None:
        self._stats = RequestStats(use_response_times_cache=False)

    def add(self, caller: str, seconds: float) -> None:
        """Add a time, in *seconds* after the request was due."""
        self._stats.log_request(caller, ROUTE, round(1000 * seconds), 0)

    def listen(self, environment: Environment) -> None:
        """Follow the runs of *environment*."""
        environment.events.test_start.add_listener(self._clear)
        environment.events.report_to_master.add_listener(self._add_to_report)
        environment.events.worker_report.add_listener(self._read_report)
        environment.events.quit.add_listener(lambda **_: self._print(environment))

    def _clear(self, **_: object) -> None:
        self._stats.clear_all()

    def _add_to_report(self, data: dict[str, Any], **_: object) -> None:
        data[_KEY] = self._stats.serialize_stats()

    def _read_report(self, data: dict[str, Any], **_: object) -> None:
        for report in data.get(_KEY, ()):
            entry = StatsEntry.unserialize(report, self._stats)
            self._stats.get(entry.name, entry.method).extend(entry)
            self._stats.total.extend(entry)

    def _print(self, environment: Environment) -> None:
        # Workers have sent their statistics to the master.
        if self._stats.total.num_requests and not isinstance(environment.runner, WorkerRunner):
            _console.info("Time to the first token, in milliseconds after the request was due")
            for line in get_percentile_stats_summary(self._stats)[1:]:
                _console.info(line)
            _console.info("")


_log: Final = logging.getLogger(__name__)
_STOP_SECONDS: Final = 5.0
"""Time to wait for open requests when a user stops a run. At the regular end of a run, its shape has waited already."""


class UnexpectedEndError(Exception):
    """A request ended with an unexpected outcome. Locust counts errors by their text, so it contains no details."""


class Generator:
    """
    Shared state of the callers of this process. Files are opened once, and the web page cannot change them.

    Attributes:
        settings: Settings of the run.
        run_id: Prefix of the correlation ids, different for each run.
        worker: Index of this process.
        prompts: Prompts that callers choose from.
        has_sent_all: True if the maximum number of requests of this run has been sent.
    """

    settings: TrafficSettings
    run_id: str
    worker: int
    has_sent_all: bool = False

    def __init__(self, environment: Environment, first_tokens: FirstTokens) -> None:
        """
        Read the prompts and open the file of records.

        Raises:
            ValueError: If the file of prompts is not valid.
            OSError: If the file of records is not writable.
        """
        options = environment.parsed_options
        assert options  # noqa: S101 (Locust's own command line has made the environment)
        self.prompts = read_prompts(Path(options.prompts))
        self._records = RecordFile(Path(options.records)) if options.records else None
        self._pool = exchange.open_pool(
            answer_timeout_seconds=options.answer_timeout, keep_alive=not options.new_connections
        )
        self._environment = environment
        self._first_tokens = first_tokens
        self._under_way = Group()
        self._callers: Counter[str] = Counter()
        self._starts = 0
        self._sent = 0

    @property
    def requests_under_way(self) -> int:
        """Number of open requests."""
        return len(self._under_way)

    def begin(self) -> None:
        """Begin a run with the current options."""
        runner, options = self._environment.runner, self._environment.parsed_options
        assert options  # noqa: S101 (as above)
        self._starts += 1
        self.settings = TrafficSettings.from_options(options)
        # The web page can start several runs with the same options.
        self.run_id = self.settings.run_id if self._starts == 1 else f"{self.settings.run_id}.{self._starts}"
        self.worker = runner.worker_index if isinstance(runner, LocalRunner | WorkerRunner) else 0
        self._callers.clear()
        self._sent = 0

    def end(self) -> None:
        """Wait briefly for open requests, then abandon the rest."""
        self._under_way.join(timeout=_STOP_SECONDS)
        self._under_way.kill()
        self.has_sent_all = False  # the shape reads this before the next run begins

    def make_name(self, caller: str) -> str:
        """Return a name for the next caller of this class; the n-th caller has the same name in every run."""
        self._callers[caller] += 1
        return f"{caller}-{self.worker}-{self._callers[caller]}"

    def send(self, request: TrafficRequest, *, due_at: float, expected: RequestOutcome, url: str) -> None:
        """
        Send *request* and return at once.

        Args:
            request: Request to send.
            due_at: Time at which it was due, on `time.perf_counter`; its latency counts from here.
            expected: Expected outcome.
            url: Base URL of the service.
        """
        self._sent += 1
        self.has_sent_all = self._sent == self.settings.most_requests
        self._under_way.spawn(self._send, request, due_at, expected, url)

    def _send(self, request: TrafficRequest, due_at: float, expected: RequestOutcome, url: str) -> None:
        answer = ObservedResponse()
        sent_at = perf_counter()
        try:
            exchange.send_request(self._pool, url, request, answer)
        except gevent.GreenletExit:
            answer.ended_at = perf_counter()
        self._record(request, answer, expected, due_at=due_at, sent_at=sent_at)

    def _record(
        self,
        request: TrafficRequest,
        answer: ObservedResponse,
        expected: RequestOutcome,
        *,
        due_at: float,
        sent_at: float,
    ) -> None:
        ended_after = (answer.ended_at or perf_counter()) - due_at
        first_token_after = None if answer.first_token_at is None else answer.first_token_at - due_at
        if self._records is not None:
            record = RequestRecord(
                correlation_id=request.correlation_id,
                caller=request.caller,
                route=ROUTE,
                model=request.model,
                # By the current system time, which events use too and which may have been set since.
                intended_at=datetime.now(UTC) - timedelta(seconds=perf_counter() - due_at),
                sent_after_seconds=sent_at - due_at,
                first_token_after_seconds=first_token_after,
                ended_after_seconds=ended_after,
                status_code=answer.status_code,
                outcome=answer.outcome,
            )
            try:
                self._records.append(record)
            except OSError as error:
                _log.critical("the records of this run are incomplete: %s", error)
                self._environment.process_exit_code = 2
        if first_token_after is not None:
            self._first_tokens.add(request.caller, first_token_after)
        self._environment.events.request.fire(
            request_type=request.caller,
            name=ROUTE,
            response_time=1000 * ended_after,
            response_length=answer.body_bytes,
            exception=None if answer.outcome is expected else UnexpectedEndError(_describe_outcome(answer)),
            context={},
        )


def _describe_outcome(answer: ObservedResponse) -> str:
    return answer.outcome if answer.status_code is None else f"{answer.outcome} ({answer.status_code})"


_generators: WeakKeyDictionary[Environment, Generator] = WeakKeyDictionary()


def install(environment: Environment, generator: Generator) -> None:
    """Register *generator* for *environment*, the only object that Locust passes to its users."""
    _generators[environment] = generator


def get_generator(environment: Environment) -> Generator:
    return _generators[environment]
