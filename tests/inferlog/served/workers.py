"""A batch job whose workers record inferences: ``workers.py <log directory> <kind> <start method>``."""

import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import inferlog

inferlog.configure(service_name="pool", log_dir=sys.argv[1], heartbeat_seconds=3600)


@inferlog.track_performance(model_version="v1")
def judge(number: int) -> int:
    return number


def judge_and_wait(reached: Any) -> None:
    judge(1)
    reached.set()
    threading.Event().wait()


def judge_in_a_worker_of_its_own(method: str) -> None:
    judge(1)
    judge_in_a_process(multiprocessing.get_context(method))


def do_nothing(_: int) -> None:
    pass


def judge_in_a_process(context: Any) -> None:
    child = context.Process(target=judge, args=(1,))
    child.start()
    child.join()


def judge_in_an_executor(context: Any) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        list(pool.map(judge, [1]))


def judge_in_a_pool(context: Any) -> None:
    with context.Pool(1) as pool:  # which terminates its workers at the end
        pool.map(judge, [1])


def judge_in_a_terminated_process(context: Any) -> None:
    reached = context.Event()
    child = context.Process(target=judge_and_wait, args=(reached,))
    child.start()
    reached.wait()
    child.terminate()
    child.join()
    assert child.exitcode == -15


def judge_in_a_worker_of_a_worker(context: Any) -> None:
    child = context.Process(target=judge_in_a_worker_of_its_own, args=(context.get_start_method(),))
    child.start()
    child.join()


def judge_nowhere(context: Any) -> None:
    with context.Pool(2) as pool:
        pool.map(do_nothing, [1, 2])


KINDS: dict[str, Callable[[Any], None]] = {
    kind.__name__: kind
    for kind in (
        judge_in_a_process,
        judge_in_an_executor,
        judge_in_a_pool,
        judge_in_a_terminated_process,
        judge_in_a_worker_of_a_worker,
        judge_nowhere,
    )
}

if __name__ == "__main__":
    judge(0)
    KINDS[sys.argv[2]](multiprocessing.get_context(sys.argv[3]))
