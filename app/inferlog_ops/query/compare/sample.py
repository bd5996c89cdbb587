"""What is known of one model version's requests. Plain data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """
    Counted over every request of one version in the range.

    Attributes:
        requests: All of them, whatever ended them.
        errors: Those with status ``error``.
        output_tokens: Their sum; 0 if none is known.
    """

    requests: int
    errors: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    One version's requests, one place in each array a request: all that were counted, or so many drawn at random.

    Attributes:
        model_version: What answered them; ``(none)`` for those that reached no model.
        counts: Of all requests, also where fewer were drawn.
        latency_seconds: ``(drawn,)``, float64; NaN where unknown, as in all four.
        time_to_first_token_seconds: ``(drawn,)``, float64.
        output_tokens: ``(drawn,)``, float64.
        cost_usd: ``(drawn,)``, float64.
    """

    model_version: str
    counts: Counts
    latency_seconds: Numbers
    time_to_first_token_seconds: Numbers
    output_tokens: Numbers
    cost_usd: Numbers

    @property
    def drawn(self) -> int:
        """How many requests the arrays hold."""
        return len(self.latency_seconds)

    @property
    def output_tokens_per_second(self) -> Numbers:
        """
        How fast each answer came: its output tokens by its latency.

        Of the requests only that gave a token and took time: a rejected one says nothing about speed.
        """
        answered = (self.output_tokens > 0) & (self.latency_seconds > 0)
        speeds: Numbers = self.output_tokens[answered] / self.latency_seconds[answered]
        return speeds


def known(numbers: Numbers) -> Numbers:
    """Return *numbers* without NaN, in ascending order."""
    return np.sort(numbers[~np.isnan(numbers)])
