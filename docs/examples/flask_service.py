"""A Flask service: run it with ``flask --app flask_service run`` or under gunicorn."""

from flask import Flask, Response, request

import inferlog

inferlog.configure(service_name="reviews")
app = Flask(__name__)
app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
log = inferlog.get_logger(__name__)


@app.post("/sentiment/<language>")
def sentiment(language: str) -> Response | tuple[str, int]:
    """Answer with one word; ``http.route`` of the event is ``/sentiment/<language>``."""
    words = request.get_data(as_text=True).split()
    if language != "en":
        return "no model for this language", 404
    log.info("sentiment.judged", words=len(words))
    inferlog.bind_inference(model_name="sentiment", model_version="v3", input_tokens=len(words), output_tokens=1)
    return Response("good" if "good" in words else "bad")
