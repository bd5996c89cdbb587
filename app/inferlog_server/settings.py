"""What differs between two deployments of the service."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inferlog_server.inference.versions import NAME_PATTERN, SimulatedFigures, Version
from inferlog_server.upstream_url import completions_url

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


class Settings(BaseSettings):
    """
    Serve a language model over OpenAI's protocol and write one event per request.

    Each option can also be given as INFERLOG_SERVER_<OPTION>; the option wins. Where the events go, and
    under which service's name, is read from INFERLOG_LOG_DIR, INFERLOG_SERVICE_NAME and the like.
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
    """Port to listen on; 0 = any free one, see ready_file."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes; each loads the model and writes log files of its own."""
    ready_file: Path | None = None
    """Written as {"url": …, "pid": …} once requests are answered, removed at the end."""
    logging: bool = True
    """Write events and log lines. false = the same service without inferlog, to measure what it costs."""

    backend: Literal["llama", "simulated", "upstream"] = "llama"
    """llama = a real model on this machine's processors; simulated = only its delays, for load; upstream = another
    service that speaks OpenAI's protocol, see upstream_url."""
    model_name: Annotated[str, Field(pattern=NAME_PATTERN)] = "smollm2-135m-instruct"
    """What clients ask for, and what stands in every event."""
    versions: Annotated[tuple[Version, ...], Field(min_length=1)] = _DEFAULT_VERSIONS
    """The model's versions as JSON, each with its share of the traffic and its decoding settings."""
    context_tokens: Annotated[int, Field(ge=64)] = 2048
    """Prompt and answer of one request together."""
    client_id_header: str | None = None
    """Request header that says who called, such as authorization; its hash stands in the event as client.id. Default:
    what INFERLOG_CLIENT_ID_HEADER says."""

    head_timeout_seconds: Annotated[float, Field(gt=0)] = 10
    """A connection on which the next request's head takes longer to arrive is closed."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """A larger request body is answered with 413."""
    body_timeout_seconds: Annotated[float, Field(gt=0)] = 30
    """A body that takes longer to arrive is answered with 408."""
    max_tokens_limit: Annotated[int, Field(ge=1)] = 1024
    """No request and no version may ask for a longer answer."""
    queue_limit_requests: Annotated[int, Field(ge=0)] = 64
    """As many wait for the model; the next is answered with 429."""
    deadline_seconds: Annotated[float, Field(gt=0)] = 60
    """A generation that takes longer, its wait included, is stopped and answered with 504."""
    shutdown_timeout_seconds: Annotated[int, Field(ge=0)] = 10
    """After SIGTERM open requests may take this long to finish."""

    llama_parallel_requests: Annotated[int, Field(ge=1, le=64)] = 4
    """Generations computed side by side."""
    llama_threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads that compute; default: one for each processor but one. They wait for each other by
    spinning: as soon as something else wants their processors, more of them are several times slower."""

    simulated_parallel_requests: Annotated[int, Field(ge=1)] = 1000
    """Generations simulated side by side."""
    simulated_seed: int = 0
    """What the simulated delays and lengths are drawn from."""

    upstream_url: Annotated[str, AfterValidator(completions_url)] | None = None
    """Base URL of the service that answers, such as http://127.0.0.1:8001/v1. Each version asks it for the version's
    upstream_model, or for model_name:version where it has none."""
    upstream_api_key: SecretStr | None = None
    """Sent to it as bearer token. A command line is visible to others: better in the environment, or in a file."""
    upstream_api_key_file: Path | None = None
    """File with that key."""
    upstream_parallel_requests: Annotated[int, Field(ge=1)] = 256
    """Requests, and connections, to it at once."""
    upstream_connect_timeout_seconds: Annotated[float, Field(gt=0)] = 5
    """A connection to it that takes longer is given up and answered with 504."""

    @model_validator(mode="after")
    def _upstream_is_known(self) -> Self:
        if self.backend == "upstream" and self.upstream_url is None:
            raise ValueError("backend is 'upstream'; expected upstream_url to say which service to ask")
        if self.upstream_api_key is not None and self.upstream_api_key_file is not None:
            raise ValueError("upstream_api_key and upstream_api_key_file are both given; expected one of them")
        return self

    @model_validator(mode="after")
    def _versions_fit_together(self) -> Self:
        names = [version.name for version in self.versions]
        if len(set(names)) < len(names):
            raise ValueError(f"versions: the names {names} are not all different")
        if not any(version.share > 0 for version in self.versions):
            raise ValueError("versions: no version has a share above 0, so none would answer")
        for version in self.versions:
            if version.max_tokens > self.max_tokens_limit:
                raise ValueError(
                    f"versions: {version.name} has max_tokens {version.max_tokens}; "
                    f"expected at most max_tokens_limit, {self.max_tokens_limit}"
                )
        return self
