"""A Celery worker: each task that infers is an event, and so is each inference that another program has measured."""

from typing import Any

import celery
from celery import signals

import inferlog

app = celery.Celery("reviews")
log = inferlog.get_logger(__name__)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def configure(**_: Any) -> None:
    """Take the place of Celery's own set-up of logging, which would remove inferlog's. Celery's lines come along."""
    inferlog.configure(service_name="review-worker")


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def stop(**_: Any) -> None:
    """Write the last heartbeat of a process of the pool."""
    inferlog.shutdown()


@app.task  # type: ignore[untyped-decorator]
@inferlog.track_performance(model_name="sentiment", model_version="v3")
def judge(text: str) -> str:
    """Judge a text: one task, one event, with the task's id. A retry is an inference of its own."""
    inferlog.bind_inference(correlation_id=celery.current_task.request.id, input_tokens=len(text.split()))
    log.info("sentiment.judged", characters=len(text))
    return "good" if "good" in text else "bad"


@app.task  # type: ignore[untyped-decorator]
def collect(results: list[dict[str, Any]]) -> None:
    """Record what a batch engine has measured by itself, an event for each result."""
    for result in results:
        inferlog.record_inference(
            model_name="sentiment",
            model_version=result["version"],
            started_at=result["started"],  # Unix seconds
            latency_seconds=result["seconds"],
            status="error" if result.get("error") else "success",
            error=result.get("error"),
            output_tokens=result.get("tokens"),
        )
