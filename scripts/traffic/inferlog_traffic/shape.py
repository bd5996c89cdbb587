"""The load shape: the number of Locust's users over time, and an end that waits for open requests."""

import logging
from typing import Any, Final

from locust import LoadTestShape
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from inferlog_traffic import generator
from inferlog_traffic.settings import TrafficSettings

_log: Final = logging.getLogger(__name__)
_KEY: Final = "inferlog_requests_under_way"
_AT_ONCE: Final = 100.0
"""Users to start per second; Locust warns above this."""


class BusyProcesses:
    """Processes with users or open requests, by their last report."""

    def __init__(self) -> None:
        self._busy: dict[str, bool] = {}

    def listen(self, environment: Environment) -> None:
        """Register for the reports of *environment*."""
        environment.events.test_start.add_listener(lambda **_: self._begin(environment.runner))
        environment.events.report_to_master.add_listener(lambda data, **_: self._add_to_report(environment, data))
        environment.events.worker_report.add_listener(self._read_report)

    def is_any_busy(self, runner: Any) -> bool:
        """Return True if any process is busy."""
        if isinstance(runner, MasterRunner):
            # Connected workers only: one that died sends no more reports.
            return any(self._busy.get(worker, False) for worker in runner.clients)
        return runner.user_count > 0 or generator.get_generator(runner.environment).requests_under_way > 0

    def _begin(self, runner: Any) -> None:
        # Busy until its next report, which may arrive after the end of a short run.
        self._busy = {worker.id: True for worker in runner.clients.values()} if isinstance(runner, MasterRunner) else {}

    @staticmethod
    def _add_to_report(environment: Environment, data: dict[str, Any]) -> None:
        data[_KEY] = generator.get_generator(environment).requests_under_way

    def _read_report(self, client_id: str, data: dict[str, Any], **_: object) -> None:
        self._busy[client_id] = data.get(_KEY, 0) > 0 or data["user_count"] > 0


busy: Final = BusyProcesses()


def _has_sent_all(runner: Any) -> bool:
    """Return True at the maximum number of requests. A master sends none and runs until the end of the duration."""
    return isinstance(runner, LocalRunner) and generator.get_generator(runner.environment).has_sent_all


class Load(LoadTestShape):
    """Load shape of the curve in the options."""

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users from now on and their start rate; None at the end."""
        if self.runner is None or self.runner.environment.parsed_options is None:
            return None
        options = self.runner.environment.parsed_options
        try:
            settings = TrafficSettings.from_options(options)
        except ValueError as error:
            _log.error("the run was not started: %s", error)
            return None
        elapsed_seconds: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if elapsed_seconds < settings.duration_seconds and not _has_sent_all(self.runner):
            users = settings.count_users_after(elapsed_seconds)
            return users, max(users, _AT_ONCE)
        if busy.is_any_busy(self.runner) and elapsed_seconds < settings.duration_seconds + options.answer_timeout:
            return 0, _AT_ONCE
        return None
