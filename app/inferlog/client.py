"""
Who called: what an event may carry of it.

The id itself stays in memory until its event is written, and no line quotes it: it may be a credential.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from inferlog.callbacks import check_answers_at_once
from inferlog.event import NAME_LIMIT_CHARACTERS, cut, whole_utf8
from inferlog.redaction import is_credential
from inferlog.settings import Settings, SettingsError

ClientId = str | Callable[[Any], str | int | UUID | None]
"""The name of a header, or what finds the id in a request."""

_DIGEST_BYTES: Final = 16


class ClientIds:
    """
    Makes of an id what is written of it: 32 hexadecimal digits of BLAKE2b over the id in UTF-8.

    Whoever has the same id and key gets the same digits. Without a key an id that can be guessed, such as a
    customer's number, can be found by hashing all of them; with one, only by who has the key.

    Args:
        key: Up to 64 bytes; empty for no key.
        plain: Write ids as they are, except one that is a credential by its shape.
    """

    def __init__(self, key: bytes, *, plain: bool) -> None:
        self._start = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)
        self._plain = plain

    def __call__(self, client_id: str) -> str:
        """Return what stands in the event for *client_id*."""
        client_id = str.__str__(client_id)  # a subclass may do anything when it is encoded
        if self._plain and not is_credential(client_id):
            return cut(whole_utf8(client_id), NAME_LIMIT_CHARACTERS)
        state = self._start.copy()
        state.update(client_id.encode("utf-8", "surrogatepass"))
        return state.hexdigest()


def checked_client_id(given: ClientId | None, settings: Settings) -> ClientId | None:
    """
    Return what a middleware is *given* to find out who called, so that a wrong one is heard of at start.

    Raises:
        SettingsError: If it is neither a callable nor the name of a header that may be used.
        TypeError: If it is an async callable.
    """
    if given is None:
        return None
    if callable(given):
        check_answers_at_once("client_id", given)
        return given
    if not isinstance(given, str):
        raise SettingsError(f"client_id is {given!r:.80}; expected the name of a header, or a callable")
    settings.check_client_id_header("client_id", given)
    return given.lower()


def header_text(raw: bytes) -> str:
    r"""Return a header's value as text: UTF-8; a byte that is none stands as ``\xe9``."""
    return raw.decode("utf-8", "backslashreplace")
