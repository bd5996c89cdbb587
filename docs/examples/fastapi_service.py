"""A FastAPI service: run it with ``uvicorn fastapi_service:app``."""

from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import inferlog

inferlog.configure(service_name="reviews")
app = FastAPI()
app.add_middleware(inferlog.InferenceMiddleware)
log = inferlog.get_logger(__name__)


class Review(BaseModel):
    """A customer's review."""

    text: str


@app.post("/sentiment")
def sentiment(review: Review) -> dict[str, str]:
    """Answer from a thread pool. Bound values and log lines still belong to the request."""
    words = review.text.split()
    if not words:
        raise HTTPException(422, "nothing to judge")
    log.info("sentiment.judged", words=len(words))
    inferlog.bind_inference(model_name="sentiment", model_version="v3", input_tokens=len(words), output_tokens=1)
    return {"sentiment": "good" if "good" in words else "bad"}


@app.post("/echo")
async def echo(review: Review) -> StreamingResponse:
    """Answer as a stream: its event is written after its last byte, or when the caller disconnects."""

    async def words() -> AsyncIterator[str]:
        inferlog.bind_inference(model_name="echo", model_version="v1")
        for number, word in enumerate(review.text.split(), start=1):
            yield f"{word} "
            inferlog.bind_inference(output_tokens=number)

    return StreamingResponse(words(), media_type="text/plain")
