"""Construction of the upstream backend: its HTTP client, its API key, and the request ids it forwards."""

import logging
from pathlib import Path

import httpx2 as httpx

import inferlog
from inferlog_server.errors import StartError
from inferlog_server.inference.upstream import UpstreamBackend
from inferlog_server.settings import ServerSettings

# A request fails if the server closes an idle connection just as it is reused; most servers keep one open for 2 s or
# more.
_IDLE_CONNECTION_SECONDS = 1.0


def create_upstream_backend(settings: ServerSettings) -> UpstreamBackend:
    """
    Return a backend for the server at ``upstream_url``, without connecting to it.

    Raises:
        StartError: If the API key cannot be read or is not valid.
    """
    assert settings.upstream_url is not None  # noqa: S101 (checked by the settings)
    key = _read_key(settings)
    slots = settings.upstream_parallel_requests
    client = httpx.AsyncClient(
        headers={"authorization": f"Bearer {key}"} if key else None,
        # The deadline limits the whole response, so reads have no timeout of their own.
        timeout=httpx.Timeout(None, connect=settings.upstream_connect_timeout_seconds),
        limits=httpx.Limits(
            max_connections=slots, max_keepalive_connections=slots, keepalive_expiry=_IDLE_CONNECTION_SECONDS
        ),
    )
    # At lower levels they log every request, which has its event already, and its headers, which contain secrets.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return UpstreamBackend(
        inferlog.propagate(client),
        url=settings.upstream_url,
        model_name=settings.model_name,
        slots=slots,
        waiting_limit=settings.queue_limit_requests,
    )


def _read_key(settings: ServerSettings) -> str | None:
    """Return the API key without surrounding white space. Errors never contain it."""
    if settings.upstream_api_key_file is not None:
        where, key = (
            f"upstream_api_key_file {settings.upstream_api_key_file}",
            _read_file(settings.upstream_api_key_file),
        )
    elif settings.upstream_api_key is not None:
        where, key = "upstream_api_key", settings.upstream_api_key.get_secret_value().strip()
    else:
        return None
    if not key or not all("!" <= character <= "~" for character in key):
        raise StartError(f"{where}: expected one key of printable ASCII characters without spaces")
    return key


def _read_file(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1").strip()
    except OSError as error:
        raise StartError(f"upstream_api_key_file {path}: {error.strerror}; expected a readable file") from None
