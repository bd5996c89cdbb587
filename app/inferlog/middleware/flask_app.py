"""
Flask integration: the route template from the environ, and by signal the exceptions that end in a 500.

Flask is not imported here: a service with a Flask application has already imported it.
"""

import sys
from typing import Any

from inferlog.context import current_inference, log_failure
from inferlog.line import describe_error


def listen_for_exceptions() -> None:
    """Subscribe to Flask's signal for unhandled exceptions, if Flask is in use."""
    flask = sys.modules.get("flask")
    if flask is not None:
        # For all applications: one may be mounted below others, and the current context identifies the event.
        flask.got_request_exception.connect(_note_exception)


def _note_exception(_application: Any, exception: BaseException, **_: Any) -> None:
    inference = current_inference.get()
    if inference is None:
        return
    try:
        inference.bind_exception(describe_error(exception))
        # In debug mode the exception propagates, and no response starts that would give the route.
        if "http_route" not in inference.fields:
            inference.bind({"http_route": _get_rule(sys.modules["flask"].request)})
    except Exception as failure:  # noqa: BLE001 (raised in a signal handler, it would replace the service's own error)
        log_failure("the error of a request", failure)


def find_route_template(environ: dict[str, Any], app: Any, mounted_at: str) -> str | None:
    """
    Return the template of the matched route, such as ``/items/<int:item>``, or None without a match.

    Args:
        environ: The environ at the start of the response; later Flask removes its request from it.
        app: The application wrapped by the middleware.
        mounted_at: ``SCRIPT_NAME`` when the request arrived; not part of the template.
    """
    rule = _get_rule(environ.get("werkzeug.request"))
    script_name = environ.get("SCRIPT_NAME", "")
    if rule is None or script_name == mounted_at:
        return rule
    return _keep_known_mounts(app, script_name.removeprefix(mounted_at)) + rule


def _get_rule(request: Any) -> str | None:
    rule = getattr(request, "url_rule", None)
    return None if rule is None else str(rule.rule)


def _keep_known_mounts(app: Any, path: str) -> str:
    """Return *path* if it consists of mounts of werkzeug's dispatcher, else "": clients may send any other."""
    rest = path
    while rest and app is not None:
        mounts = getattr(app, "mounts", {})
        mount = max((mount for mount in mounts if f"{rest}/".startswith(f"{mount}/")), key=len, default=None)
        if mount:
            rest, app = rest[len(mount) :], mounts[mount]
        else:
            app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    return "" if rest else path
