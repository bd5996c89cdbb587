"""What keeps the service from starting: one sentence for the person who started it."""


class StartError(Exception):
    """
    The service cannot start, and the person who started it can mend that.

    The message is one sentence: where, what was found, what was wanted, what to do.
    """
