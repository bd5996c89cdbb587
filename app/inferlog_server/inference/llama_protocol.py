"""Protocol of llama.cpp's chat endpoint: request bodies and streamed chunks. No I/O."""

from typing import Any

from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError
from inferlog_server.inference.generation import GenerationRequest, Piece, Usage

# llama.cpp takes a seed of 32 bits and treats the largest one as "random".
_SEEDS = 2**32 - 1


def build_request_body(request: GenerationRequest) -> dict[str, Any]:
    """
    Return the body for *request*.

    It always streams, because a generation can be timed and stopped only between chunks. ``return_progress`` adds a
    chunk per prompt batch, so that long prompts can be stopped too. ``timings_per_token`` adds the counts so far, so
    that stopped generations still have their token counts.
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


class LlamaTranscript:
    """
    State of one response, updated chunk by chunk.

    Attributes:
        finish_reason: ``stop`` or ``length`` once the response is complete.
        usage: Final token counts, from the last chunk.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: Usage | None = None

    def read(self, chunk: dict[str, Any]) -> Piece | None:
        """
        Read the next *chunk* and return its text, if any.

        Raises:
            PromptTooLongError: If the chunk reports that the prompt does not fit.
            ModelFailedError: If it reports another error.
        """
        if "error" in chunk:
            raise _to_error(chunk["error"])
        if "usage" in chunk:
            self.usage = _read_final_usage(chunk["usage"])
        for choice in chunk["choices"]:
            self.finish_reason = choice["finish_reason"] or self.finish_reason
            text = choice["delta"].get("content")
            if text:
                return Piece(text=text, usage=_read_usage_so_far(chunk["timings"]))
        return None


def _read_final_usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
    )


def _read_usage_so_far(timings: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=timings["cache_n"] + timings["prompt_n"],
        output_tokens=timings["predicted_n"],
        cached_tokens=timings["cache_n"],
    )


def _to_error(error: dict[str, Any]) -> PromptTooLongError | ModelFailedError:
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLongError(prompt_tokens=error["n_prompt_tokens"], context_tokens=error["n_ctx"])
    return ModelFailedError(str(error.get("message", error)))
