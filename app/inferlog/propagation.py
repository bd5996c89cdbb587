"""Propagation of the current request's ids to the services that it calls."""

from typing import Any, TypeVar

from inferlog.context import current_inference

_Client = TypeVar("_Client")


def outgoing_headers() -> dict[str, str]:
    """
    Return the headers that link a call to the current request; empty outside a request.

    ``X-Correlation-ID`` identifies the whole call chain. A received W3C ``traceparent`` is forwarded unchanged: this
    library creates no spans, and a tracing library that does sets the header itself.
    """
    inference = current_inference.get()
    if inference is None or "correlation_id" not in inference.fields:
        return {}
    headers = {"X-Correlation-ID": inference.fields["correlation_id"]}
    if inference.traceparent:
        headers["traceparent"] = inference.traceparent
    return headers


def propagate(client: _Client) -> _Client:
    """
    Add :func:`outgoing_headers` to every request of *client*; return the client. Headers set by the caller win.

    Supports ``httpx.Client`` and ``AsyncClient``, ``requests.Session``, and through these the ``openai`` client:
    ``OpenAI(http_client=inferlog.propagate(httpx.Client()))``.

    Raises:
        TypeError: If *client* is of another kind.
    """
    if hasattr(client, "event_hooks"):
        _hook_into_httpx(client)
    elif hasattr(client, "prepare_request"):
        _wrap_requests(client)
    else:
        raise TypeError(
            f"propagate: {type(client).__name__} is neither an httpx client nor a requests session; "
            "add inferlog.outgoing_headers() to its requests yourself"
        )
    return client


def _add_headers(request: Any) -> None:
    for name, value in outgoing_headers().items():
        request.headers.setdefault(name, value)


def _hook_into_httpx(client: Any) -> None:
    async def add_headers(request: Any) -> None:
        _add_headers(request)

    asynchronous = hasattr(client, "aclose")
    hooks = client.event_hooks
    hooks["request"] = [*hooks.get("request", ()), add_headers if asynchronous else _add_headers]
    client.event_hooks = hooks


def _wrap_requests(session: Any) -> None:
    # requests has no hook that runs before sending; a session prepares every request with this method.
    prepare = session.prepare_request

    def prepare_request(request: Any) -> Any:
        prepared = prepare(request)
        _add_headers(prepared)
        return prepared

    session.prepare_request = prepare_request
