"""The load's shape: so many of Locust's users as make the curve's rate, and an end that waits for the last answers."""

import logging
from typing import Any, Final

from locust import LoadTestShape
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from inferlog_traffic import generator
from inferlog_traffic.settings import Settings

_log: Final = logging.getLogger(__name__)
_KEY: Final = "inferlog_requests_under_way"
_AT_ONCE: Final = 100.0
"""Users to start in a second; above, Locust warns."""


class Busy:
    """Which processes still have users that ask or requests under way, as far as they have told."""

    def __init__(self) -> None:
        self._busy: dict[str, bool] = {}

    def listen(self, environment: Environment) -> None:
        """Follow the processes of *environment*."""
        environment.events.test_start.add_listener(lambda **_: self._begin(environment.runner))
        environment.events.report_to_master.add_listener(lambda data, **_: self._tell(environment, data))
        environment.events.worker_report.add_listener(self._hear)

    def any(self, runner: Any) -> bool:
        """Whether somebody is busy."""
        if isinstance(runner, MasterRunner):
            # Of those that are still there: one that died tells nothing any more.
            return any(self._busy.get(worker, False) for worker in runner.clients)
        return runner.user_count > 0 or generator.of(runner.environment).requests_under_way > 0

    def _begin(self, runner: Any) -> None:
        # Until it tells: its next report may come after the end of a short run.
        self._busy = {worker.id: True for worker in runner.clients.values()} if isinstance(runner, MasterRunner) else {}

    @staticmethod
    def _tell(environment: Environment, data: dict[str, Any]) -> None:
        data[_KEY] = generator.of(environment).requests_under_way

    def _hear(self, client_id: str, data: dict[str, Any], **_: object) -> None:
        self._busy[client_id] = data.get(_KEY, 0) > 0 or data["user_count"] > 0


busy: Final = Busy()


def _has_sent_all(runner: Any) -> bool:
    """Whether no more may be sent; a master does not send, and so runs on till the end of the time."""
    return isinstance(runner, LocalRunner) and generator.of(runner.environment).has_sent_all


class Load(LoadTestShape):
    """Follows the curve that the options name."""

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be from now on, and how fast they come; None at the end."""
        if self.runner is None or self.runner.environment.parsed_options is None:
            return None
        options = self.runner.environment.parsed_options
        try:
            settings = Settings.of(options)
        except ValueError as error:
            _log.error("nothing was started: %s", error)
            return None
        elapsed_seconds: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if elapsed_seconds < settings.duration_seconds and not _has_sent_all(self.runner):
            users = settings.users_after(elapsed_seconds)
            return users, max(users, _AT_ONCE)
        if busy.any(self.runner) and elapsed_seconds < settings.duration_seconds + options.answer_timeout:
            return 0, _AT_ONCE
        return None
