"""Where the upstream backend sends its requests."""

from urllib.parse import urlsplit


def completions_url(base_url: str) -> str:
    """
    Return where chat completions are posted to below *base_url*, which is what OpenAI's clients are given too.

    A URL without a path means the usual one, ``/v1``.

    Raises:
        ValueError: If it is no such URL. The message does not repeat it: it may hold a password.
    """
    try:
        url = urlsplit(base_url)
        complete = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:  # its text would repeat what stands in the place of host or port
        complete = False
    if not complete:
        raise ValueError("expected http://host:port or https://host:port, and a path where it is not /v1")
    if url.username or url.password:
        raise ValueError("expected no user or password in it; upstream_api_key_file names a file with the key")
    if url.query or url.fragment:
        raise ValueError("expected no query and no fragment")
    path = url.path.rstrip("/") or "/v1"
    return f"{url.scheme}://{url.netloc}{path}/chat/completions"
