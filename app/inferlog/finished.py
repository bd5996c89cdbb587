"""``record_inference``: the event of an inference that is over and was measured elsewhere."""

from datetime import datetime
from typing import Any

from inferlog.configuration import runtime
from inferlog.context import current_inference
from inferlog.event import Status
from inferlog.internal_errors import log_failure
from inferlog.runtime import finished_inference


def record_inference(
    *,
    model_version: str | None = None,
    latency_seconds: float | None = None,
    status: Status | int | None = None,
    status_code: int | None = None,
    error: BaseException | str | None = None,
    started_at: datetime | float | None = None,
    model_name: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    **values: Any,
) -> None:
    """
    Write the event of an inference that is over: of a batch job, a gateway's callback, a stream's consumer.

        inferlog.record_inference(model_version="v3", latency_seconds=0.84, status=200, output_tokens=40)

    Never raises: a value that a field cannot mean is left out and named in the log. Inside a request the event is one
    of its own with the request's correlation id; the request's own event stays as it is.

    Args:
        model_version: The version that answered; figures are split by it.
        latency_seconds: First byte in to last byte out, in seconds, at least 0.
        status: ``"success"``, ``"rejected"``, ``"error"``, ``"cancelled"``, or an HTTP status code: up to 399 is a
            success, 499 cancelled, any other 4xx rejected, 5xx an error. Default: an error if there is one, else a
            success.
        status_code: The HTTP status code, where *status* is a word or not given.
        error: What failed: an exception, or a text.
        started_at: When the inference began: a datetime, without a zone in local time, or Unix seconds. It is
            ``event.start``; ``@timestamp`` is the moment of this call.
        model_name: The model that answered.
        input_tokens: Whole number of tokens, as the model counts them.
        output_tokens: The same of the answer.
        **values: Other fields of the event by their Python names (docs/events.md), such as ``request_id``,
            ``time_to_first_token_seconds``, ``cost_usd``; any other name becomes a label.
    """
    try:
        inference = finished_inference(
            {
                "model_version": model_version,
                "latency_seconds": latency_seconds,
                "status": status,
                "error": error,
                "started_at": started_at,
                "model_name": model_name,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                **values,
                **({} if status_code is None else {"status_code": status_code}),
            }
        )
        runtime().record_finished(inference, current_inference.get())
    except Exception as failure:  # noqa: BLE001 (a log that fails must not change what the service does)
        log_failure("the event of a finished inference", failure)
