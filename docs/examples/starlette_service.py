"""A Starlette service: run it with ``uvicorn starlette_service:app``."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

import inferlog

inferlog.configure(service_name="reviews")
log = inferlog.get_logger(__name__)


async def sentiment(request: Request) -> Response:
    """Answer with one word; ``http.route`` of the event is ``/{tenant}/sentiment``."""
    words = (await request.body()).decode().split()
    log.info("sentiment.judged", words=len(words))
    inferlog.bind_inference(model_name="sentiment", input_tokens=len(words), output_tokens=1)
    return PlainTextResponse("good" if "good" in words else "bad", headers={"x-model-version": "v3"})


app = Starlette(
    routes=[Mount("/{tenant}", routes=[Route("/sentiment", sentiment, methods=["POST"])])],
    middleware=[
        Middleware(
            inferlog.InferenceMiddleware,
            model_version=lambda _, headers: headers.get("x-model-version"),
            client_id=lambda scope: scope["path_params"].get("tenant"),
        )
    ],
)
