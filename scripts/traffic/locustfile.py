"""
Load for an inference service that speaks OpenAI's protocol: open loop, seeded, a record of each request.

    locust -f scripts/traffic/locustfile.py --headless --rate 20 --duration 2m --records client.jsonl
    locust -f scripts/traffic/locustfile.py             # a web page at http://127.0.0.1:8089

Requests leave when they are due, whether or not earlier ones were answered, and their latency counts from that moment:
a service that stalls cannot hide the queue before it. docs/traffic.md says more.
"""

import signal
import sys
from functools import partial
from typing import Any, NoReturn

import locust.stats
from locust import events
from locust.env import Environment

from inferlog_traffic import generator
from inferlog_traffic.callers import (
    BurstChat,
    CanaryChat,
    LeavingChat,
    LongChat,
    MalformedChat,
    SteadyChat,
    StreamingChat,
)
from inferlog_traffic.first_tokens import FirstTokens
from inferlog_traffic.settings import Settings, add_options, note_weights
from inferlog_traffic.shape import Load, busy

# Locust finds users and shape here by looking through this module.
__all__ = ["BurstChat", "CanaryChat", "LeavingChat", "Load", "LongChat", "MalformedChat", "SteadyChat", "StreamingChat"]

locust.stats.STATS_TYPE_WIDTH = 10  # the names of our classes of callers


def end_early(environment: Environment, number: int, _: object) -> NoReturn:
    """End the run as Ctrl-C does, with a status of its own."""
    environment.process_exit_code = 128 + number
    raise KeyboardInterrupt


def printable(error: Exception) -> str:
    """Return what *error* says on one line: a path in it must not steer the terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(error))


def set_up(environment: Environment, **_: Any) -> None:
    """Read and open what the options name, before anything is sent."""
    first_tokens, options = FirstTokens(), environment.parsed_options
    assert options  # noqa: S101 (Locust's own command line has made the environment)
    note_weights(options, (user.weight for user in environment.user_classes))
    try:
        Settings.of(options)
        generator.install(environment, generator.Generator(environment, first_tokens))
    except (ValueError, OSError) as error:
        sys.exit(f"locust: {printable(error)}")
    # Locust minds SIGTERM only once a run without the page is over: one that is not would end without a last record.
    signal.signal(signal.SIGTERM, partial(end_early, environment))
    first_tokens.listen(environment)
    busy.listen(environment)
    environment.events.test_start.add_listener(lambda **_: generator.of(environment).begin())
    environment.events.test_stop.add_listener(lambda **_: generator.of(environment).end())


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(set_up)
