"""What the routes need of whatever runs the model."""

from collections.abc import AsyncGenerator
from typing import Protocol

from inferlog_server.inference.generation import GenerationRequest, Item


class Backend(Protocol):
    """Runs generations. Made ready by its constructor, so that one that exists can answer."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """
        Answer *request*: `Admitted`, then each `Piece`, then `Finished`.

        Closing the generator early stops the generation.

        Raises:
            InferenceError: At any item, if there is no answer or no more of it.
        """
        ...

    @property
    def ready(self) -> bool:
        """Whether a request would be answered now."""
        ...

    @property
    def waiting_requests(self) -> int:
        """How many requests wait for a place."""
        ...

    async def close(self) -> None:
        """Stop what still runs and free the model."""
        ...
