"""
Service that only writes events at a fixed rate through the library, as a separate process.

    INFERLOG_SERVICE_NAME=writer INFERLOG_LOG_DIR=logs .venv/bin/python -m benchmarks.paced_writer --rate 1000

The n-th event is due n / rate seconds after the first, regardless of the duration of the others. Events still due when
the time is over are not written.
"""

import argparse
import time

import inferlog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500, help="events per second")
    parser.add_argument("--seconds", type=float, default=60, help="duration")
    options = parser.parse_args()
    inferlog.configure(console="never")
    events = round(options.rate * options.seconds)
    print(write_paced(events, options.rate))


def write_paced(events: int, rate: float) -> int:
    """Write *events* events at *rate* per second; return the number written in time."""
    call = inferlog.track_performance("predict", model_name="writer", model_version="v1", input_tokens=12)
    began = time.perf_counter()
    for number in range(events):
        now = time.perf_counter()
        if (early_seconds := began + number / rate - now) > 0:
            time.sleep(early_seconds)
        elif now > began + events / rate:
            return number
        with call as inference:
            inference.output_tokens = number % 64
    return events


if __name__ == "__main__":
    main()
