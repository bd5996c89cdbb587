"""Names of the data streams, and the check of a namespace."""

import re

from inferlog_ops.core.errors import OperatorError

STREAMS = ("events", "app", "health", "content")
ALERTS = "inferlog-alerts"
SUMMARIES = "inferlog-summaries"

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_.]{0,99}")


def build_stream_name(stream: str, namespace: str) -> str:
    """
    Return the name of the data stream *stream*, one of `STREAMS`.

    Raises:
        OperatorError: If *namespace* is invalid.
    """
    return f"logs-inference.{stream}-{check_namespace(namespace)}"


def build_alerts_stream_name(namespace: str) -> str:
    """
    Return the name of the data stream for alerts from Kibana and from ``inferlog alerts check``.

    Raises:
        OperatorError: If *namespace* is invalid.
    """
    return f"{ALERTS}-{check_namespace(namespace)}"


def build_summaries_stream_name(namespace: str) -> str:
    """
    Return the name of the data stream for the summaries of ``inferlog summarize``.

    Raises:
        OperatorError: If *namespace* is invalid.
    """
    return f"{SUMMARIES}-{check_namespace(namespace)}"


def check_namespace(namespace: str) -> str:
    """
    Return *namespace* unchanged if it is safe in stream names, index patterns and query text.

    Raises:
        OperatorError: If Elasticsearch would reject it or read it as a pattern.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise OperatorError(
            f"the namespace is {namespace!r}; expected 1 to 100 of a-z, 0-9, _ and . "
            "beginning with a letter or digit (no capitals, no -)",
            exit_code=2,
        )
    return namespace
