"""
inferlog: logging for model inference. One inference, one event, no silent loss.

    import inferlog

    inferlog.configure(service_name="scoring", log_dir="logs")
    app.add_middleware(inferlog.InferenceMiddleware)

See README.md and docs/.
"""

from inferlog._version import __version__
from inferlog.configuration import configure, shutdown, stats
from inferlog.context import bind_inference
from inferlog.event import InvalidFieldError
from inferlog.heartbeat import add_gauge
from inferlog.logger import get_logger
from inferlog.losses import Stats
from inferlog.middleware.asgi import InferenceMiddleware
from inferlog.middleware.wsgi import InferenceWSGIMiddleware
from inferlog.propagation import outgoing_headers, propagate
from inferlog.record import capture_content, record_inference
from inferlog.settings import SettingsError
from inferlog.tracking import track_performance

__all__ = [
    "InferenceMiddleware",
    "InferenceWSGIMiddleware",
    "InvalidFieldError",
    "SettingsError",
    "Stats",
    "__version__",
    "add_gauge",
    "bind_inference",
    "capture_content",
    "configure",
    "get_logger",
    "outgoing_headers",
    "propagate",
    "record_inference",
    "shutdown",
    "stats",
    "track_performance",
]
