"""Answer functions by query name."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.golden import canary, cost, delivery, health, latency, listings, long_range, traffic
from tests.golden.reading import Document, Row, get_time

Answer = Callable[[list[Document], datetime, datetime], list[Row]]

_WIDTHS_SECONDS = {  # longest range, width of its buckets
    60: 1, 300: 5, 900: 15, 1800: 30, 3600: 60, 10800: 180, 21600: 300, 43200: 600, 86400: 1800,
    259200: 3600, 604800: 10800, 2592000: 43200, 7948800: 86400,
}  # fmt: skip
_WEEK_SECONDS = 604800
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWERS: dict[str, Answer] = {
    **traffic.ANSWERS,
    **latency.ANSWERS,
    **long_range.ANSWERS,
    **cost.ANSWERS,
    **listings.ANSWERS,
    **canary.ANSWERS,
    **delivery.ANSWERS,
    **health.ANSWERS,
}


def compute_expected_rows(
    name: str, documents: list[Document], start: datetime, end: datetime, *, width: timedelta | None = None
) -> list[Row]:
    """
    Return the rows that the query *name* must give for *documents*, all of which lie in the range.

    A query over time has buckets of *width*; None: of the width that the query files choose.
    """
    base = name.removesuffix("_over_time")
    assert base in _ANSWERS, (
        f"add the expected rows of dashboards/queries/{base}.esql to ANSWERS in a file of tests/golden"
    )
    if base == name:
        return _ANSWERS[base](documents, start, end)
    return _answer_over_time(_ANSWERS[base], documents, start, end, width or _choose_width(end - start))


def allow_for_rounding(rows: list[Row]) -> list[Row]:
    """Allow for the last digits of a percentile, a sum or a quotient; everything else must be equal."""
    return [
        {
            name: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _choose_width(span: timedelta) -> timedelta:
    span_seconds = span.total_seconds()
    return timedelta(
        seconds=next((width for longest, width in _WIDTHS_SECONDS.items() if span_seconds <= longest), _WEEK_SECONDS)
    )


def _answer_over_time(
    answer: Answer, documents: list[Document], start: datetime, end: datetime, width: timedelta
) -> list[Row]:
    slices: defaultdict[datetime, list[Document]] = defaultdict(list)
    for document in documents:
        moment = get_time(document)
        slices[moment - (moment - _EPOCH) % width].append(document)
    return [
        {"bucket": begin.strftime("%Y-%m-%dT%H:%M:%S.000Z"), **row}
        for begin, inside in sorted(slices.items())
        for row in answer(inside, max(begin, start), min(begin + width, end))
    ]
