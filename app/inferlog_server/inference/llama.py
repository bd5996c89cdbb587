"""The llama backend: llama.cpp in this process through ``xllamacpp``, one worker thread per generation."""

import asyncio
import secrets
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import xllamacpp

from inferlog_server.errors import StartError
from inferlog_server.inference.errors import InferenceError, ModelFailedError
from inferlog_server.inference.generation import GenerationEnd, GenerationRequest, GenerationStart, Item, Piece
from inferlog_server.inference.limits import Admission
from inferlog_server.inference.llama_protocol import LlamaTranscript, build_request_body

# llama.cpp computes a prompt in batches of this many tokens and can stop between two batches: a batch takes about
# half a second on two slow cores, and larger batches are not faster overall.
_PROMPT_BATCH_TOKENS = 128
_SILENT = -1


class LlamaEngine:
    """
    llama.cpp's server in this process, with one set of weights.

    Loading holds the interpreter lock for about a second per 100 MB, so it must happen before the service accepts
    requests. `chat` is safe to call from several threads at once.
    """

    def __init__(self, weights: Path, *, threads: int, slots: int, context_tokens: int) -> None:
        """
        Load the model.

        Args:
            weights: A GGUF file.
            threads: Number of compute threads.
            slots: Number of generations computed in parallel.
            context_tokens: Maximum tokens of each generation, prompt and response together.

        Raises:
            StartError: If llama.cpp does not accept the file.
        """
        # The bindings always start their own HTTP server, whose requests would have no events. It gets a socket in a
        # private directory instead of a port, and a random key.
        self._socket_dir = tempfile.TemporaryDirectory(prefix="inferlog-llama-")
        params = xllamacpp.CommonParams()
        params.hostnames = [str(Path(self._socket_dir.name, "llama.sock"))]
        params.api_keys = [secrets.token_urlsafe()]
        params.n_threads_http = 1
        params.ui = False
        params.model.path = str(weights)
        params.n_parallel = slots
        params.n_ctx = context_tokens * slots
        params.n_batch = params.n_ubatch = _PROMPT_BATCH_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
        params.prefill_assistant = False
        params.fit_params = False
        params.verbosity = _SILENT
        try:
            with _keep_signal_handlers():
                self._server = xllamacpp.Server(params)
        except RuntimeError:
            self._socket_dir.cleanup()
            raise StartError(
                f"weights {weights}: llama.cpp could not load them; expected a complete GGUF file of a chat model"
            ) from None

    def chat(self, body: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        """
        Run one generation and block until its end, without holding the interpreter lock.

        Args:
            body: See `llama_protocol.build_request_body`.
            on_chunk: Called with each chunk. Returning True ends the generation. An exception ends it too, and is
                lost.
        """
        self._server.handle_chat_completions(body, on_chunk)

    def close(self) -> None:
        """Free the model. No `chat` may be running."""
        del self._server
        self._socket_dir.cleanup()


@contextmanager
def _keep_signal_handlers() -> Iterator[None]:
    """
    Restore Python's handlers for SIGINT and SIGTERM after llama.cpp has replaced them with its own.

    Otherwise the first SIGTERM ends llama.cpp's loop and never reaches the service. Both signals are blocked inside
    the context; the threads that llama.cpp starts inherit the mask and never receive one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    earlier_mask = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier_mask)


class LlamaBackend:
    """Backend with one or several sets of weights; versions with the same file share its memory."""

    def __init__(self, engines: Mapping[str, LlamaEngine], *, slots: int, waiting_limit: int) -> None:
        """
        Create the backend around *engines*; see `load`.

        Args:
            engines: Engine by name of the version; one engine may run several versions. Closed with the backend.
            slots: Number of parallel generations, over all engines.
            waiting_limit: Maximum number of requests in the queue.
        """
        self._engines = engines
        self._admission = Admission(slots=slots, waiting_limit=waiting_limit)
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="generation")
        self._closing = threading.Event()
        self._running: Counter[LlamaEngine] = Counter()

    @classmethod
    def load(
        cls, weights: Mapping[str, Path], *, threads: int, context_tokens: int, slots: int, waiting_limit: int
    ) -> Self:
        """
        Load each file of *weights*, a mapping by version name, once.

        Raises:
            StartError: If llama.cpp does not accept a file.
        """
        by_path = {
            path: LlamaEngine(path, threads=threads, slots=slots, context_tokens=context_tokens)
            for path in set(weights.values())
        }
        engines = {name: by_path[path] for name, path in weights.items()}
        return cls(engines, slots=slots, waiting_limit=waiting_limit)

    @property
    def ready(self) -> bool:
        """True until the backend is closed."""
        return not self._closing.is_set()

    @property
    def waiting_requests(self) -> int:
        """Number of requests in the queue."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`."""
        queue_seconds = await self._admission.acquire()
        loop = asyncio.get_running_loop()
        generation = _Generation(request, loop, self._closing)
        engine = self._engines[request.version.name]
        worker = loop.run_in_executor(self._threads, generation.run, engine)
        self._running[engine] += 1

        def release(_: asyncio.Future[None]) -> None:
            self._running[engine] -= 1
            self._admission.release()

        # The worker holds its slot until it ends: up to one prompt batch after its client has disconnected.
        worker.add_done_callback(release)
        try:
            yield GenerationStart(queue_seconds=queue_seconds, batch_size=self._running[engine])
            while (item := await generation.read_item()) is not None:
                yield item
        finally:
            generation.stop()

    async def close(self) -> None:
        """Stop open generations and free the model."""
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
        self._items: asyncio.Queue[Piece | GenerationEnd | InferenceError] = asyncio.Queue()
        self._transcript = LlamaTranscript()
        self._failure: Exception | None = None
        self._complete = False

    def stop(self) -> None:
        """Stop the worker at its next chunk."""
        self._stopped.set()

    async def read_item(self) -> Piece | GenerationEnd | None:
        """Return the next item, or None after the last one; raise the error of the worker."""
        if self._complete:
            return None
        item = await self._items.get()
        if isinstance(item, InferenceError):
            raise item
        self._complete = isinstance(item, GenerationEnd)
        return item

    def run(self, engine: LlamaEngine) -> None:
        """Run the generation in a worker thread; the last item is always `GenerationEnd` or an error."""
        started = time.perf_counter()
        try:
            engine.chat(build_request_body(self._request), self._read_chunk)
        except Exception as error:  # noqa: BLE001 (the request must get every error)
            self._failure = self._failure or error
        self._put(self._build_last_item(time.perf_counter() - started))

    def _read_chunk(self, chunk: dict[str, Any]) -> bool:
        """Read one chunk; True stops the generation."""
        if self._stopped.is_set() or self._closing.is_set():
            return True
        try:
            piece = self._transcript.read(chunk)
        except Exception as error:  # noqa: BLE001 (llama.cpp would discard it)
            self._failure = error
            return True
        if piece is not None:
            self._put(piece)
        return False

    def _build_last_item(self, model_seconds: float) -> GenerationEnd | InferenceError:
        if isinstance(self._failure, InferenceError):
            return self._failure
        if self._failure is not None:
            return ModelFailedError(f"{type(self._failure).__name__}: {self._failure}")
        if self._transcript.usage is None:
            return ModelFailedError("the generation was stopped before its end")
        return GenerationEnd(
            reason=self._transcript.finish_reason or "stop",
            usage=self._transcript.usage,
            model_seconds=model_seconds,
        )

    def _put(self, item: Piece | GenerationEnd | InferenceError) -> None:
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)
