"""A FastAPI service as a web server imports it."""

import logging
import sys

import fastapi
import uvicorn

import inferlog

inferlog.configure(service_name="scoring")
app = fastapi.FastAPI()
app.add_middleware(inferlog.InferenceMiddleware)


@app.get("/predict")
async def predict() -> str:
    logging.getLogger("scoring").info("predicting")
    return "ok"


@app.get("/fail")
async def fail() -> None:
    raise RuntimeError("the model is broken")


@app.websocket("/chat")
async def chat(socket: fastapi.WebSocket) -> None:
    await socket.accept()
    await socket.close()


@app.exception_handler(Exception)
async def apologise(_: fastapi.Request, error: Exception) -> fastapi.Response:
    logging.getLogger("scoring").warning("apologising")
    return fastapi.Response("sorry", status_code=500)


if __name__ == "__main__":
    uvicorn.run(app, fd=int(sys.argv[1].removeprefix("--fd=")), log_config=None)
