"""A shipper that finds its position file spoilt."""

import itertools
from collections.abc import Callable, Generator
from typing import Final

from tests.chaos.stack import Stack

_SECONDS_BETWEEN_KILLS = 4.0
_SPOILT: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda content: content[: len(content) // 2],
    lambda content: bytes(len(content)),
    lambda _content: b"",
    lambda content: content.replace(b'"position":', b'"position":-'),
)


def corrupt_positions(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the shipper, spoil its positions, each time in another way, and start it again."""
    positions = stack.place.positions
    for spoilt in itertools.islice(itertools.cycle(_SPOILT), max(1, int(seconds / _SECONDS_BETWEEN_KILLS))):
        stack.shipper.kill()
        positions.write_bytes(spoilt(positions.read_bytes()))
        stack.start_shipper()
        yield _SECONDS_BETWEEN_KILLS
