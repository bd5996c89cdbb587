"""No web framework: every call of a function, and every block, is an event."""

import inferlog

inferlog.configure(service_name="nightly-batch")


@inferlog.track_performance(model_name="sentiment", model_version="v3", output_tokens=len)
def judge(texts: list[str]) -> list[str]:
    """Judge a batch; the version is known beforehand, the number of answers from the result."""
    inferlog.bind_inference(input_tokens=sum(len(text.split()) for text in texts))
    return ["good" if "good" in text else "bad" for text in texts]


def main() -> None:
    """Judge two batches, record an inference that is over, and judge a batch that fails."""
    judge(["a good book", "a long book"])
    with inferlog.track_performance("rank", model_name="ranker", model_version="v1") as call:
        call.output_tokens = 2
        call.customer = "acme"  # any other name is a label
    inferlog.record_inference(model_name="ranker", model_version="v1", latency_seconds=0.84, output_tokens=40)
    try:
        judge([None])  # type: ignore[list-item]
    except AttributeError:
        print("the third batch failed, and its event says so")  # noqa: T201


if __name__ == "__main__":
    main()
