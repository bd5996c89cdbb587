"""A service whose model takes several requests at once: run it with ``uvicorn batching_service:app``."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI
from pydantic import BaseModel

import inferlog

_BATCH_LIMIT = 8
_GATHER_SECONDS = 0.02

inferlog.configure(service_name="reviews")


class Review(BaseModel):
    """A customer's review."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer and the figures of its batch."""

    sentiment: str
    queue_seconds: float
    batch_size: int
    model_latency_seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in the queue."""

    text: str
    answer: asyncio.Future[Judged]
    arrived: float = field(default_factory=time.perf_counter)


_queue: asyncio.Queue[Waiting] = asyncio.Queue()
inferlog.add_gauge("queue_requests", _queue.qsize)


def model(texts: list[str]) -> list[str]:
    """Judge all texts in one go."""
    return ["good" if "good" in text.split() else "bad" for text in texts]


async def judge_in_batches() -> None:
    """Collect waiting requests and answer them in batches. Binds nothing: a batch belongs to several requests."""
    while True:
        batch = [await _queue.get()]
        await asyncio.sleep(_GATHER_SECONDS)
        while len(batch) < _BATCH_LIMIT and not _queue.empty():
            batch.append(_queue.get_nowait())
        began = time.perf_counter()
        sentiments = await asyncio.to_thread(model, [waiting.text for waiting in batch])
        seconds = time.perf_counter() - began
        for waiting, sentiment in zip(batch, sentiments, strict=True):
            if not waiting.answer.cancelled():  # its caller may have left
                waiting.answer.set_result(
                    Judged(
                        sentiment=sentiment,
                        queue_seconds=began - waiting.arrived,
                        batch_size=len(batch),
                        model_latency_seconds=seconds,
                    )
                )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run the model's loop as long as the service answers."""
    loop = asyncio.create_task(judge_in_batches())
    yield
    loop.cancel()


app = FastAPI(lifespan=lifespan)
app.add_middleware(inferlog.InferenceMiddleware, model_version="v3")


@app.post("/sentiment")
async def sentiment(review: Review) -> dict[str, str]:
    """Wait for the batch of this request, then bind its figures."""
    waiting = Waiting(review.text, asyncio.get_running_loop().create_future())
    _queue.put_nowait(waiting)
    judged = await waiting.answer
    inferlog.bind_inference(
        model_name="sentiment",
        queue_seconds=judged.queue_seconds,
        batch_size=judged.batch_size,
        model_latency_seconds=judged.model_latency_seconds,
    )
    return {"sentiment": judged.sentiment}
