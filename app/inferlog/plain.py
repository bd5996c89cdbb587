"""
The JSON form of a value that a service logs: the same in a label, a field and a captured prompt. Pure.

Enums become their value, NumPy's scalars Python's, dicts, lists and dataclasses JSON text with their secrets removed.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from numbers import Integral, Real
from typing import Any, Final

import orjson

from inferlog.redaction import REDACTED, names_a_secret, redact

LONG_MAX: Final = 2**63 - 1
"""Largest whole number that the index can carry; the least is its negative."""

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, list, tuple, dict, type(None)})  # the way of nearly every value
_DEPTH_LIMIT: Final = 16
_NUMBER_CHARACTERS: Final = 4
_CUT: Final = "…"


def scalar(value: Any) -> Any:
    """
    Return an enum's value and Python's own form of a number or truth value of NumPy; any other *value* unchanged.

    A whole number that the index cannot carry is returned unchanged too. Never raises.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    try:
        while isinstance(value, Enum):
            value = value.value
        if isinstance(value, bool):
            return value
        if isinstance(value, Integral):
            whole = int(value)
            return whole if -LONG_MAX <= whole <= LONG_MAX else value
        if isinstance(value, Real):
            return float(value)
        numpy = sys.modules.get("numpy")
        return bool(value) if numpy is not None and isinstance(value, numpy.bool_) else value
    except Exception:  # noqa: BLE001 (a number of the service's own class: its text is what is left)
        return value


def text_form(value: Any, limit_characters: int) -> str:
    """
    Return *value* as text: JSON for a container, ISO 8601 for a time, ``str()`` for all else.

    Args:
        value: Any; of a container no more is read than fits into the limit, so that a cycle or a million items end.
        limit_characters: About as much text as the caller keeps.

    Raises:
        Exception: Any that the value's own methods raise.
    """
    plain = _Reader(limit_characters).read(value)
    if isinstance(plain, (dict, list)):
        return orjson.dumps(plain).decode()
    return plain if isinstance(plain, str) else str(value)


class _Reader:
    """Reads a nested value until so many characters are read."""

    def __init__(self, limit_characters: int) -> None:
        self._left_characters = limit_characters

    def read(self, value: Any, depth: int = 0) -> Any:
        """Return *value* as orjson serialises it, without its secrets; of an unknown type its ``str()``."""
        value = scalar(value)
        if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) <= LONG_MAX):
            self._left_characters -= _NUMBER_CHARACTERS
            return value
        if isinstance(value, (date, time)):
            return self._text(value.isoformat())
        if is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        elif _is_array(value) and value.size <= self._left_characters:
            value = value.tolist()
        if depth < _DEPTH_LIMIT and isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        if depth < _DEPTH_LIMIT and isinstance(value, (list, tuple, set, frozenset)):
            return self._items(value, depth + 1)
        return _CUT if isinstance(value, (Mapping, list, tuple, set, frozenset)) else self._text(value)

    def _text(self, value: Any) -> str:
        text = (str.__str__(value) if isinstance(value, str) else str(value)).encode("utf-8", "replace").decode()
        if len(text) > self._left_characters:
            # The last word read may be half a credential, which redaction does not know.
            text = text[: max(self._left_characters, 0)].rpartition(" ")[0] + _CUT
        self._left_characters -= len(text) + 1
        return redact(text)

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, value in values.items():
            if self._left_characters <= 0:
                plain[_CUT] = _CUT
                break
            name = str(scalar(key))
            plain[self._text(name)] = REDACTED if names_a_secret(name) else self.read(value, depth)
        return plain

    def _items(self, values: Iterable[Any], depth: int) -> list[Any]:
        plain: list[Any] = []
        for value in values:
            if self._left_characters <= 0:
                plain.append(_CUT)
                break
            plain.append(self.read(value, depth))
        return plain


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)
