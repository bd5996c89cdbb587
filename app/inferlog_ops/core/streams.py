"""Names of the data streams, and which namespaces Elasticsearch takes as a part of them."""

import re

from inferlog_ops.core.errors import OperatorError

STREAMS = ("events", "app", "health", "content")
ALERTS = "inferlog-alerts"

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_.]{0,99}")


def stream_name(stream: str, namespace: str) -> str:
    """
    Return the data stream's name for *stream*, one of `STREAMS`.

    Raises:
        OperatorError: If *namespace* could not be a part of the name.
    """
    return f"logs-inference.{stream}-{checked_namespace(namespace)}"


def alerts_stream_name(namespace: str) -> str:
    """
    Return the name of the data stream that alerts are written to, by Kibana or by ``inferlog alerts check``.

    Raises:
        OperatorError: If *namespace* could not be a part of the name.
    """
    return f"{ALERTS}-{checked_namespace(namespace)}"


def checked_namespace(namespace: str) -> str:
    """
    Return *namespace* as it is, for it also ends up in index patterns and in the text of queries.

    Raises:
        OperatorError: If Elasticsearch would refuse it, or would read it as a pattern.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise OperatorError(
            f"the namespace is {namespace!r}; expected 1 to 100 of a-z, 0-9, _ and . "
            "beginning with a letter or digit (no capitals, no -)",
            exit_code=2,
        )
    return namespace
