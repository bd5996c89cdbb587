"""The upstream backend, put together: its HTTP client, its credentials, the ids it hands on."""

import logging
from pathlib import Path

import httpx2 as httpx

import inferlog
from inferlog_server.errors import StartError
from inferlog_server.inference.upstream import UpstreamBackend
from inferlog_server.settings import Settings

# A server that closes an idle connection at the moment it is used again breaks that request, and most keep one open
# for 2 s or more.
_IDLE_CONNECTION_SECONDS = 1.0


def upstream_backend(settings: Settings) -> UpstreamBackend:
    """
    Return the backend that asks the service at ``upstream_url``. Nothing is asked yet.

    Raises:
        StartError: If the key for it cannot be used.
    """
    assert settings.upstream_url is not None  # noqa: S101 (the settings have been checked together)
    key = _key(settings)
    places = settings.upstream_parallel_requests
    client = httpx.AsyncClient(
        headers={"authorization": f"Bearer {key}"} if key else None,
        # How long an answer may take is the deadline's to say, over all of it.
        timeout=httpx.Timeout(None, connect=settings.upstream_connect_timeout_seconds),
        limits=httpx.Limits(
            max_connections=places, max_keepalive_connections=places, keepalive_expiry=_IDLE_CONNECTION_SECONDS
        ),
    )
    # Below that they write of every request what its event says better, and of its headers what no log should.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return UpstreamBackend(
        inferlog.propagate(client),
        url=settings.upstream_url,
        model_name=settings.model_name,
        places=places,
        waiting_limit=settings.queue_limit_requests,
    )


def _key(settings: Settings) -> str | None:
    """Return the key for the service, white space at its ends left out. Errors never show it."""
    if settings.upstream_api_key_file is not None:
        where, key = f"upstream_api_key_file {settings.upstream_api_key_file}", _read(settings.upstream_api_key_file)
    elif settings.upstream_api_key is not None:
        where, key = "upstream_api_key", settings.upstream_api_key.get_secret_value().strip()
    else:
        return None
    if not key or not all("!" <= character <= "~" for character in key):
        raise StartError(f"{where}: expected one key of printable ASCII characters without spaces")
    return key


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1").strip()
    except OSError as error:
        raise StartError(f"upstream_api_key_file {path}: {error.strerror}; expected a readable file") from None
