"""One set of weights in memory, run by llama.cpp through ``xllamacpp``."""

import secrets
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xllamacpp

from inferlog_server.errors import StartError

# A prompt is worked off in batches of this many tokens and can be stopped between two of them:
# small enough for half a second on two slow cores, and no slower in all than larger ones.
_PROMPT_BATCH_TOKENS = 128
_SILENT = -1


class LlamaEngine:
    """
    llama.cpp's server with the weights of *weights*, called in this process.

    Loading holds the interpreter lock and takes about a second for 100 MB: nothing else runs meanwhile,
    so it happens before the service accepts requests. `chat` may be called from several threads at once.
    """

    def __init__(self, weights: Path, *, threads: int, places: int, context_tokens: int) -> None:
        """
        Load the model.

        Args:
            weights: A GGUF file.
            threads: Processor threads that compute.
            places: Generations computed side by side.
            context_tokens: Prompt and answer of each of them together.

        Raises:
            StartError: If llama.cpp does not accept the file.
        """
        # The bindings cannot do without their own HTTP server, which would be a way in that nobody
        # logs: it gets a socket in a private directory instead of a port, and a key nobody knows.
        self._socket_dir = tempfile.TemporaryDirectory(prefix="inferlog-llama-")
        params = xllamacpp.CommonParams()
        params.hostnames = [str(Path(self._socket_dir.name, "llama.sock"))]
        params.api_keys = [secrets.token_urlsafe()]
        params.n_threads_http = 1
        params.ui = False
        params.model.path = str(weights)
        params.n_parallel = places
        params.n_ctx = context_tokens * places
        params.n_batch = params.n_ubatch = _PROMPT_BATCH_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = 0  # its default keeps up to 8 GiB of old prompts
        params.prefill_assistant = False
        params.fit_params = False
        params.verbosity = _SILENT
        try:
            with _signal_handlers_kept():
                self._server = xllamacpp.Server(params)
        except RuntimeError:
            self._socket_dir.cleanup()
            raise StartError(
                f"weights {weights}: llama.cpp could not load them; expected a complete GGUF file of a chat model"
            ) from None

    def chat(self, body: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        """
        Generate, blocking until the end; the interpreter lock is free meanwhile.

        Args:
            body: See `llama_protocol.request_body`.
            on_chunk: Called with each chunk. Returning True ends the generation. What it raises is lost
                and ends the generation too.
        """
        self._server.handle_chat_completions(body, on_chunk)

    def close(self) -> None:
        """Free the model. No `chat` may be running."""
        del self._server
        self._socket_dir.cleanup()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """
    Keep Python's handlers for SIGINT and SIGTERM while llama.cpp puts its own in their place.

    Without it the first SIGTERM ends llama.cpp's loop and the service never hears of it. Both signals are
    held back meanwhile; the threads llama.cpp starts inherit that and never take one.
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
