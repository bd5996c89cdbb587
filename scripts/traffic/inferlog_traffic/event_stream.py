"""Server-sent events, read as far as a client of a chat has to understand them."""

import json
from typing import Any, Final

_DATA: Final = b"data:"
_END: Final = b"[DONE]"


class EventStream:
    """
    A streamed answer, fed with what comes in.

    Attributes:
        has_token: A part with text has come.
        failed: The service has said in mid-stream that it failed.
        complete: The service has said that nothing more comes.
    """

    def __init__(self) -> None:
        self.has_token = False
        self.failed = False
        self.complete = False
        self._unfinished = b""

    def feed(self, part: bytes) -> None:
        """Take the next bytes; they may end anywhere."""
        *lines, self._unfinished = (self._unfinished + part).split(b"\n")
        for line in lines:
            if line.startswith(_DATA):
                self._take(line.removeprefix(_DATA).strip())

    def _take(self, data: bytes) -> None:
        if data == _END:
            self.complete = True
            return
        try:
            chunk = json.loads(data)
        except ValueError:
            return  # nothing that a client could show
        self.failed |= isinstance(chunk, dict) and "error" in chunk
        self.has_token |= _has_text(chunk)


def _has_text(chunk: Any) -> bool:
    match chunk:
        case {"choices": [{"delta": {"content": str(text)}}, *_]}:
            return text != ""
    return False
