"""Names of the objects: plain for the namespace "default", told apart for others, so that several fit one Kibana."""

import re
from collections.abc import Collection
from typing import Any

from inferlog_ops.query.dashboards.render import each_string

DEFAULT_NAMESPACE = "default"

_LINKED = re.compile(r"(?<=#/view/)[a-z0-9_-]+")


def object_id(base: str, namespace: str) -> str:
    """Return the id of the object *base* for *namespace*; Kibana takes a-z, 0-9, _ and - in it, but no dot."""
    return base if namespace == DEFAULT_NAMESPACE else f"{base}-{namespace.replace('.', '-')}"


def shown_name(name: str, namespace: str) -> str:
    """Return *name*, a title, so that people can tell those of two namespaces apart."""
    return name if namespace == DEFAULT_NAMESPACE else f"{name} ({namespace})"


def with_ids_of(namespace: str, body: Any, bases: Collection[str]) -> Any:
    """
    Return *body* with the ids of *namespace* wherever it refers to one of the objects *bases*.

    That is a string which is the id, and a link in a text (``#/view/<id>``).
    """

    def renamed(base: str) -> str:
        return object_id(base, namespace) if base in bases else base

    return each_string(body, lambda text: _LINKED.sub(lambda link: renamed(link[0]), renamed(text)))
