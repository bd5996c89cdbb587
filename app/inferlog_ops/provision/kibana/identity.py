"""
Identity of the objects in Kibana: id and title with the namespace, and the stamp as a text.

The text is called mark and contains the source and the first digits of the hash: ``[inferlog
dashboards/inferlog-canary.json 3f2a9c1b2d4e]``. It is where Kibana keeps a text unchanged: in a description, or in a
rule's tags.
"""

import re
import uuid
from collections.abc import Collection
from typing import Any

from inferlog_ops.provision.desired import Stamp
from inferlog_ops.query.dashboards.render import replace_strings

DEFAULT_NAMESPACE = "default"
OTHER_SPACE = "is this id in another space? Ids are unique over all spaces: give another --namespace or delete it there"
"""Advice for an id that is taken but not found."""
WAY_OUT = "rename or delete it, or give another --namespace"
"""Advice for an object that inferlog did not create."""

_DIGITS = 12
_MARK = re.compile(rf"\[inferlog (\S+) ([0-9a-f]{{{_DIGITS}}})\]")
_LINKED = re.compile(r"(?<=#/view/)[a-z0-9_-]+")
_OBJECTS = uuid.UUID("6f1d6a6e-6a0b-5b52-9c3c-1f6f2d0e7a11")


def build_object_id(base: str, namespace: str) -> str:
    """Return the id of the object *base* for *namespace*; Kibana accepts a-z, 0-9, _ and - in it, but no dot."""
    return base if namespace == DEFAULT_NAMESPACE else f"{base}-{namespace.replace('.', '-')}"


def build_object_uuid(kind: str, name: str) -> str:
    """Return a UUID made of the name, for kinds of which many versions of Kibana accept no other id."""
    return str(uuid.uuid5(_OBJECTS, f"{kind}/{name}"))


def qualify_title(name: str, namespace: str) -> str:
    """Return the title *name* with the namespace, unless it is "default"."""
    return name if namespace == DEFAULT_NAMESPACE else f"{name} ({namespace})"


def replace_ids(namespace: str, body: Any, bases: Collection[str]) -> Any:
    """
    Return *body* with each reference to one of *bases* replaced by its id in *namespace*.

    A reference is a string that equals the id, or a link in a text (``#/view/<id>``).
    """

    def replace(base: str) -> str:
        return build_object_id(base, namespace) if base in bases else base

    return replace_strings(body, lambda text: _LINKED.sub(lambda link: replace(link[0]), replace(text)))


def format_mark(stamp: Stamp) -> str:
    return f"[inferlog {stamp.source} {stamp.sha256[:_DIGITS]}]"


def parse_mark(text: str | None) -> Stamp | None:
    """Return the stamp of the mark in *text*; None if there is no mark."""
    found = _MARK.search(text or "")
    return Stamp(source=found[1], sha256=found[2]) if found else None
