import orjson

from inferlog_ops.demo import traffic

MODEL = "smollm2-135m-instruct"


def test_every_request_has_an_id_of_its_own() -> None:
    planned = traffic.plan("demo-1", 50, MODEL)
    assert len({request.correlation_id for request in planned}) == 50
    assert all(request.correlation_id.startswith("demo-1-") for request in planned)


def test_half_are_streams_and_a_few_fail_on_purpose() -> None:
    planned = traffic.plan("demo-1", 100, MODEL)
    good = [request for request in planned if is_good(request.body)]
    assert 40 <= sum(request.streamed for request in planned) <= 60
    assert 80 <= len(good) < 100
    assert any(request.leaves for request in planned)


def is_good(body: bytes) -> bool:
    try:
        chat = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return bool(chat["model"].startswith(MODEL)) and chat.get("max_tokens", 1) > 0


def test_a_service_that_is_not_there_is_an_answer_without_a_status() -> None:
    (answer,) = traffic.send_all(
        "http://127.0.0.1:9", traffic.plan("demo-1", 1, MODEL), at_once=1, on_answer=lambda _: None
    )
    assert answer.status_code is None
