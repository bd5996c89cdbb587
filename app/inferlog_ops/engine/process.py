"""
The engine's own process: holds the home, runs one node, ends on SIGTERM or SIGINT.

Started by ``launch`` as ``python -m inferlog_ops.engine.process``.
"""

import os
import select
import signal
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime

from inferlog_ops.engine import blueprint, presence
from inferlog_ops.engine.launch import LaunchOrder
from inferlog_ops.engine.layout import locate_layout

_STOPPING = {signal.SIGTERM, signal.SIGINT}
_RECOVERY_TIMEOUT_SECONDS = 60


def main() -> int:
    """Run one engine until SIGTERM or SIGINT."""
    order = LaunchOrder.from_arguments(sys.argv[1:])
    presence.keep_holding(order.lock_descriptor)
    os.chdir(order.engine_home)
    # Blocked in all threads, including Java's, until sigwait() receives them when closing is safe. Blocked before the
    # import, because JPype imports NumPy where it is installed, which starts threads.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    if order.ends_with_pid:
        threading.Thread(target=_stop_with, args=(order.ends_with_pid,), daemon=True).start()
    from inferlog_ops.engine import node  # noqa: PLC0415 (after the signal mask)

    plan = blueprint.load()
    layout = locate_layout(order.engine_home, plan)
    node.start_java(layout, order.engine_home, order.heap)
    try:
        running = node.start_node(layout, order.engine_home, order.port)
    except node.StartFailedError as error:
        print(f"engine: Elasticsearch did not start: {error}", file=sys.stderr, flush=True)
        return 1
    url = node.read_url(running)
    _wait_for_earlier_data(url)
    presence.publish(
        order.engine_home,
        presence.RunningEngine(url=url, pid=os.getpid(), version=plan.version, started=datetime.now(UTC)),
    )
    signal.sigwait(_STOPPING)
    presence.withdraw(order.engine_home)
    node.close(running)
    return 0


def _stop_with(pid: int) -> None:
    """Send SIGTERM to this process when process *pid* ends. Not by prctl, which watches a thread of the parent."""
    try:
        ended = select.poll()
        ended.register(os.pidfd_open(pid), select.POLLIN)
        ended.poll()
    except ProcessLookupError:
        pass  # it has already ended
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_earlier_data(url: str) -> None:
    """Wait until earlier data is searchable, with a timeout: the engine also works without it."""
    question = f"{url}/_cluster/health?wait_for_status=yellow&timeout={_RECOVERY_TIMEOUT_SECONDS}s"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(question, timeout=_RECOVERY_TIMEOUT_SECONDS + 10).close()
    except urllib.error.HTTPError as error:
        with error:
            print(f"engine: not all data is available yet: {error.read().decode()}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
