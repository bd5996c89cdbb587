"""Settings of the service, from the command line and the environment."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inferlog_server.inference.versions import NAME_PATTERN, SimulatedFigures, Version


def build_completions_url(base_url: str) -> str:
    """
    Return the URL of chat completions below *base_url*, the base URL that OpenAI's clients take too.

    A base URL without a path gets the usual one, ``/v1``.

    Raises:
        ValueError: If the URL is not valid. The message does not repeat it, because it may contain a password.
    """
    try:
        url = urlsplit(base_url)
        complete = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:  # its message would repeat the invalid host or port
        complete = False
    if not complete:
        raise ValueError("expected http://host:port or https://host:port, and a path if it differs from /v1")
    if url.username or url.password:
        raise ValueError("expected no user or password in the URL; set upstream_api_key_file to a file with the key")
    if url.query or url.fragment:
        raise ValueError("expected no query and no fragment")
    path = url.path.rstrip("/") or "/v1"
    return f"{url.scheme}://{url.netloc}{path}/chat/completions"


_DEFAULT_VERSIONS = (
    Version(name="v1", share=80, temperature=0, max_tokens=64),
    Version(
        name="v2",
        share=20,
        temperature=0.7,
        max_tokens=128,
        simulated=SimulatedFigures(
            first_token_median_seconds=0.03, token_median_seconds=0.0012, output_tokens_median=80
        ),
    ),
)


class ServerSettings(BaseSettings):
    """
    Serve a language model over OpenAI's protocol and write one event per request.

    Each option can also be set as INFERLOG_SERVER_<OPTION>; the option wins. The logging library reads its own
    settings from INFERLOG_LOG_DIR, INFERLOG_SERVICE_NAME and the other INFERLOG_ variables.
    """

    model_config = SettingsConfigDict(
        env_prefix="INFERLOG_SERVER_",
        frozen=True,
        cli_prog_name="inferlog_server",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; anything but a loopback address opens the service to the network."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 = any free port, which ready_file names."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of processes; each loads the model and writes its own log files."""
    ready_file: Path | None = None
    """File written as {"url": …, "pid": …} once the service accepts requests, and removed when it stops."""
    logging: bool = True
    """Write events and log lines. false = the same service without inferlog, to measure the cost of logging."""

    backend: Literal["llama", "simulated", "upstream"] = "llama"
    """llama = a real model on this machine's processors; simulated = only its delays, for load tests; upstream = a
    server that speaks OpenAI's protocol, at upstream_url."""
    model_name: Annotated[str, Field(pattern=NAME_PATTERN)] = "smollm2-135m-instruct"
    """Model name in requests and in every event."""
    versions: Annotated[tuple[Version, ...], Field(min_length=1)] = _DEFAULT_VERSIONS
    """Versions of the model as JSON, each with its share of the traffic and its decoding settings."""
    context_tokens: Annotated[int, Field(ge=64)] = 2048
    """Maximum tokens of one request, prompt and response together. The upstream backend does not check it."""
    client_id_header: str | None = None
    """Request header that identifies the caller, such as authorization; its hash is written to the event as client.id.
    Default: INFERLOG_CLIENT_ID_HEADER."""

    head_timeout_seconds: Annotated[float, Field(gt=0)] = 10
    """Timeout in seconds for the headers of the next request; after it the connection is closed."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """Maximum size of a request body; larger bodies get 413."""
    body_timeout_seconds: Annotated[float, Field(gt=0)] = 30
    """Timeout in seconds for the request body; slower bodies get 408."""
    max_tokens_limit: Annotated[int, Field(ge=1)] = 1024
    """Maximum of max_tokens in a request or a version."""
    queue_limit_requests: Annotated[int, Field(ge=0)] = 64
    """Maximum number of requests that wait for the model; the next one gets 429."""
    deadline_seconds: Annotated[float, Field(gt=0)] = 60
    """Timeout in seconds for a generation, its time in the queue included; after it the request gets 504."""
    shutdown_timeout_seconds: Annotated[int, Field(ge=0)] = 10
    """Seconds that open requests have to finish after SIGTERM."""

    llama_parallel_requests: Annotated[int, Field(ge=1, le=64)] = 4
    """Number of generations computed in parallel."""
    llama_threads: Annotated[int, Field(ge=1)] | None = None
    """Compute threads; default: the number of processors minus one. The threads spin while they wait for each other,
    so too many of them are several times slower when other processes need the processors."""

    simulated_parallel_requests: Annotated[int, Field(ge=1)] = 1000
    """Number of generations simulated in parallel."""
    simulated_seed: int = 0
    """Seed of the simulated delays and lengths."""

    upstream_url: Annotated[str, AfterValidator(build_completions_url)] | None = None
    """Base URL of the upstream server, such as http://127.0.0.1:8001/v1. Requests to it name the version's
    upstream_model, or model_name:version if the version has none."""
    upstream_api_key: SecretStr | None = None
    """Bearer token for the upstream server. Command lines are visible to other users: use the environment or a file."""
    upstream_api_key_file: Path | None = None
    """File with the bearer token for the upstream server."""
    upstream_parallel_requests: Annotated[int, Field(ge=1)] = 256
    """Maximum number of parallel requests, and connections, to the upstream server."""
    upstream_connect_timeout_seconds: Annotated[float, Field(gt=0)] = 5
    """Timeout in seconds for a connection to the upstream server; after it the request gets 504."""

    @model_validator(mode="after")
    def _check_upstream(self) -> Self:
        if self.backend == "upstream" and self.upstream_url is None:
            raise ValueError("backend is 'upstream'; expected upstream_url, the base URL of the upstream server")
        if self.upstream_api_key is not None and self.upstream_api_key_file is not None:
            raise ValueError("upstream_api_key and upstream_api_key_file are both set; expected one of them")
        return self

    @model_validator(mode="after")
    def _check_versions(self) -> Self:
        names = [version.name for version in self.versions]
        if len(set(names)) < len(names):
            raise ValueError(f"versions: duplicate name in {names}; expected unique names")
        if not any(version.share > 0 for version in self.versions):
            raise ValueError("versions: every share is 0; expected at least one share above 0")
        for version in self.versions:
            if version.max_tokens > self.max_tokens_limit:
                raise ValueError(
                    f"versions: {version.name} has max_tokens {version.max_tokens}; "
                    f"expected at most max_tokens_limit, {self.max_tokens_limit}"
                )
        return self
