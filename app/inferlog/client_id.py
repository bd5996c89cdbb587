"""``client.id``: the caller of a request, found by a header or a callback, and written as a hash."""

import hashlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from inferlog.context import Inference, check_synchronous
from inferlog.event import NAME_LIMIT_CHARACTERS, cut, to_utf8
from inferlog.redaction import is_credential
from inferlog.settings import Settings, SettingsError

ClientId = str | Callable[[Any], str | int | UUID | None]
"""The name of a request header, or a callback that takes the request."""

_DIGEST_BYTES: Final = 16


def check_client_id(client_id: ClientId | None, settings: Settings) -> ClientId | None:
    """
    Validate the *client_id* argument of a middleware at start, and return it; a header name in lower case.

    Raises:
        SettingsError: If it is neither a callable nor the name of a permitted header.
        TypeError: If it is an async callable.
    """
    if client_id is None:
        return None
    if callable(client_id):
        check_synchronous("client_id", client_id)
        return client_id
    if not isinstance(client_id, str):
        raise SettingsError(f"client_id is {client_id!r:.80}; expected a header name or a callable")
    settings.check_client_id_header("client_id", client_id)
    return client_id.lower()


def bind_client_id(
    inference: Inference,
    client_id: ClientId,
    request: Any,
    header: Callable[[str], str | None],
    settings: Settings,
) -> None:
    """Bind the client id from the configured header or user callback; an empty id binds nothing."""

    def find() -> Any:
        if settings.client_id_plain and isinstance(client_id, str):
            # A middleware created before configure() was validated against other settings.
            settings.check_client_id_header("client_id", client_id)
        value = header(client_id) if isinstance(client_id, str) else client_id(request)
        return None if value == "" else value

    inference.bind_result("client_id", find)


class ClientIds:
    """
    Converts a client id to its written form: 32 hexadecimal digits of BLAKE2b over the id in UTF-8.

    The same id and key give the same digits. Without a key, an id from a small set, such as a customer number, can be
    recovered by hashing all of them; with one, only with the key. The raw id stays in memory until its event is
    written, and log lines never quote it: it may be a credential.

    Args:
        key: Up to 64 bytes; empty for no key.
        plain: Write ids unhashed, except those with the shape of a credential.
    """

    def __init__(self, key: bytes, *, plain: bool) -> None:
        self._start = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)
        self._plain = plain

    def __call__(self, client_id: str) -> str:
        """Return the written form of *client_id*."""
        client_id = str.__str__(client_id)  # a subclass may override encode()
        if self._plain and not is_credential(client_id):
            return cut(to_utf8(client_id), NAME_LIMIT_CHARACTERS)
        state = self._start.copy()
        state.update(client_id.encode("utf-8", "surrogatepass"))
        return state.hexdigest()


def decode_header(raw: bytes) -> str:
    r"""Return a header's value decoded as UTF-8; an invalid byte becomes ``\xe9``."""
    return raw.decode("utf-8", "backslashreplace")
