"""
JSON form of a logged value, the same in a label, a field and a captured prompt. Pure.

Enums become their value, NumPy scalars Python's, bytes the text that they encode, and dicts, lists, dataclasses and
named tuples redacted JSON text.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from numbers import Integral, Real
from typing import Any, Final

import orjson

from inferlog.redaction import REDACTED, is_secret_name, redact

LONG_MAX: Final = 2**63 - 1
"""Largest whole number of the index; the smallest is its negative."""

_PLAIN_TYPES: Final = frozenset(
    {str, int, float, bool, list, tuple, dict, type(None)}
)  # fast path of nearly every value
_DEPTH_LIMIT: Final = 16
_NUMBER_CHARACTERS: Final = 4
_BRACKETS_CHARACTERS: Final = 2
_CUT: Final = "…"
_PRIVATE_KEY: Final = "PRIVATE KEY"  # in its first and last line
_ENTRY_NAMES: Final = ("name", "Name", "key", "Key")
_ENTRY_VALUES: Final = ("value", "Value")


def to_scalar(value: Any) -> Any:
    """
    Return the value of an enum, and the Python form of a NumPy number or boolean; any other *value* unchanged.

    A whole number outside the range of the index is also returned unchanged. Never raises.
    """
    if type(value) in _PLAIN_TYPES:
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
    except Exception:  # noqa: BLE001 (a number of a user-defined class: its text is used)
        return value


def to_text(value: Any, limit_characters: int) -> str:
    """
    Return *value* as redacted text: JSON for a container, ISO 8601 for a time, ``str()`` otherwise.

    A private key is unchanged, because its lines may be several items: it is redacted in the whole text.

    Args:
        value: Any; a container is read only up to the limit, so that a cycle or a million items terminate.
        limit_characters: Approximate number of characters that the caller keeps.

    Raises:
        Exception: Any exception of the value's own methods.
    """
    plain = _Reader(limit_characters).read(value)
    if isinstance(plain, (dict, list)):
        return orjson.dumps(plain).decode()
    return plain if isinstance(plain, str) else str(value)


class _Reader:
    """Reads a nested value up to a number of characters."""

    def __init__(self, limit_characters: int) -> None:
        self._left_characters = limit_characters

    def read(self, value: Any, depth: int = 0) -> Any:
        """Return *value*, redacted, in a form that orjson serialises; ``str()`` for an unknown type."""
        value = to_scalar(value)
        if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) <= LONG_MAX):
            self._left_characters -= _NUMBER_CHARACTERS
            return value
        if isinstance(value, (date, time)):
            return self._convert_text(value.isoformat())
        if is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):
            value = value._asdict()  # a named tuple; its names can be those of secrets
        elif _is_array(value) and value.size <= self._left_characters:
            value = value.tolist()
        if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._convert_text(value)
        self._left_characters -= _BRACKETS_CHARACTERS  # otherwise a million empty lists would all be read
        if depth == _DEPTH_LIMIT:
            return _CUT
        if isinstance(value, Mapping):
            return self._convert_mapping(value, depth + 1)
        return self._convert_items(value, depth + 1)

    def _convert_text(self, value: Any) -> str:
        text = _write_text(value).encode("utf-8", "replace").decode()
        if len(text) > self._left_characters:
            # The last word may be half a credential, which redaction does not recognise.
            text = text[: max(self._left_characters, 0)].rpartition(" ")[0] + _CUT
        self._left_characters -= len(text) + 1
        return text if _PRIVATE_KEY in text else redact(text)

    def _convert_mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, value in values.items():
            if self._left_characters <= 0:
                plain[_CUT] = _CUT
                break
            name = _write_text(to_scalar(key))
            is_secret = is_secret_name(name) or (name in _ENTRY_VALUES and _is_secret_entry(values))
            plain[self._convert_text(name)] = REDACTED if is_secret else self.read(value, depth)
        return plain

    def _convert_items(self, values: Iterable[Any], depth: int) -> list[Any]:
        plain: list[Any] = []
        for value in values:
            if self._left_characters <= 0:
                plain.append(_CUT)
                break
            plain.append(self.read(value, depth))
        return plain


def _write_text(value: Any) -> str:
    """Return the text of *value*. Bytes are decoded: in a JSON string, redaction does not see the name in ``b'…'``."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    return str.__str__(value) if isinstance(value, str) else str(value)


def _is_secret_entry(values: Mapping[Any, Any]) -> bool:
    """Return whether *values* has a secret name and its value: ``{"name": "DB_PASSWORD", "value": …}``."""
    names = map(values.get, _ENTRY_NAMES)
    return any(is_secret_name(_write_text(name)) for name in names if isinstance(name, (str, bytes)))


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)
