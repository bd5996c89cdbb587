"""The real model: generations in worker threads, their items handed to the event loop."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from inferlog_server.inference.admission import Admission
from inferlog_server.inference.errors import InferenceError, ModelFailedError
from inferlog_server.inference.generation import Admitted, Finished, GenerationRequest, Item, Piece
from inferlog_server.inference.llama_engine import LlamaEngine
from inferlog_server.inference.llama_protocol import Transcript, request_body


class LlamaBackend:
    """Versions over one or several sets of weights; those over the same file share the memory."""

    def __init__(self, engines: Mapping[str, LlamaEngine], *, places: int, waiting_limit: int) -> None:
        """
        Take over *engines*, by the name of the version each runs; see `load`.

        Args:
            engines: Closed with the backend; one may run several versions.
            places: Generations that run at once, over all engines.
            waiting_limit: Requests that may wait for one of the places.
        """
        self._engines = engines
        self._admission = Admission(places=places, waiting_limit=waiting_limit)
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="generation")
        self._closing = threading.Event()
        self._running: Counter[LlamaEngine] = Counter()

    @classmethod
    def load(
        cls, weights: Mapping[str, Path], *, threads: int, context_tokens: int, places: int, waiting_limit: int
    ) -> Self:
        """
        Load each file of *weights* once, whichever versions' names it is under.

        Raises:
            StartError: If llama.cpp does not accept a file.
        """
        by_path = {
            path: LlamaEngine(path, threads=threads, places=places, context_tokens=context_tokens)
            for path in set(weights.values())
        }
        engines = {name: by_path[path] for name, path in weights.items()}
        return cls(engines, places=places, waiting_limit=waiting_limit)

    @property
    def ready(self) -> bool:
        """Whether a request would be answered now."""
        return not self._closing.is_set()

    @property
    def waiting_requests(self) -> int:
        """How many requests wait for a place."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`."""
        queue_seconds = await self._admission.acquire()
        loop = asyncio.get_running_loop()
        generation = _Generation(request, loop, self._closing)
        engine = self._engines[request.version.name]
        worker = loop.run_in_executor(self._threads, generation.run, engine)
        self._running[engine] += 1

        def done(_: asyncio.Future[None]) -> None:
            self._running[engine] -= 1
            self._admission.release()

        # The place stays taken until the worker is done with it, which after a stop is up to one prompt
        # batch later than whoever asked has left.
        worker.add_done_callback(done)
        try:
            yield Admitted(queue_seconds=queue_seconds, batch_size=self._running[engine])
            while (item := await generation.next_item()) is not None:
                yield item
        finally:
            generation.stop()

    async def close(self) -> None:
        """Stop what still runs and free the model."""
        self._closing.set()
        await asyncio.to_thread(self._threads.shutdown)
        for engine in set(self._engines.values()):
            engine.close()


class _Generation:
    """One generation between its worker thread, which writes items, and the event loop, which reads them."""

    def __init__(self, request: GenerationRequest, loop: asyncio.AbstractEventLoop, closing: threading.Event) -> None:
        self._request = request
        self._loop = loop
        self._closing = closing
        self._stopped = threading.Event()
        self._items: asyncio.Queue[Piece | Finished | InferenceError] = asyncio.Queue()
        self._transcript = Transcript()
        self._failure: Exception | None = None
        self._complete = False

    def stop(self) -> None:
        """Let the worker end at its next chunk."""
        self._stopped.set()

    async def next_item(self) -> Piece | Finished | None:
        """Return the next item, or None after the last one; raise what the worker ran into."""
        if self._complete:
            return None
        item = await self._items.get()
        if isinstance(item, InferenceError):
            raise item
        self._complete = isinstance(item, Finished)
        return item

    def run(self, engine: LlamaEngine) -> None:
        """Generate, in a worker thread; the last item is always `Finished` or an error."""
        started = time.perf_counter()
        try:
            engine.chat(request_body(self._request), self._on_chunk)
        except Exception as error:  # noqa: BLE001 (whatever it is, the request must hear of it)
            self._failure = self._failure or error
        self._hand_over(self._outcome(time.perf_counter() - started))

    def _on_chunk(self, chunk: dict[str, Any]) -> bool:
        """Read one chunk; True stops the generation."""
        if self._stopped.is_set() or self._closing.is_set():
            return True
        try:
            piece = self._transcript.read(chunk)
        except Exception as error:  # noqa: BLE001 (llama.cpp would swallow it)
            self._failure = error
            return True
        if piece is not None:
            self._hand_over(piece)
        return False

    def _outcome(self, model_seconds: float) -> Finished | InferenceError:
        if isinstance(self._failure, InferenceError):
            return self._failure
        if self._failure is not None:
            return ModelFailedError(f"{type(self._failure).__name__}: {self._failure}")
        if self._transcript.usage is None:
            return ModelFailedError("the generation was stopped before its end")
        return Finished(
            reason=self._transcript.finish_reason or "stop",
            usage=self._transcript.usage,
            model_seconds=model_seconds,
        )

    def _hand_over(self, item: Piece | Finished | InferenceError) -> None:
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)
