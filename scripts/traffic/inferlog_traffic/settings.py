"""Settings of a run: options of ``locust``, and fields of its web page."""

import math
import re
import secrets
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from inferlog_traffic.arrivals import AT_REST, CURVES, Curve
from inferlog_traffic.bodies import DEFAULT_FILE

# With its suffix an id stays within the 64 characters that a service accepts.
_RUN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_DURATION: Final = re.compile(r"(\d+)([smh]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_FASTEST_USER_REQUESTS_PER_SECOND: Final = 0.5
"""Maximum rate of one user without ``--user-rate``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSettings:
    """
    Settings of one run.

    Attributes:
        curve: Curve of the rate over the run.
        highest_requests_per_second: Rate at the curve's maximum of 1.
        duration_seconds: Time during which requests are due.
        most_requests: Maximum number of requests of each process; 0 = no limit.
        user_requests_per_second: Rate of each of Locust's users; their number makes the total rate.
        burst_requests: Number of requests in a burst.
        seed: Seed of the arrival times and prompts of every caller.
        run_id: Prefix of the correlation ids of all requests.
        model: Requested model.
        pinned_version: Version that `CanaryChat` and `LongChat` request.
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
    def from_options(cls, options: Namespace) -> Self:
        """
        Return the settings in *options*, from the command line or from the web page.

        Args:
            options: Options, including the weights that `store_weights` has added.

        Raises:
            ValueError: With the option, the value found and the value expected.
        """
        if options.curve not in CURVES:
            raise ValueError(f"--curve is {options.curve!r}; expected one of {', '.join(CURVES)}")
        for name in ("rate", "duration", "burst_size"):
            if not 0 < getattr(options, name) < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(options, name)}; expected a number above 0")
        if not 0 <= options.user_rate <= options.rate:
            raise ValueError(
                f"--user-rate is {options.user_rate}; expected a number up to --rate, which is {options.rate}, "
                "or 0 for a rate with callers of all classes"
            )
        if options.requests < 0:
            raise ValueError(f"--requests is {options.requests}; expected 0 or a larger number; 0 = no limit")
        if not _RUN_ID.fullmatch(options.run_id):
            raise ValueError(f"--run-id is {options.run_id!r}; expected 1 to 32 of A-Z a-z 0-9 . _ -")
        curve = CURVES[options.curve]
        return cls(
            curve=curve,
            highest_requests_per_second=options.rate,
            duration_seconds=options.duration,
            most_requests=options.requests,
            user_requests_per_second=options.user_rate
            or _compute_user_rate(curve, options.rate, options.sum_of_weights),
            burst_requests=options.burst_size,
            seed=options.seed,
            run_id=options.run_id,
            model=options.model,
            pinned_version=options.pinned_version,
        )

    def count_users_after(self, seconds: float) -> int:
        """Return the number of users for the rate after *seconds*; at least one, because Locust ends a run without."""
        share = self.curve(seconds / self.duration_seconds)
        return max(1, round(share * self.highest_requests_per_second / self.user_requests_per_second))


def _compute_user_rate(curve: Curve, highest_requests_per_second: float, sum_of_weights: float) -> float:
    """
    Return the rate of one user at which all classes have callers, even at the lowest point of *curve*.

    Locust starts users by the weights of their classes: with as many users as the sum of all weights, each class has
    as many as its weight.
    """
    lowest = highest_requests_per_second * max(AT_REST, min(curve(percent / 100) for percent in range(101)))
    return min(_FASTEST_USER_REQUESTS_PER_SECOND, lowest / sum_of_weights)


def store_weights(options: Namespace, weights: Iterable[float]) -> None:
    """Add the *weights* of the run's classes of callers to its *options*, which a master sends to its workers."""
    options.sum_of_weights = sum(weights)


def parse_seconds(text: str) -> int:
    """
    Convert ``90``, ``90s``, ``15m`` or ``2h`` to seconds.

    Raises:
        ValueError: If *text* has another format.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * _SECONDS[match[2]]


def add_options(parser: Any, **_: object) -> None:
    """Add options to Locust's. Options on the web page are read again from there at each start of a run."""

    def add(name: str, default: object, text: str, **more: Any) -> None:
        suffix = "" if default is None else " Default: %(default)s"
        parser.add_argument(f"--{name}", default=default, help=text + suffix, **more)

    add("curve", "flat", "Curve of the request rate over the run.", choices=list(CURVES))
    add("rate", 10.0, "Requests per second at the curve's maximum.", type=float)
    add("duration", 60, "Length of the run, such as 90s, 15m, 2h; on the web page in seconds.", type=parse_seconds)
    add("requests", 0, "Maximum number of requests of each process; 0 = no limit.", type=int)
    add("user-rate", 0.0, "Requests per second of one Locust user; 0 = low enough for all callers.", type=float)
    add("burst-size", 8, "Number of requests in a burst.", type=int)
    add("seed", 0, "Seed of all arrival times and prompts.", type=int)
    add("run-id", f"traffic-{secrets.token_hex(4)}", "Prefix of all correlation ids.")
    add("model", "smollm2-135m-instruct", "Requested model.")
    add("pinned-version", "v2", "Version of the model that CanaryChat and LongChat request.")
    add("answer-timeout", 120, "Seconds without a byte after which a request is abandoned.", type=parse_seconds)
    add(
        "new-connections",
        None,
        "Open a connection for each request; the requests then spread over all pods of a Service in Kubernetes.",
        action="store_true",
    )
    # Not on the web page, whose users may lack access to files of the machine. Strings instead of paths, because a
    # master sends plain values to its workers.
    add("prompts", str(DEFAULT_FILE), "File of prompts, one per line.", include_in_web_ui=False)
    add("records", None, "File to which each request appends one line of JSON.", include_in_web_ui=False)
    add(
        "skip-if-recorded",
        None,
        "Send nothing if the file of --records exists.",
        action="store_true",
        include_in_web_ui=False,
    )
