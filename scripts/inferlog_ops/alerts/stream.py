"""Where alerts are written: a data stream for each namespace, provisioned like those of the events."""

from inferlog_ops.provisioning.namespace import checked_namespace

NAME = "inferlog-alerts"


def alerts_stream(namespace: str) -> str:
    """
    Return the name of the alerts' data stream.

    Raises:
        OperatorError: If *namespace* could not be a part of the name.
    """
    return f"{NAME}-{checked_namespace(namespace)}"
