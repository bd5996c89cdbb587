from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.durations import parse_duration
from inferlog_ops.core.errors import OperatorError


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1h30m", timedelta(minutes=90)),
        ("0.5h", timedelta(minutes=30)),
        (" 7D ", timedelta(days=7)),
    ],
)
def test_durations_are_parsed(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 d", "-7d", "7y", "1h,30m", "0s", "inf", "nan", "1e9d", "٧d", "7d\n8", "999999999w"]
)
def test_invalid_duration_is_rejected_with_examples(text: str) -> None:
    with pytest.raises(OperatorError, match="expected a number with s, m, h, d or w, such as 90s"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_a_positive_duration_or_rejected(text: str) -> None:
    with suppress(OperatorError):
        assert parse_duration(text) > timedelta(0)


@given(st.integers(1, 10_000), st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m") == timedelta(hours=hours, minutes=minutes)
