"""From exceptions to responses, for every route."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from inferlog_server.inference.errors import InferenceError
from inferlog_server.routes.client import NoResponse
from inferlog_server.routes.openai_error import OpenAIError, http_error, internal_error, openai_error
from inferlog_server.routes.recording import record_error


def answer_failures(app: FastAPI) -> None:
    """Let *app* answer every exception with an error in OpenAI's shape."""

    @app.exception_handler(OpenAIError)
    async def refuse(_: Request, error: OpenAIError) -> Response:
        return _answer(error)

    @app.exception_handler(InferenceError)
    async def report(_: Request, error: InferenceError) -> Response:
        return _answer(openai_error(error))

    @app.exception_handler(HTTPException)
    async def refuse_path(_: Request, error: HTTPException) -> Response:
        return _answer(http_error(error.status_code, headers=error.headers))

    @app.exception_handler(ClientDisconnect)
    async def let_go(_: Request, __: ClientDisconnect) -> Response:
        return NoResponse()

    @app.exception_handler(Exception)
    async def apologise(_: Request, __: Exception) -> Response:
        # Raised again behind this answer: the event and the log get the exception itself.
        return JSONResponse(internal_error().body(), status_code=500)


def _answer(error: OpenAIError) -> Response:
    record_error(error)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)
