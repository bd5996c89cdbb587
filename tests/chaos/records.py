"""What the load saw: which requests were answered, and how soon."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import numpy as np
import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request.

    Attributes:
        correlation_id: Stands in its event, too.
        intended_at: When it was due; Unix time.
        latency_seconds: From then until its answer was there, or there was to be none.
        status_code: Of its answer; None if no whole one came.
    """

    correlation_id: str
    intended_at: float
    latency_seconds: float
    status_code: int | None

    @property
    def answered(self) -> bool:
        """Whether it got what it asked for."""
        return self.status_code == HTTPStatus.OK


def read_requests(records: Path) -> list[Request]:
    """Return the requests that *records* tells of."""
    return [
        Request(
            correlation_id=record["correlation_id"],
            intended_at=record["intended_at"],
            latency_seconds=record["ended_after_seconds"],
            status_code=record["status_code"],
        )
        for record in map(orjson.loads, records.read_bytes().splitlines())
    ]


def p99_seconds(requests: list[Request], began: float, ended: float) -> float | None:
    """Return the p99 of the answered *requests* that were due from *began* to before *ended*; None without one."""
    latencies = [each.latency_seconds for each in requests if each.answered and began <= each.intended_at < ended]
    return round(float(np.percentile(latencies, 99)), 4) if latencies else None
