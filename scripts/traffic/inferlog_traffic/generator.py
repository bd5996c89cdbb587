"""One process's part in the load: what its callers share, and what is under way."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final
from weakref import WeakKeyDictionary

import gevent
from gevent.pool import Group
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from inferlog_traffic import exchange
from inferlog_traffic.exchange import ROUTE, Answer, Outcome, Request
from inferlog_traffic.first_tokens import FirstTokens
from inferlog_traffic.prompts import read_prompts
from inferlog_traffic.records import Record, RecordFile
from inferlog_traffic.settings import Settings

_log: Final = logging.getLogger(__name__)
_PATIENCE_SECONDS: Final = 5.0
"""How long answers are waited for when somebody stops a run; the shape of one that ends by itself has waited before."""


class UnexpectedEndError(Exception):
    """A request ended in another way than its caller had in mind; counted by its text, so nothing particular in it."""


class Generator:
    """
    What the callers of this process have in common. Files are opened once, whatever the web page says later.

    Attributes:
        settings: Of the run.
        run_id: What its correlation ids begin with: another one at each start.
        worker: Which of the processes this is.
        prompts: What callers choose from.
        has_sent_all: Whether as many requests are sent as there may be in this run.
    """

    settings: Settings
    run_id: str
    worker: int
    has_sent_all: bool = False

    def __init__(self, environment: Environment, first_tokens: FirstTokens) -> None:
        """
        Read the prompts and open the file of records.

        Raises:
            ValueError: If the prompts cannot be used.
            OSError: If the file of records cannot be written to.
        """
        options = environment.parsed_options
        assert options  # noqa: S101 (Locust's own command line has made the environment)
        self.prompts = read_prompts(Path(options.prompts))
        self._records = RecordFile(Path(options.records)) if options.records else None
        self._pool = exchange.new_pool(answer_timeout_seconds=options.answer_timeout)
        self._environment = environment
        self._first_tokens = first_tokens
        self._under_way = Group()
        self._callers: Counter[str] = Counter()
        self._starts = 0
        self._sent = 0

    @property
    def requests_under_way(self) -> int:
        """How many have been sent and not ended."""
        return len(self._under_way)

    def begin(self) -> None:
        """Begin a run with the options as they are now."""
        runner, options = self._environment.runner, self._environment.parsed_options
        assert options  # noqa: S101 (as above)
        self._starts += 1
        self.settings = Settings.of(options)
        # The web page starts run after run with the same options.
        self.run_id = self.settings.run_id if self._starts == 1 else f"{self.settings.run_id}.{self._starts}"
        self.worker = runner.worker_index if isinstance(runner, LocalRunner | WorkerRunner) else 0
        self._callers.clear()
        self._sent = 0

    def end(self) -> None:
        """Give the last answers a moment, then let go of those that have not come."""
        self._under_way.join(timeout=_PATIENCE_SECONDS)
        self._under_way.kill()
        self.has_sent_all = False  # the shape asks before the next run begins

    def new_name(self, caller: str) -> str:
        """Return a name for one more of this class: the same for the n-th of them in every run."""
        self._callers[caller] += 1
        return f"{caller}-{self.worker}-{self._callers[caller]}"

    def send(self, request: Request, *, due_at: float, wanted: Outcome, url: str) -> None:
        """
        Send *request* and return at once.

        Args:
            request: What to send.
            due_at: When it was due, on `time.perf_counter`: the moment its latency counts from.
            wanted: How it ends if all is well.
            url: The service.
        """
        self._sent += 1
        self.has_sent_all = self._sent == self.settings.most_requests
        self._under_way.spawn(self._exchange, request, due_at, wanted, url)

    def _exchange(self, request: Request, due_at: float, wanted: Outcome, url: str) -> None:
        answer = Answer()
        sent_at = perf_counter()
        try:
            exchange.exchange(self._pool, url, request, answer)
        except gevent.GreenletExit:
            answer.ended_at = perf_counter()
        self._note(request, answer, wanted, due_at=due_at, sent_at=sent_at)

    def _note(self, request: Request, answer: Answer, wanted: Outcome, *, due_at: float, sent_at: float) -> None:
        ended_after = (answer.ended_at or perf_counter()) - due_at
        first_token_after = None if answer.first_token_at is None else answer.first_token_at - due_at
        if self._records is not None:
            record = Record(
                correlation_id=request.correlation_id,
                caller=request.caller,
                route=ROUTE,
                model=request.model,
                # By the clock of now, which may have been set meanwhile: events carry its time, too.
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
                _log.critical("the records are incomplete, and this run proves nothing: %s", error)
                self._environment.process_exit_code = 2
        if first_token_after is not None:
            self._first_tokens.note(request.caller, first_token_after)
        self._environment.events.request.fire(
            request_type=request.caller,
            name=ROUTE,
            response_time=1000 * ended_after,
            response_length=answer.body_bytes,
            exception=None if answer.outcome is wanted else UnexpectedEndError(_told(answer)),
            context={},
        )


def _told(answer: Answer) -> str:
    return answer.outcome if answer.status_code is None else f"{answer.outcome} ({answer.status_code})"


_generators: WeakKeyDictionary[Environment, Generator] = WeakKeyDictionary()


def install(environment: Environment, generator: Generator) -> None:
    """Make *generator* the one of *environment*, which is all that Locust gives to its users."""
    _generators[environment] = generator


def of(environment: Environment) -> Generator:
    """Return the generator of *environment*."""
    return _generators[environment]
