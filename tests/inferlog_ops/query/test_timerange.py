"""Time range options."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.timerange import build_time_range, parse_moment

NOW = datetime(2026, 11, 23, 6, 15, tzinfo=UTC)


def test_default_range_is_the_last_fifteen_minutes() -> None:
    assert build_time_range(last=None, from_=None, to=None, now=NOW) == (NOW - timedelta(minutes=15), NOW)


def test_last_reaches_back_from_now() -> None:
    assert build_time_range(last="2h", from_=None, to=None, now=NOW) == (NOW - timedelta(hours=2), NOW)


def test_last_reaches_back_from_to() -> None:
    end = datetime(2026, 1, 1, tzinfo=UTC)
    assert build_time_range(last="1d", from_=None, to="2026-01-01", now=NOW) == (end - timedelta(days=1), end)


def test_from_alone_reaches_until_now() -> None:
    begin = datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert build_time_range(last=None, from_="2026-11-23T06:00:00Z", to=None, now=NOW) == (begin, NOW)


def test_from_and_last_are_mutually_exclusive() -> None:
    with pytest.raises(OperatorError, match="--last and --from"):
        build_time_range(last="1h", from_="2026-11-23", to=None, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T06:15:00Z",
        "2026-11-23T06:15:00",
        "2026-11-23T06:15",
        "2026-11-23 06:15:00+00:00",
        "2026-11-23T07:15:00+01:00",
        "20261123T061500Z",
    ],
)
def test_time_without_offset_is_in_utc(text: str) -> None:
    assert parse_moment(text, "--from") == NOW
    assert parse_moment(text, "--from").tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "now", "yesterday", "23.11.2026", "2026-13-01", "15m", "0001-01-01T00:00:00+14:00"]
)
def test_invalid_time_is_rejected_with_its_option(text: str) -> None:
    with pytest.raises(OperatorError, match="--to is .*expected ISO 8601") as refusal:
        parse_moment(text, "--to")
    assert refusal.value.exit_code == 2


def test_range_before_year_one_is_rejected() -> None:
    with pytest.raises(OperatorError, match="starts before the year 1"):
        build_time_range(last="200000w", from_=None, to=None, now=NOW)
    with pytest.raises(OperatorError, match="--last 15m starts before the year 1"):
        build_time_range(last=None, from_=None, to="0001-01-01", now=NOW)


@given(st.text())
def test_any_text_is_a_valid_time_or_rejected(text: str) -> None:
    try:
        moment = parse_moment(text, "--from")
    except OperatorError:
        return
    assert moment.tzinfo is UTC
