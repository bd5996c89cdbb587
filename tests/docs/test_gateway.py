"""The set-up in docs/gateway.md, with the official client and a scripted upstream server."""

import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from inferlog_server.settings import ServerSettings
from tests.support.chat_server import RunningServer, run_server
from tests.support.serving import serve_app

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
QUESTION: list[Any] = [{"role": "user", "content": "Say hello."}]
KEY = "sk-of-the-upstream-0123456789"
CLIENT_KEY = "sk-of-the-client-0123456789"


class UpstreamServer:
    """A server that speaks OpenAI's protocol: streams two pieces, and reports its usage if the request includes it."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.complete, methods=["POST"])])

    async def complete(self, request: Request) -> StreamingResponse:
        body = await request.json()
        self.requests.append((dict(request.headers), body))

        async def events() -> AsyncIterator[str]:
            for delta, reason in (({"role": "assistant", "content": "Hel"}, None), ({"content": "lo"}, "stop")):
                choice = {"index": 0, "delta": delta, "finish_reason": reason}
                yield f"data: {json.dumps({'model': body['model'], 'choices': [choice]})}\n\n"
            if body["stream_options"]["include_usage"]:
                usage = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
                yield f"data: {json.dumps({'model': body['model'], 'choices': [], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")


def read_setup() -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment and the options of the page's set-up."""
    *exports, command = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0].splitlines()
    environment: dict[str, str] = {}
    for line in exports:
        export, assignment = shlex.split(line)
        assert export == "export"
        name, _, value = assignment.partition("=")
        environment[name] = value
    python, m, package, *options = shlex.split(command)
    assert (python, m, package) == (".venv/bin/python", "-m", "inferlog_server")
    names = [name.removeprefix("--").replace("-", "_") for name in options[::2]]
    return environment, dict(zip(names, options[1::2], strict=True))


@pytest.fixture(scope="module")
def upstream() -> UpstreamServer:
    return UpstreamServer()


@pytest.fixture(scope="module")
def gateway(upstream: UpstreamServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The gateway as a process, started as on the page but on a free port and for the upstream server of the test."""
    home = tmp_path_factory.mktemp("gateway")
    (home / "key").write_text(f"{KEY}\n")
    environment, options = read_setup()
    with serve_app(upstream.app) as url:
        environment["INFERLOG_SERVER_UPSTREAM_URL"] = environment["INFERLOG_SERVER_UPSTREAM_URL"].replace(
            "http://127.0.0.1:8001", url
        )
        environment["INFERLOG_SERVER_UPSTREAM_API_KEY_FILE"] = str(home / "key")
        environment["INFERLOG_CLIENT_ID_HEADER"] = "authorization"
        with run_server(home, environment, **options) as server:
            yield server


@pytest.fixture
def client(gateway: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


def test_page_set_up_is_three_lines_and_no_line_is_wider_than_80_columns() -> None:
    environment, options = read_setup()
    assert len(environment) + 1 == 3
    assert options == {"backend": "upstream", "model_name": "llama"}
    assert not [line for line in PAGE.splitlines() if len(line) > 80 and not line.startswith("|")]


@pytest.mark.parametrize("model", ["llama", "llama:v1"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_set_up_logs_a_request_with_version_tokens_and_first_token(
    gateway: RunningServer, client: openai.OpenAI, upstream: UpstreamServer, model: str, streamed: bool
) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION, stream=streamed)
    answer: Any = raw.parse()
    if streamed:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    else:
        text = answer.choices[0].message.content

    assert text == "Hello"
    assert upstream.requests[-1][1]["model"] == "llama"
    event = gateway.wait_for_event(raw.headers["x-request-id"])
    assert (event["model_name"], event["model_version"], event["status"]) == ("llama", "v1", "success")
    assert event["gen_ai"]["usage"] == {"input_tokens": 12, "output_tokens": 2}
    assert 0 < event["time_to_first_token_seconds"] <= event["latency_seconds"]
    assert event["http"]["response"]["status_code"] == 200
    assert len(event["client"]["id"]) == 32


def test_upstream_gets_ids_and_its_own_key_only(client: openai.OpenAI, upstream: UpstreamServer) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    ids = {"X-Correlation-ID": "order-17", "traceparent": traceparent}
    client.chat.completions.create(model="llama", messages=QUESTION, extra_headers=ids)

    headers, _ = upstream.requests[-1]
    assert (headers["x-correlation-id"], headers["traceparent"]) == ("order-17", traceparent)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert CLIENT_KEY not in json.dumps(upstream.requests)


def test_models_are_those_of_the_gateway(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["llama", "llama:v1"]


def test_max_tokens_is_always_sent_and_has_the_defaults_on_the_page(
    client: openai.OpenAI, upstream: UpstreamServer
) -> None:
    client.chat.completions.create(model="llama", messages=QUESTION)
    assert upstream.requests[-1][1]["max_tokens"] == 128
    client.chat.completions.create(model="llama", messages=QUESTION, max_completion_tokens=1024)
    assert upstream.requests[-1][1]["max_tokens"] == 1024
    assert "max_completion_tokens" not in upstream.requests[-1][1]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="llama", messages=QUESTION, max_tokens=1025)
    defaults = {name: field.default for name, field in ServerSettings.model_fields.items()}
    assert (defaults["deadline_seconds"], defaults["host"], defaults["port"]) == (60, "127.0.0.1", 8000)


@pytest.mark.parametrize(
    "unsupported",
    [
        {"tools": [{"type": "function", "function": {"name": "look_up"}}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"n": 2},
    ],
    ids=lambda body: next(iter(body)),
)
def test_unsupported_features_get_400(client: openai.OpenAI, unsupported: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**{"model": "llama", "messages": QUESTION} | unsupported)


def test_other_routes_get_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="llama", input="hello")
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="llama", input="hello")


def test_names_of_environment_variables_on_the_page_exist() -> None:
    names = set(re.findall(r"INFERLOG_SERVER_([A-Z_]+)", PAGE))
    assert len(names) >= 5
    assert names <= {name.upper() for name in ServerSettings.model_fields}
