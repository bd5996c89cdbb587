"""The body of ``POST /v1/chat/completions``: what is taken, what is refused, what is passed over."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from inferlog_server.inference.generation import GenerationRequest, Message
from inferlog_server.inference.versions import Version
from inferlog_server.routes.openai_error import OpenAIError

_T = TypeVar("_T")

# More than any context here holds, and few enough for the chat template to be quick.
_MAX_MESSAGES = 2048
_MAX_STOPS = 4
_MAX_STOP_CHARACTERS = 256
_MEANINGLESS: tuple[object, ...] = (None, False, 0, "none", "auto", [], {}, {"type": "text"})


def _joined_text(content: Any) -> Any:
    """Turn a list of text parts into one text; leave all else to the type check."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise ValueError("expected a text, or a list of parts of type 'text'")
        texts.append(part["text"])
    return "".join(texts)


def _as_list(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _as_whole(number: Any) -> Any:
    """JSON knows one kind of number: 16.0 is as whole as 16."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _refused(value: object) -> object:
    if value not in _MEANINGLESS:
        raise ValueError("not supported by this model")
    return value


_Whole = BeforeValidator(_as_whole)

# Passing over these would change what the answer means without saying so.
Unsupported = Annotated[object, AfterValidator(_refused), WithJsonSchema({"enum": list(_MEANINGLESS)})]

_TEXT = {"type": "string"}
_TEXT_PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": _TEXT},
    "required": ["type", "text"],
}
_STOP = {"type": "string", "minLength": 1, "maxLength": _MAX_STOP_CHARACTERS}


class _Strict(BaseModel):
    # A field we do not know is passed over: clients send many that do not matter here.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class ChatMessage(_Strict):
    """One turn of the conversation, as the client sent it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        str,
        BeforeValidator(_joined_text),
        WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT_PART}]}),
    ]


class StreamOptions(_Strict):
    """What a stream brings besides the answer."""

    include_usage: bool | None = None


class ChatRequest(_Strict):
    """The request as OpenAI documents it, less what no model here can do."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=_MAX_MESSAGES)]
    max_tokens: Annotated[
        int | None, Field(ge=1, validation_alias=AliasChoices("max_completion_tokens", "max_tokens")), _Whole
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    n: Annotated[int | None, Field(ge=1, le=1), _Whole] = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=_MAX_STOP_CHARACTERS)]] | None,
        Field(max_length=_MAX_STOPS),
        BeforeValidator(_as_list),
        WithJsonSchema({"anyOf": [_STOP, {"type": "array", "items": _STOP, "maxItems": _MAX_STOPS}, {"type": "null"}]}),
    ] = None
    seed: Annotated[int | None, _Whole] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    tools: Unsupported = None
    tool_choice: Unsupported = None
    functions: Unsupported = None
    function_call: Unsupported = None
    response_format: Unsupported = None
    logprobs: Unsupported = None
    top_logprobs: Unsupported = None
    logit_bias: Unsupported = None
    audio: Unsupported = None
    web_search_options: Unsupported = None

    @property
    def usage_apart(self) -> bool:
        """Whether a stream's usage is wanted in a chunk of its own, which has no choices."""
        return bool(self.stream_options and self.stream_options.include_usage)


def parse(body: bytes) -> ChatRequest:
    """
    Read *body*.

    Raises:
        OpenAIError: 400, about the first thing that is wrong with it.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from None


def generation_request(chat: ChatRequest, version: Version, *, max_tokens_limit: int) -> GenerationRequest:
    """
    Return what *version* is to do, its defaults filled in.

    Raises:
        OpenAIError: 400, if the answer may be longer than *max_tokens_limit*.
    """
    max_tokens = _or(chat.max_tokens, version.max_tokens)
    if max_tokens > max_tokens_limit:
        raise OpenAIError(
            status=400,
            message=f"max_tokens: expected at most {max_tokens_limit}",
            code="invalid_value",
            param="max_tokens",
        )
    return GenerationRequest(
        version=version,
        messages=tuple(_message(message) for message in chat.messages),
        max_tokens=max_tokens,
        temperature=_or(chat.temperature, version.temperature),
        top_p=_or(chat.top_p, version.top_p),
        frequency_penalty=_or(chat.frequency_penalty, 0.0),
        presence_penalty=_or(chat.presence_penalty, 0.0),
        stop=tuple(chat.stop or ()),
        seed=_or(chat.seed, version.seed),
        given=frozenset(name for name in chat.model_fields_set if getattr(chat, name) is not None),
    )


def _message(message: ChatMessage) -> Message:
    return Message(role="system" if message.role == "developer" else message.role, text=message.content)


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _refusal(error: ValidationError) -> OpenAIError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Invalid JSON: ")
    if first["type"] == "json_invalid":
        return OpenAIError(status=400, message=f"The body is no JSON: {reason}", code="invalid_json")
    param = _dotted(first["loc"])
    return OpenAIError(
        status=400,
        message=f"{param or 'The body'}: {reason}",
        code="missing_required_parameter" if first["type"] == "missing" else "invalid_value",
        param=param or None,
    )


def _dotted(location: tuple[int | str, ...]) -> str:
    """Write ``("messages", 0, "role")`` as ``messages[0].role``."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".")
