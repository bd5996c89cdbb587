"""What a process that does nothing but ship does about itself."""

import gc
import signal
from collections.abc import Callable
from types import FrameType

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Have the first SIGTERM or SIGINT call *stop*; a second one ends the process on the spot."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, handle)


def collect_garbage_seldom() -> None:
    """
    Look for unreachable cycles less often, and never among what is there now.

    Lines become thousands of objects that are released a moment later, without a cycle among them. Looking for one
    all the time took a fifth of the processor time.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
