"""Takes credentials out of free text, such as an exception's message, before it is written anywhere."""

import re
from typing import Final

REDACTED: Final = "[REDACTED]"

_NAMES: Final = "password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|cookie"
_SECRET_NAME: Final = re.compile(rf"(?:.*[_.-])?(?:{_NAMES})", re.IGNORECASE)
# One alternation, so that a text is read once. Each part names what must go and keeps what helps to find the cause.
# Repetitions are bounded: a hostile text of many near-matches must not cost more than its length.
_SECRETS: Final = re.compile(
    rf"""
      (?:-----BEGIN[ ][A-Z ]{{0,32}}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]{{0,32}}PRIVATE[ ]KEY-----|\Z))
    | (?:\beyJ[A-Za-z0-9_-]{{8,4096}}\.[A-Za-z0-9_-]{{8,8192}}\.[A-Za-z0-9_-]*)
    | (?P<scheme>\b(?:bearer|basic|apikey)[ ]+)(?-i:(?=[a-z.~-]*[0-9A-Z_+/=]))[A-Za-z0-9._~+/=-]{{8,}}
    | (?P<url>\b[a-z][a-z0-9+.-]{{0,20}}://[^\s/:@]{{0,64}}:)[^\s/@]{{1,256}}(?=@)
    | \b(?:sk|pk|rk)-(?:[A-Za-z0-9]{{1,16}}-){{0,3}}[A-Za-z0-9_]{{16,}}
    | \bgh[pousr]_[A-Za-z0-9]{{20,}} | \bAKIA[0-9A-Z]{{16}}\b | \bhf_[A-Za-z0-9]{{20,}}
    | (?P<name>["']?\b(?:[a-z0-9]{{1,32}}[_-]){{0,4}}
        (?:{_NAMES})
        ["']?\s{{0,4}}[=:]\s{{0,4}}["']?(?:(?:bearer|basic|apikey)[ ]+)?)
      [^\s"',;&]{{4,}}
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_KEPT: Final = ("scheme", "url", "name")


def _replacement(match: re.Match[str]) -> str:
    kept = next((match[group] for group in _KEPT if match[group] is not None), "")
    return kept + REDACTED


def redact(text: str) -> str:
    """Return *text* with what looks like a credential replaced by ``[REDACTED]``."""
    return _SECRETS.sub(_replacement, text)


def names_a_secret(name: str) -> bool:
    """Tell whether a value under *name* is a credential whatever it looks like: ``api_key``, ``db.password``."""
    return _SECRET_NAME.fullmatch(name) is not None
