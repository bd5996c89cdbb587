"""Address and credentials of a Kibana."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from inferlog_ops.core.errors import OperatorError

DEFAULT_SPACE = "default"

_SPACE = re.compile(r"[a-z0-9_-]{1,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kibana:
    """
    Address and credentials of a Kibana.

    Attributes:
        base_url: ``http(s)://host:port`` with the base path, if any; without a password, so it is safe in messages.
        user_and_password: From the address, as ``user:password``.
        api_key: In the ``encoded`` form that Elasticsearch returns.
        ca_file: PEM file of the certificate authority. Default: the authorities of the system.
        space: Kibana space of the objects.
    """

    base_url: str
    user_and_password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    space: str = DEFAULT_SPACE


def resolve_kibana(url: str, space: str) -> Kibana:
    """
    Combine *url* with the credentials in the environment.

    Raises:
        OperatorError: If *url* or *space* is invalid, or there are two kinds of credentials.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        # The exception repeats the address, which may contain a password.
        raise OperatorError("the address of Kibana is invalid; expected http(s)://host:port", exit_code=2) from None
    user, at, host = parts.netloc.rpartition("@")
    base_url = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
    if parts.scheme not in {"http", "https"} or not host:
        raise OperatorError(f"the address of Kibana is {base_url!r}; expected http(s)://host:port", exit_code=2)
    api_key = os.environ.get("KIBANA_API_KEY") or None
    if api_key and at:
        raise OperatorError(
            f"the address {base_url} contains a user, and KIBANA_API_KEY is set; give only one of them", exit_code=2
        )
    return Kibana(
        base_url=base_url,
        user_and_password=unquote(user) if at else None,
        api_key=api_key,
        ca_file=os.environ.get("KIBANA_CA_FILE") or None,
        space=check_space(space),
    )


def check_space(space: str) -> str:
    """
    Return *space* unchanged if it is a valid space id; it becomes part of each URL.

    Raises:
        OperatorError: If it is invalid.
    """
    if not _SPACE.fullmatch(space):
        raise OperatorError(f"the space is {space!r}; expected its id: a-z, 0-9, _ and -", exit_code=2)
    return space
