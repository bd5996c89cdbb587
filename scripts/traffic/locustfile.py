"""
Load for an inference service that speaks OpenAI's protocol: open loop, seeded, with a record of each request.

    locust -f scripts/traffic/locustfile.py --headless --rate 20 --duration 2m --records client.jsonl
    locust -f scripts/traffic/locustfile.py             # web page at http://127.0.0.1:8089

Requests are sent when they are due, even if earlier ones are still open, and their latency counts from that time: a
service that stalls cannot hide its queue. Details: docs/traffic.md.
"""

import signal
import sys
from functools import partial
from pathlib import Path
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
from inferlog_traffic.generator import FirstTokens
from inferlog_traffic.settings import TrafficSettings, add_options, store_weights
from inferlog_traffic.shape import Load, busy

# Locust finds the users and the shape among the attributes of this module.
__all__ = ["BurstChat", "CanaryChat", "LeavingChat", "Load", "LongChat", "MalformedChat", "SteadyChat", "StreamingChat"]

locust.stats.STATS_TYPE_WIDTH = 10  # room for the longest caller name


def end_early(environment: Environment, number: int, _: object) -> NoReturn:
    """End the run like Ctrl-C, but with the exit code of the signal."""
    environment.process_exit_code = 128 + number
    raise KeyboardInterrupt


def escape_error(error: Exception) -> str:
    """Return the message of *error* on one line without control characters, which a path may contain."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(error))


def set_up(environment: Environment, **_: Any) -> None:
    """Check the options and open their files before the first request."""
    first_tokens, options = FirstTokens(), environment.parsed_options
    assert options  # noqa: S101 (set by Locust's command line)
    if options.skip_if_recorded and options.records and Path(options.records).exists():
        print("locust: nothing is sent, because the file of --records exists")
        sys.exit(0)
    store_weights(options, (user.weight for user in environment.user_classes))
    try:
        TrafficSettings.from_options(options)
        generator.install(environment, generator.Generator(environment, first_tokens))
    except (ValueError, OSError) as error:
        sys.exit(f"locust: {escape_error(error)}")
    # Locust handles SIGTERM only after a headless run; before, the process would end without its last records.
    signal.signal(signal.SIGTERM, partial(end_early, environment))
    first_tokens.listen(environment)
    busy.listen(environment)
    environment.events.test_start.add_listener(lambda **_: generator.get_generator(environment).begin())
    environment.events.test_stop.add_listener(lambda **_: generator.get_generator(environment).end())


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(set_up)
