"""
Identity of the objects in Kibana: id and title with the namespace, and the mark of objects of inferlog.

The mark contains the source file and a digest of the content: ``[inferlog dashboards/inferlog-canary.json
3f2a9c1b2d4e]``. Marks are compared instead of bodies, because Kibana fills in defaults and normalises a body. The mark
is in a text that Kibana keeps unchanged: a description, or a rule's tags.
"""

import hashlib
import re
from collections.abc import Collection
from typing import Any

import orjson

from inferlog_ops.query.dashboards.render import each_string

DEFAULT_NAMESPACE = "default"

_DIGITS = 12
_MARK = re.compile(rf"\[inferlog \S+ ([0-9a-f]{{{_DIGITS}}})\]")
_LINKED = re.compile(r"(?<=#/view/)[a-z0-9_-]+")


def object_id(base: str, namespace: str) -> str:
    """Return the id of the object *base* for *namespace*; Kibana accepts a-z, 0-9, _ and - in it, but no dot."""
    return base if namespace == DEFAULT_NAMESPACE else f"{base}-{namespace.replace('.', '-')}"


def qualify_title(name: str, namespace: str) -> str:
    """Return the title *name* with the namespace, unless it is "default"."""
    return name if namespace == DEFAULT_NAMESPACE else f"{name} ({namespace})"


def replace_ids(namespace: str, body: Any, bases: Collection[str]) -> Any:
    """
    Return *body* with each reference to one of *bases* replaced by its id in *namespace*.

    A reference is a string that equals the id, or a link in a text (``#/view/<id>``).
    """

    def replace(base: str) -> str:
        return object_id(base, namespace) if base in bases else base

    return each_string(body, lambda text: _LINKED.sub(lambda link: replace(link[0]), replace(text)))


def compute_digest(content: Any) -> str:
    """Return a digest of the JSON value *content*, independent of key order."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGITS]


def format_mark(source: str, digest: str) -> str:
    """Return the mark of an object with the file *source*."""
    return f"[inferlog {source} {digest}]"


def append_mark(text: str, source: str, digest: str) -> str:
    """Return the description *text* with the mark appended."""
    return f"{text} {format_mark(source, digest)}".lstrip()


def digest_in(text: str | None) -> str | None:
    """Return the digest of the mark in *text*; None if there is no mark."""
    found = _MARK.search(text or "")
    return found[1] if found else None
