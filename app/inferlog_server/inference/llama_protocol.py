"""What llama.cpp's chat endpoint is sent, and how its streamed chunks are read. Pure."""

from typing import Any

from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError
from inferlog_server.inference.generation import GenerationRequest, Piece, Usage

# llama.cpp takes a seed of 32 bits, and reads the largest one as "any".
_SEEDS = 2**32 - 1


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """
    Return the body for *request*.

    It streams, always: only between chunks can a generation be timed and stopped. ``return_progress``
    adds a chunk per prompt batch, so that a long prompt can be stopped too, and ``timings_per_token``
    the counts so far, so that a generation that was stopped still has its token counts.
    """
    body: dict[str, Any] = {
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "stop": list(request.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "timings_per_token": True,
    }
    if request.seed is not None:
        body["seed"] = request.seed % _SEEDS
    return body


class Transcript:
    """
    What one generation's chunks have said so far.

    Attributes:
        finish_reason: ``stop`` or ``length`` once the answer is complete.
        usage: The final counts; the very last chunk brings them.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: Usage | None = None

    def read(self, chunk: dict[str, Any]) -> Piece | None:
        """
        Take in the next *chunk* and return the text it brings, if any.

        Raises:
            PromptTooLongError: If the chunk says that the prompt does not fit.
            ModelFailedError: If it says anything else went wrong.
        """
        if "error" in chunk:
            raise _failure(chunk["error"])
        if "usage" in chunk:
            self.usage = _final_usage(chunk["usage"])
        for choice in chunk["choices"]:
            self.finish_reason = choice["finish_reason"] or self.finish_reason
            text = choice["delta"].get("content")
            if text:
                return Piece(text=text, usage=_usage_so_far(chunk["timings"]))
        return None


def _final_usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
    )


def _usage_so_far(timings: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=timings["cache_n"] + timings["prompt_n"],
        output_tokens=timings["predicted_n"],
        cached_tokens=timings["cache_n"],
    )


def _failure(error: dict[str, Any]) -> PromptTooLongError | ModelFailedError:
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLongError(prompt_tokens=error["n_prompt_tokens"], context_tokens=error["n_ctx"])
    return ModelFailedError(str(error.get("message", error)))
