"""Statistics of the time to the first token, gathered from all processes and printed below Locust's own tables."""

import logging
from typing import Any, Final

from locust.env import Environment
from locust.runners import WorkerRunner
from locust.stats import RequestStats, StatsEntry, get_percentile_stats_summary

from inferlog_traffic.exchange import ROUTE

_KEY: Final = "inferlog_first_tokens"
_console: Final = logging.getLogger("locust.stats_logger")


class FirstTokens:
    """Times to the first token by class of caller. Beside Locust's statistics, whose sums they would spoil."""

    def __init__(self) -> None:
        self._stats = RequestStats(use_response_times_cache=False)

    def note(self, caller: str, seconds: float) -> None:
        """Count one, in *seconds* after the request was due."""
        self._stats.log_request(caller, ROUTE, round(1000 * seconds), 0)

    def listen(self, environment: Environment) -> None:
        """Follow the runs of *environment*."""
        environment.events.test_start.add_listener(self._clear)
        environment.events.report_to_master.add_listener(self._hand_over)
        environment.events.worker_report.add_listener(self._take_over)
        environment.events.quit.add_listener(lambda **_: self._print(environment))

    def _clear(self, **_: object) -> None:
        self._stats.clear_all()

    def _hand_over(self, data: dict[str, Any], **_: object) -> None:
        data[_KEY] = self._stats.serialize_stats()

    def _take_over(self, data: dict[str, Any], **_: object) -> None:
        for report in data.get(_KEY, ()):
            entry = StatsEntry.unserialize(report, self._stats)
            self._stats.get(entry.name, entry.method).extend(entry)
            self._stats.total.extend(entry)

    def _print(self, environment: Environment) -> None:
        # A worker has handed over what it knew.
        if self._stats.total.num_requests and not isinstance(environment.runner, WorkerRunner):
            _console.info("Time to the first token, in milliseconds after the request was due")
            for line in get_percentile_stats_summary(self._stats)[1:]:
                _console.info(line)
            _console.info("")
