"""
The mark by which provisioning knows its objects again.

It says from which file an object was made, and from which content: ``[inferlog dashboards/inferlog-canary.json
3f2a9c1b2d4e]``. Kibana fills in defaults and rewrites what it is given, so not the bodies are compared but the marks.
It stands where each kind of object has text that Kibana keeps as it is: a description, or a rule's tags.
"""

import hashlib
import re
from typing import Any

import orjson

_DIGITS = 12
_MARK = re.compile(rf"\[inferlog \S+ ([0-9a-f]{{{_DIGITS}}})\]")


def digest_of(content: Any) -> str:
    """Return a digest of *content*, JSON in which the order of keys means nothing."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS]


def mark(source: str, digest: str) -> str:
    """Return the mark of an object that is made from the file *source*."""
    return f"[inferlog {source} {digest}]"


def with_mark(text: str, source: str, digest: str) -> str:
    """Return *text*, a description, with the mark behind it."""
    return f"{text} {mark(source, digest)}".lstrip()


def digest_in(text: str | None) -> str | None:
    """Return the digest of the mark in *text*; None if there is no mark."""
    found = _MARK.search(text or "")
    return found[1] if found else None
