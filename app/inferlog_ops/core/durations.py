"""Durations as users write them: ``90s``, ``15m``, ``12h``, ``7d``, ``2w``, ``1h30m``."""

import re
from datetime import datetime, timedelta

from inferlog_ops.core.errors import OperatorError

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def parse_duration(text: str) -> timedelta:
    """
    Parse *text*, a sum of numbers with a unit: s, m, h, d or w.

    Raises:
        OperatorError: If it has another form, is zero, or is more than about 2.7 million years.
    """
    wanted = text.strip().lower()
    if not _WHOLE.fullmatch(wanted):
        raise _build_error(text)
    try:
        duration = sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(wanted)), timedelta())
    except OverflowError:
        raise _build_error(text) from None
    if not duration:
        raise _build_error(text)
    return duration


def go_back(end: datetime, text: str, option: str) -> datetime:
    """
    Return the time that is the duration *text*, the value of *option*, before *end*.

    Raises:
        OperatorError: If *text* is not a duration, or the time is before the year 1.
    """
    duration = parse_duration(text)
    try:
        return end - duration
    except OverflowError:
        raise OperatorError(f"{option} {text} starts before the year 1; choose a shorter one", exit_code=2) from None


def _build_error(text: str) -> OperatorError:
    return OperatorError(
        f"{text!r} is not a duration; expected a number with s, m, h, d or w, such as 90s, 15m, 12h or 7d",
        exit_code=2,
    )
