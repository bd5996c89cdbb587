"""Two services: this one asks the other; ``uvicorn gateway:app``, with MODEL_URL naming the model's service."""

import os

import httpx2 as httpx
from fastapi import FastAPI

import inferlog

inferlog.configure(service_name="gateway")
app = FastAPI()
app.add_middleware(inferlog.InferenceMiddleware)
# The one line that ties the two events together: X-Correlation-ID and traceparent go along.
model = inferlog.propagate(httpx.AsyncClient(base_url=os.environ.get("MODEL_URL", "http://127.0.0.1:8001")))


@app.post("/ask")
async def ask(review: dict[str, str]) -> dict[str, str]:
    """Pass the question on; ``inferlog trace`` shows both hops with each one's share of the latency."""
    response = await model.post("/sentiment", json=review)
    response.raise_for_status()
    inferlog.bind_inference(model_name="sentiment", model_version="v3")
    answer: dict[str, str] = response.json()
    return answer
