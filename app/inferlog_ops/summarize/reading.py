"""Complete answers from Elasticsearch, which returns at most 10 000 rows at once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.timerange import format_iso
from inferlog_ops.summarize.summary import SummaryInterval

MOST_ROWS = 10_000

_Row = TypeVar("_Row")


class TooManyRowsError(OperatorError):
    """
    An interval whose answer may be cut off.

    Attributes:
        start: Start of the interval.
    """

    def __init__(self, start: datetime, interval: SummaryInterval) -> None:
        super().__init__(
            f"{format_iso(start)}: {MOST_ROWS:,} or more combinations of service, version, route and status in "
            f"{interval.value} s; are raw paths or ids logged as http.route or model_version?"
        )
        self.start = start


def read_whole(
    read: Callable[[datetime, datetime], list[_Row]], start: datetime, end: datetime, interval: SummaryInterval
) -> list[_Row]:
    """
    Return the rows that *read* returns from *start* to *end*, in halves of the range if an answer may be cut off.

    Raises:
        TooManyRowsError: If one interval alone has too many rows.
    """
    rows = read(start, end)
    if len(rows) < MOST_ROWS:
        return rows
    if end - start <= interval.duration:
        raise TooManyRowsError(start, interval)
    middle = interval.floor(start + (end - start) / 2)
    return read_whole(read, start, middle, interval) + read_whole(read, middle, end, interval)


def fetch_esql(client: Elasticsearch, text: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the rows of the ES|QL query *text*, which has the parameters ``?start`` and ``?end``."""
    answer = client.esql.query(
        query=f"{text}\n| LIMIT {MOST_ROWS}",
        params=[{"start": format_iso(start)}, {"end": format_iso(end)}],
        # A sum from some of the shards is wrong.
        allow_partial_results=False,
    )
    names = [column["name"] for column in answer["columns"]]
    return [dict(zip(names, values, strict=True)) for values in answer["values"]]
