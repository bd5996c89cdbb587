"""Time range of a command: ``--last``, or ``--from`` and ``--to``."""

from datetime import UTC, datetime

from inferlog_ops.core.durations import go_back
from inferlog_ops.core.errors import OperatorError

DEFAULT_LAST = "15m"


def build_time_range(
    *, last: str | None, from_: str | None, to: str | None, now: datetime
) -> tuple[datetime, datetime]:
    """
    Return start and end, in UTC.

    The end is *to*, or *now*. The start is *from_*, or *last* (default 15 minutes) before the end.

    Raises:
        OperatorError: If a value is invalid, or if both *last* and *from_* are given.
    """
    if last is not None and from_ is not None:
        raise OperatorError("--last and --from are mutually exclusive; give one of them", exit_code=2)
    end = parse_moment(to, "--to") if to is not None else now.astimezone(UTC)
    if from_ is not None:
        return parse_moment(from_, "--from"), end
    return go_back(end, last or DEFAULT_LAST, "--last"), end


def format_iso(moment: datetime) -> str:
    """Return *moment*, which has a time zone, as ISO 8601 in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_utc(moment: datetime) -> str:
    """Return *moment*, which has a time zone, for people: in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def read_timestamp(text: str) -> datetime:
    """Return the time *text*, ISO 8601; without an offset it is in UTC, as for Elasticsearch."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def parse_moment(text: str, option: str) -> datetime:
    """
    Parse an ISO 8601 time; without an offset it is in UTC.

    Raises:
        OperatorError: If *text*, the value of *option*, is not valid.
    """
    try:
        return read_timestamp(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise OperatorError(
            f"{option} is {text!r}; expected ISO 8601, such as 2026-11-23T06:15:00Z", exit_code=2
        ) from error
