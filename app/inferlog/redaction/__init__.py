"""
Redaction of credentials and personal data in free text, such as exception messages, before it is written.

Coverage and limits: ``docs/redaction.md``. No I/O; the only state is the active :class:`Secrets`. Run time is linear in
the length of any text, except for the user's own patterns.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from inferlog.redaction.assignments import find_assigned_values
from inferlog.redaction.names import WORDS, Words, build_words, find_secret_names
from inferlog.redaction.personal import find_account_numbers, find_email_addresses
from inferlog.redaction.spans import REDACTED, Span, lower, replace_spans
from inferlog.redaction.tokens import find_http_credentials, find_issued_tokens, find_jwts, find_private_keys
from inferlog.redaction.urls import find_url_secrets

__all__ = [
    "REDACTED",
    "Secrets",
    "activate",
    "build_secrets",
    "is_credential",
    "is_secret_name",
    "redact",
    "redact_name",
]

# Most labels are a short word. Every shape of a secret has 13 or more characters, except "name=value" and "a@b.org".
_SHORT_WORD: Final = re.compile(r"[\w.-]{0,12}")
_PASSES_LIMIT: Final = 8
_NAME_SUFFIX_CHARACTERS: Final = 64
_CACHED_NAME_CHARACTERS: Final = 256
_CLOSING_MARKS: Final = "\"'`)]}>:= \t\r\n"  # user[password], ('db', 'password')


@dataclass(frozen=True, slots=True, eq=False)
class Secrets:
    """Definition of secrets: *words* that make a name secret, and *patterns* of values; see :func:`build_secrets`."""

    words: Words
    patterns: tuple[re.Pattern[str], ...] = ()


USUAL: Final = Secrets(WORDS)
_active: Secrets = USUAL


def activate(secrets: Secrets) -> None:
    """Use *secrets* for all redaction in this process, in place of the default ones."""
    global _active  # noqa: PLW0603 (free text is redacted in many places without access to settings)
    _active = secrets


def build_secrets(names: Iterable[str] = (), patterns: Iterable[str | re.Pattern[str]] = ()) -> Secrets:
    """
    Return the default secrets with additional names and patterns.

    Args:
        names: Names of secret values, in any spelling: ``badge_number`` also matches ``badgeNumber``.
        patterns: Regular expressions of secret values. They scan every text: avoid nested repetitions.

    Raises:
        re.error: If a pattern is not a valid regular expression.
    """
    return Secrets(build_words(names), tuple(re.compile(pattern) for pattern in patterns))


def redact(text: str, secrets: Secrets | None = None) -> str:
    """
    Return *text* with credentials and personal data replaced by ``[REDACTED]``. Never raises.

    Args:
        text: Any text.
        secrets: Secrets to redact; None for the active ones of this process.
    """
    secrets = secrets or _active
    if not secrets.patterns and _SHORT_WORD.fullmatch(text):
        return text
    # A replacement changes the context of its neighbours, so the text is scanned again until nothing more is found.
    for _ in range(_PASSES_LIMIT):
        spans = _find_spans(text, secrets)
        if not spans:
            return text
        redacted = replace_spans(text, spans)
        if redacted == text:
            return text
        text = redacted
    return text


def redact_name(name: str) -> str:
    """Return *name*, of a label or a logger, as :func:`redact` does; fast for the few names that a service repeats."""
    return _redact_name(name, _active) if len(name) <= _CACHED_NAME_CHARACTERS else redact(name)


@lru_cache(maxsize=1_024)
def _redact_name(name: str, secrets: Secrets) -> str:
    return redact(name, secrets)


def _find_spans(text: str, secrets: Secrets) -> list[Span]:
    lowered = lower(text)
    spans = find_assigned_values(text, lowered, secrets.words)
    spans += find_issued_tokens(text)
    spans += find_jwts(text, lowered)
    spans += find_http_credentials(text, lowered)
    spans += find_private_keys(text, lowered)
    spans += find_account_numbers(text)
    has_at_sign = "@" in text
    if has_at_sign or "://" in text or "?" in text:
        spans += find_url_secrets(text, lowered)
    if has_at_sign or "%40" in text:
        spans += find_email_addresses(text, lowered)
    for pattern in secrets.patterns:
        spans += [match.span() for match in pattern.finditer(text) if match.group()]
    return spans


def is_credential(text: str) -> bool:
    """Return whether *text* contains a secret with a known shape: a token, a JWT, a match of a user's pattern."""
    lowered = lower(text)
    return bool(
        find_issued_tokens(text)
        or find_jwts(text, lowered)
        or find_http_credentials(text, lowered)
        or find_private_keys(text, lowered)
        or any(pattern.search(text) for pattern in _active.patterns)
    )


def is_secret_name(name: str, secrets: Secrets | None = None) -> bool:
    """Return whether any value under *name* is a secret, such as ``api_key``. *secrets* as for :func:`redact`."""
    return _is_secret_name(name[-_NAME_SUFFIX_CHARACTERS:], secrets or _active)


@lru_cache(maxsize=1_024)  # a service binds the same few names repeatedly
def _is_secret_name(name: str, secrets: Secrets) -> bool:
    lowered = lower(name).rstrip(_CLOSING_MARKS)
    return any(found.end == len(lowered) for found in find_secret_names(lowered, secrets.words))
