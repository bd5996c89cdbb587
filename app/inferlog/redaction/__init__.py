"""
Takes credentials and personal data out of free text, such as an exception's message, before it is written anywhere.

What goes, what stays and what cannot be known: ``docs/redaction.md``. No I/O, and no state but the secrets that are in
force. The time it takes grows with the length of the text and no faster, whatever the text says; what a user's own
patterns take is theirs to know.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from inferlog.redaction.assignments import assigned
from inferlog.redaction.names import WORDS, Words, secret_names, words_with
from inferlog.redaction.personal import account_numbers, email_addresses
from inferlog.redaction.spans import REDACTED, Span, lower, without
from inferlog.redaction.tokens import issued, json_web_tokens, presented, private_keys
from inferlog.redaction.urls import in_addresses

__all__ = ["REDACTED", "Secrets", "is_credential", "names_a_secret", "put_in_force", "redact", "secrets_with"]

# Most labels are such a word. No shape of a secret is shorter than 13 characters but "name=value" and "a@b.org".
_SHORT_WORD: Final = re.compile(r"[\w.-]{0,12}")
_READINGS_LIMIT: Final = 8
_NAME_READ_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Secrets:
    """What is secret: *words* that make a name secret, and *patterns* of values; see :func:`secrets_with`."""

    words: Words
    patterns: tuple[re.Pattern[str], ...] = ()


USUAL: Final = Secrets(WORDS)
_in_force: Secrets = USUAL


def activate(secrets: Secrets) -> None:
    """Have all that this process writes read for *secrets* from now on; until then it is for the usual ones."""
    global _in_force  # noqa: PLW0603 (free text is read in many places, which know of no settings)
    _in_force = secrets


def secrets_with(names: Iterable[str] = (), patterns: Iterable[str | re.Pattern[str]] = ()) -> Secrets:
    """
    Return the usual secrets and a user's own.

    Args:
        names: Names whose value is secret, in any spelling: ``badge_number`` also stands for ``badgeNumber``.
        patterns: Regular expressions of values. They read every text: write them without nested repetitions.

    Raises:
        re.error: If a pattern is no regular expression.
    """
    return Secrets(words_with(names), tuple(re.compile(pattern) for pattern in patterns))


def redact(text: str, secrets: Secrets | None = None) -> str:
    """
    Return *text* with credentials and personal data replaced by ``[REDACTED]``. Never raises.

    Args:
        text: Any.
        secrets: What is secret; None: what is in force in this process.
    """
    secrets = secrets or _in_force
    if not secrets.patterns and _SHORT_WORD.fullmatch(text):
        return text
    # What is taken out changes what stands beside it, so a text is read again until nothing more is found.
    for _ in range(_READINGS_LIMIT):
        spans = _spans(text, secrets)
        if not spans:
            return text
        redacted = without(text, spans)
        if redacted == text:
            return text
        text = redacted
    return text


def _spans(text: str, secrets: Secrets) -> list[Span]:
    lowered = lower(text)
    spans = assigned(text, lowered, secrets.words)
    spans += issued(text)
    spans += json_web_tokens(text, lowered)
    spans += presented(text, lowered)
    spans += private_keys(text, lowered)
    spans += account_numbers(text)
    has_at_sign = "@" in text
    if has_at_sign or "://" in text or "?" in text:
        spans += in_addresses(text)
    if has_at_sign or "%40" in text:
        spans += email_addresses(text, lowered)
    for pattern in secrets.patterns:
        spans += [match.span() for match in pattern.finditer(text) if match.group()]
    return spans


def is_credential(text: str) -> bool:
    """Tell whether *text* has a secret that is told by its own shape: an issued token, a JWT, a user's pattern."""
    lowered = lower(text)
    return bool(
        issued(text)
        or json_web_tokens(text, lowered)
        or presented(text, lowered)
        or private_keys(text, lowered)
        or any(pattern.search(text) for pattern in _in_force.patterns)
    )


def names_a_secret(name: str, secrets: Secrets | None = None) -> bool:
    """Tell whether a value under *name* is a secret whatever it looks like: ``api_key``. *secrets* as for `redact`."""
    return _names_a_secret(name[-_NAME_READ_CHARACTERS:], secrets or _in_force)


@lru_cache(maxsize=1_024)  # a service binds the same few names all day
def _names_a_secret(name: str, secrets: Secrets) -> bool:
    return any(found.end == len(name) for found in secret_names(lower(name), secrets.words))
