"""Synthetic log files for shipping."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from inferlog.recorder import IdMaker, make_id_maker, make_instance_id


def write_logs(directory: Path, events: int, files: int) -> Path:
    """Write *events* lines like the library's into *files* files in the new *directory*."""
    directory.mkdir()
    began = datetime.now(UTC) - timedelta(microseconds=events)
    for number in range(files):
        instance, make_id = make_instance_id(), make_id_maker()
        with (directory / f"events-scoring-{instance}-{number:04d}.jsonl").open("wb") as file:
            file.writelines(build_line(n, instance, began, make_id) for n in range(number, events, files))
    return directory


def build_line(number: int, instance: str, began: datetime, make_id: IdMaker) -> bytes:
    ended = (began + timedelta(microseconds=number)).replace(tzinfo=None).isoformat(timespec="microseconds")
    event = {
        "@timestamp": f"{ended}Z",
        "event": {
            "id": make_id(),
            "sequence": number,
            "action": "inference_completed",
            "dataset": "inference.events",
            "outcome": "success",
        },
        "service": {
            "name": "scoring",
            "version": "1.0.0",
            "environment": "development",
            "instance": {"id": instance},
        },
        "request_id": make_id(),
        "correlation_id": uuid.uuid4().hex,
        "model_name": "smollm2-135m-instruct",
        "model_version": f"v{number % 3}",
        "status": "success",
        "latency_seconds": round(0.05 + number % 977 / 1000, 6),
        "gen_ai": {"operation": {"name": "chat"}, "usage": {"input_tokens": 12, "output_tokens": number % 64}},
        "http": {"route": "/v1/chat/completions", "request": {"method": "POST"}, "response": {"status_code": 200}},
    }
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def measure_size_bytes(logs: Path) -> int:
    return sum(path.stat().st_size for path in logs.glob("*.jsonl"))
