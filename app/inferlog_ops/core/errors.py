"""What goes wrong by the user's hand or surroundings: one sentence, no traceback."""


class OperatorError(Exception):
    """
    Something the person at the terminal can mend.

    The message is one sentence: where, what was found, what was wanted, what to do.
    The command line prints it to stderr and ends with *exit_code*.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
