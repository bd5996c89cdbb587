"""What differs between two runs: options of ``locust``, and fields of its web page."""

import math
import re
import secrets
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from inferlog_traffic.curves import AT_REST, CURVES, Curve
from inferlog_traffic.prompts import DEFAULT_FILE

# With what is put behind it, an id stays within the 64 characters that a service takes from outside.
_RUN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_DURATION: Final = re.compile(r"(\d+)([smh]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_FASTEST_USER_REQUESTS_PER_SECOND: Final = 0.5
"""Unless somebody wants it otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    One run.

    Attributes:
        curve: The course of the rate.
        highest_requests_per_second: What the curve's 1 stands for.
        duration_seconds: After that no request is due any more.
        most_requests: Nor after so many, in each process; 0 if there may be any number.
        user_requests_per_second: Of each of Locust's users: so many of them make the rate.
        burst_requests: How many requests a caller of bursts sends at the same moment.
        seed: Of every caller's moments and prompts.
        run_id: What the correlation ids of all requests begin with.
        model: What is asked for.
        pinned_version: The version that callers pinned to one ask for.
    """

    curve: Curve
    highest_requests_per_second: float
    duration_seconds: int
    most_requests: int
    user_requests_per_second: float
    burst_requests: int
    seed: int
    run_id: str
    model: str
    pinned_version: str

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """
        Return the settings in *options*: those of the command line, or what the web page has made of them.

        Args:
            options: With the weights that `note_weights` has put there.

        Raises:
            ValueError: Naming the option, what was found and what was expected.
        """
        if options.curve not in CURVES:
            raise ValueError(f"--curve is {options.curve!r}; expected one of {', '.join(CURVES)}")
        for name in ("rate", "duration", "burst_size"):
            if not 0 < getattr(options, name) < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(options, name)}; expected a number above 0")
        if not 0 <= options.user_rate <= options.rate:
            raise ValueError(
                f"--user-rate is {options.user_rate}; expected a number up to --rate, which is {options.rate}, "
                "or 0 for one at which all callers come"
            )
        if options.requests < 0:
            raise ValueError(f"--requests is {options.requests}; expected a number, 0 for any number")
        if not _RUN_ID.fullmatch(options.run_id):
            raise ValueError(f"--run-id is {options.run_id!r}; expected 1 to 32 of A-Z a-z 0-9 . _ -")
        curve = CURVES[options.curve]
        return cls(
            curve=curve,
            highest_requests_per_second=options.rate,
            duration_seconds=options.duration,
            most_requests=options.requests,
            user_requests_per_second=options.user_rate or _user_rate(curve, options.rate, options.sum_of_weights),
            burst_requests=options.burst_size,
            seed=options.seed,
            run_id=options.run_id,
            model=options.model,
            pinned_version=options.pinned_version,
        )

    def users_after(self, seconds: float) -> int:
        """Return how many users make the rate of that moment; one at least, or Locust would take the run for over."""
        share = self.curve(seconds / self.duration_seconds)
        return max(1, round(share * self.highest_requests_per_second / self.user_requests_per_second))


def _user_rate(curve: Curve, highest_requests_per_second: float, sum_of_weights: float) -> float:
    """
    Return how often one user asks if all classes of callers are to come, also where *curve* rests.

    Locust starts users by the weights of their classes: of so many as their sum, of each as many as its weight.
    """
    lowest = highest_requests_per_second * max(AT_REST, min(curve(percent / 100) for percent in range(101)))
    return min(_FASTEST_USER_REQUESTS_PER_SECOND, lowest / sum_of_weights)


def note_weights(options: Namespace, weights: Iterable[float]) -> None:
    """Put the *weights* of the run's classes of callers to its *options*, which a master hands on to its workers."""
    options.sum_of_weights = sum(weights)


def seconds(text: str) -> int:
    """
    Return ``90``, ``90s``, ``15m`` or ``2h`` in seconds.

    Raises:
        ValueError: If it is none of them.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * _SECONDS[match[2]]


def add_options(parser: Any, **_: object) -> None:
    """Add ours to Locust's options; those that the web page shows are read again at each start from there."""

    def add(name: str, default: object, text: str, **more: Any) -> None:
        shown = "" if default is None else " Default: %(default)s"
        parser.add_argument(f"--{name}", default=default, help=text + shown, **more)

    add("curve", "flat", "Course of the rate.", choices=list(CURVES))
    add("rate", 10.0, "Requests per second, at the curve's highest.", type=float)
    add("duration", 60, "How long requests are due, such as 90s, 15m, 2h; on the web page in seconds.", type=seconds)
    add("requests", 0, "After how many requests a process ends before that; 0 for any number.", type=int)
    add("user-rate", 0.0, "Requests per second of one of Locust's users; 0: such that all callers come.", type=float)
    add("burst-size", 8, "Requests that a caller of bursts sends at the same moment.", type=int)
    add("seed", 0, "Of all moments and prompts.", type=int)
    add("run-id", f"traffic-{secrets.token_hex(4)}", "What all correlation ids begin with.")
    add("model", "smollm2-135m-instruct", "What is asked for.")
    add("pinned-version", "v2", "The model's version that callers pinned to one ask for.")
    add("answer-timeout", 120, "Seconds without a byte after which an answer is given up.", type=seconds)
    # Not on the web page, which may be open to more people than the files of the machine. No paths: what a master sends
    # its workers are plain values.
    add("prompts", str(DEFAULT_FILE), "File of prompts, one a line.", include_in_web_ui=False)
    add("records", None, "File that gets a line of JSON for each request.", include_in_web_ui=False)
