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
from inferlog_ops.engine.layout import layout_in
from inferlog_ops.engine.order import Order

_STOPPING = {signal.SIGTERM, signal.SIGINT}
_RECOVERY_TIMEOUT_SECONDS = 60


def main() -> int:
    """Run one engine until it is told to stop."""
    order = Order.from_arguments(sys.argv[1:])
    presence.keep_holding(order.lock_descriptor)
    os.chdir(order.engine_home)
    # Blocked in every thread, also in those of Java: sigwait() takes them when closing is safe, and not before. So
    # blocked before the import: JPype imports NumPy where that is installed, which starts threads of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    if order.ends_with_pid:
        threading.Thread(target=_end_with, args=(order.ends_with_pid,), daemon=True).start()
    from inferlog_ops.engine import node  # noqa: PLC0415 (as said)

    plan = blueprint.load()
    layout = layout_in(order.engine_home, plan)
    node.start_java(layout, order.engine_home, order.heap)
    try:
        running = node.start_node(layout, order.engine_home, order.port)
    except node.StartFailedError as error:
        print(f"engine: Elasticsearch did not start: {error}", file=sys.stderr, flush=True)
        return 1
    url = node.url_of(running)
    _wait_for_earlier_data(url)
    presence.publish(
        order.engine_home,
        presence.RunningEngine(url=url, pid=os.getpid(), version=plan.version, started=datetime.now(UTC)),
    )
    signal.sigwait(_STOPPING)
    presence.withdraw(order.engine_home)
    node.close(running)
    return 0


def _end_with(pid: int) -> None:
    """Ask this process to end once that of *pid* has; not by prctl, which would be about one of that one's threads."""
    try:
        ended = select.poll()
        ended.register(os.pidfd_open(pid), select.POLLIN)
        ended.poll()
    except ProcessLookupError:
        pass  # it has ended already
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_earlier_data(url: str) -> None:
    """Wait until what was stored earlier can be searched; not for ever, the rest is of use without it."""
    question = f"{url}/_cluster/health?wait_for_status=yellow&timeout={_RECOVERY_TIMEOUT_SECONDS}s"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(question, timeout=_RECOVERY_TIMEOUT_SECONDS + 10).close()
    except urllib.error.HTTPError as error:
        with error:
            print(f"engine: not all data is there yet: {error.read().decode()}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
