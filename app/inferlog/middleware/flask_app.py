"""
What Flask shows of a request: its route, in the environ until it has answered, and by signal what ends in a 500.

Flask is not imported here: whoever has a Flask application has imported it.
"""

import sys
from typing import Any

from inferlog.context import current_inference
from inferlog.internal_errors import log_failure
from inferlog.line import describe_error


def listen_for_exceptions() -> None:
    """Have Flask, if it is in use, tell of exceptions that no handler of the service's takes."""
    flask = sys.modules.get("flask")
    if flask is not None:
        # Of any application: it may lie below others, and the running request's context says whose event it is.
        flask.got_request_exception.connect(_note_exception)


def _note_exception(_application: Any, exception: BaseException, **_: Any) -> None:
    inference = current_inference.get()
    if inference is None:
        return
    try:
        inference.bind_exception(describe_error(exception))
        # In debug mode the exception goes on, and no answer is begun that would show the route.
        inference.bind({"http_route": _rule(sys.modules["flask"].request)})
    except Exception as failure:  # noqa: BLE001 (raised in a signal it would take the place of the service's own error)
        log_failure("the error of a request", failure)


def route_template(environ: dict[str, Any], app: Any, mounted_at: str) -> str | None:
    """
    Return the template of the route that took the request, such as ``/items/<int:item>``, or None if none did.

    Args:
        environ: As it is while the answer begins; later Flask takes its request out of it.
        app: What the middleware is around.
        mounted_at: ``SCRIPT_NAME`` when the request came in; not in the template.
    """
    rule = _rule(environ.get("werkzeug.request"))
    script_name = environ.get("SCRIPT_NAME", "")
    if rule is None or script_name == mounted_at:
        return rule
    return _known_mounts(app, script_name.removeprefix(mounted_at)) + rule


def _rule(request: Any) -> str | None:
    rule = getattr(request, "url_rule", None)
    return None if rule is None else str(rule.rule)


def _known_mounts(app: Any, path: str) -> str:
    """Return *path* if it is made of mounts of werkzeug's dispatcher: a client or a proxy may have sent any other."""
    rest = path
    while rest and app is not None:
        mounts = getattr(app, "mounts", {})
        mount = max((mount for mount in mounts if f"{rest}/".startswith(f"{mount}/")), key=len, default=None)
        if mount:
            rest, app = rest[len(mount) :], mounts[mount]
        else:
            app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    return "" if rest else path
