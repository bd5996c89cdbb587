"""What the demo found out, as plain data."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from inferlog_ops.query.reconcile import report
from inferlog_ops.query.reconcile.result import Result as Reconciled

_OF_A_VERSION = (
    "requests",
    "errors",
    "error_rate",
    "requests_per_second",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    "time_to_first_token_p50_seconds",
    "input_tokens",
    "output_tokens",
    "output_tokens_per_second",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    The run's figures. Sent, written, shipped and found are equal, or something is missing.

    Attributes:
        sent: Requests sent by the client.
        written: Their events in the log files.
        shipped: Of these, how many the store has answered the shipper for, 201 or 409.
        found: Their events in the index.
        duplicates: Documents too many in the index.
        dead_lettered: Of the written events, how many the store refused.
        setup_seconds: From the start of the command to the first request.
        versions: Rows of the query ``overview`` by model version.
        missing: Correlation ids of requests without an event in the index.
        unexpected: Correlation ids with more events than one.
        reconciled: What clients and dashboards say of the same requests.
    """

    sent: int
    written: int
    shipped: int
    found: int
    duplicates: int
    dead_lettered: int
    setup_seconds: float
    versions: dict[str, dict[str, Any]]
    missing: list[str]
    unexpected: list[str]
    reconciled: Reconciled

    @property
    def complete(self) -> bool:
        """Every request has exactly one event, everywhere, and it tells the same end."""
        return self.sent == self.written == self.shipped == self.found and not (
            self.duplicates or self.missing or self.unexpected or not self.reconciled.complete
        )

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a program reads them."""
        return asdict(self) | {"reconciled": report.as_json(self.reconciled)}


def versions_of(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows of the query ``overview`` by model version."""
    return {row["model_version"]: {name: row[name] for name in _OF_A_VERSION} for row in rows}


def missing_and_unexpected(sent: Iterable[str], found: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which of the ids *sent* were not *found*, and which were found more often than sent."""
    sent_counts, found_counts = Counter(sent), Counter(found)
    return sorted((sent_counts - found_counts).elements()), sorted((found_counts - sent_counts).elements())
