"""LiteLLM measures its calls and hands them to a callback: each finished call is an event."""

from datetime import datetime
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

import inferlog

inferlog.configure(service_name="gateway")


class InferenceLogger(CustomLogger):  # type: ignore[misc]  # LiteLLM has no types that mypy could read
    """Records every call of LiteLLM: of any provider, plain or streamed, from sync and async code."""

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record a call that was answered; a stream once it is exhausted."""
        record(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record a call that has raised."""
        record(kwargs, response_obj, start_time, end_time)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Do the same for ``acompletion``."""
        record(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Do the same for ``acompletion``."""
        record(kwargs, response_obj, start_time, end_time)


def record(call: dict[str, Any], response: Any, started_at: datetime, ended_at: datetime) -> None:
    """Record one call. LiteLLM's times are datetimes without a zone, in local time."""
    usage = getattr(response, "usage", None)
    error = call.get("exception")
    first_token_at = call.get("completion_start_time") if call.get("stream") else None
    inferlog.record_inference(
        request_id=call["litellm_call_id"],
        model_version=call["model"],
        provider=call["custom_llm_provider"],  # a label
        started_at=started_at,
        latency_seconds=(ended_at - started_at).total_seconds(),
        time_to_first_token_seconds=(first_token_at - started_at).total_seconds() if first_token_at else None,
        status_code=getattr(error, "status_code", None),
        error=error,
        input_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.completion_tokens if usage else None,
        cost_usd=None if error else call.get("response_cost"),
        operation_name=call.get("call_type"),
    )


litellm.callbacks = [InferenceLogger()]


def main() -> None:
    """Ask one question. Without mock_response, LiteLLM would send it to the provider."""
    question = [{"role": "user", "content": "Is 'a good book' praise?"}]
    answer = litellm.completion(model="openai/gpt-4o-mini", messages=question, mock_response="yes")
    print(answer.choices[0].message.content)  # noqa: T201


if __name__ == "__main__":
    main()
