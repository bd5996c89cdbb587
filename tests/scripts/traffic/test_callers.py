"""Times at which callers send their requests, by a clock that the test sets."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest

from inferlog_traffic import arrivals

RATE, BURST, SEED = 0.6, 4, 3
BEGIN, END, STEP = 100.0, 170.0, 7.0
# In a process of its own: Locust changes the sockets of the process that imports it.
PROGRAM = f"""
import json, sys
from types import SimpleNamespace
from inferlog_traffic import callers

now, due = {BEGIN}, []
state = SimpleNamespace(
    settings=SimpleNamespace(user_requests_per_second={RATE}, burst_requests={BURST}, seed={SEED}, model="m"),
    run_id="run", prompts=["Hello"], has_sent_all=False, make_name=lambda caller: caller + "-0-1",
    send=lambda request, due_at, **_: due.append(due_at),
)
callers.perf_counter = lambda: now
callers.generator = SimpleNamespace(get_generator=lambda _: state)
caller = getattr(callers, sys.argv[1])(environment=None)
caller.on_start()
while now < {END}:
    now += {STEP}
    caller.send_due()
print(json.dumps(due))
"""


@pytest.mark.parametrize(
    ("caller", "planned"),
    [
        ("SteadyChat", arrivals.draw_independent(RATE, Random(f"{SEED}/steady-0-1/when"))),
        ("StreamingChat", arrivals.draw_independent(RATE, Random(f"{SEED}/stream-0-1/when"))),
        ("BurstChat", arrivals.draw_bursts(RATE, Random(f"{SEED}/burst-0-1/when"), size=BURST)),
    ],
)
def test_requests_are_due_at_the_times_of_the_seed_however_late_they_are_sent(
    caller: str, planned: Iterator[float]
) -> None:
    """The clock moves in steps of seconds: requests that were due meanwhile are sent with their own times."""
    output = subprocess.run([sys.executable, "-P", "-c", PROGRAM, caller], capture_output=True, check=True).stdout
    due = itertools.takewhile(lambda moment: moment <= END, (BEGIN + seconds for seconds in planned))
    assert json.loads(output) == list(due) != []
