"""Errors at startup, each one sentence for the operator."""


class StartError(Exception):
    """
    The service cannot start, and the operator can fix the cause.

    The message is one sentence: where, what was found, what was expected, what to do.
    """
