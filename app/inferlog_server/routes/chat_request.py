"""Validation of the body of ``POST /v1/chat/completions``."""

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
from inferlog_server.routes.errors import OpenAIError

_T = TypeVar("_T")

# More than any context here can contain, and few enough for a fast chat template.
_MAX_MESSAGES = 2048
_MAX_STOPS = 4
_MAX_STOP_CHARACTERS = 256
_NO_EFFECT: tuple[object, ...] = (None, False, 0, "none", "auto", [], {}, {"type": "text"})


def _join_text_parts(content: Any) -> Any:
    """Join a list of text parts to one text; leave other values to the type check."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise ValueError("expected a string, or a list of parts of type 'text'")
        texts.append(part["text"])
    return "".join(texts)


def _as_list(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _as_int(number: Any) -> Any:
    """Convert 16.0 to 16: JSON has only one type of number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _reject_unsupported(value: object) -> object:
    if value not in _NO_EFFECT:
        raise ValueError("not supported by this model")
    return value


_Int = BeforeValidator(_as_int)

# Ignoring these fields would silently change the meaning of the response.
Unsupported = Annotated[object, AfterValidator(_reject_unsupported), WithJsonSchema({"enum": list(_NO_EFFECT)})]

_TEXT = {"type": "string"}
_TEXT_PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": _TEXT},
    "required": ["type", "text"],
}
_STOP = {"type": "string", "minLength": 1, "maxLength": _MAX_STOP_CHARACTERS}


class _Strict(BaseModel):
    # Unknown fields are ignored: clients send many that have no effect here.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class ChatMessage(_Strict):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        str,
        BeforeValidator(_join_text_parts),
        WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT_PART}]}),
    ]


class StreamOptions(_Strict):
    """Additional content of a stream."""

    include_usage: bool | None = None


class ChatRequest(_Strict):
    """Request as OpenAI documents it, without the features that the models here do not support."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=_MAX_MESSAGES)]
    max_tokens: Annotated[
        int | None, Field(ge=1, validation_alias=AliasChoices("max_completion_tokens", "max_tokens")), _Int
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    n: Annotated[int | None, Field(ge=1, le=1), _Int] = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=_MAX_STOP_CHARACTERS)]] | None,
        Field(max_length=_MAX_STOPS),
        BeforeValidator(_as_list),
        WithJsonSchema({"anyOf": [_STOP, {"type": "array", "items": _STOP, "maxItems": _MAX_STOPS}, {"type": "null"}]}),
    ] = None
    seed: Annotated[int | None, _Int] = None
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
    def separate_usage(self) -> bool:
        """True if the client requested a stream's usage in a separate chunk without choices."""
        return bool(self.stream_options and self.stream_options.include_usage)


def parse_chat_request(body: bytes) -> ChatRequest:
    """
    Parse and validate *body*.

    Raises:
        OpenAIError: 400, for the first error in it.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _to_openai_error(error) from None


def build_generation_request(chat: ChatRequest, version: Version, *, max_tokens_limit: int) -> GenerationRequest:
    """
    Return the request to the backend, with the defaults of *version*.

    Raises:
        OpenAIError: 400, if ``max_tokens`` is above *max_tokens_limit*.
    """
    max_tokens = _apply_default(chat.max_tokens, version.max_tokens)
    if max_tokens > max_tokens_limit:
        raise OpenAIError(
            status=400,
            message=f"max_tokens: expected at most {max_tokens_limit}",
            code="invalid_value",
            param="max_tokens",
        )
    return GenerationRequest(
        version=version,
        messages=tuple(_to_message(message) for message in chat.messages),
        max_tokens=max_tokens,
        temperature=_apply_default(chat.temperature, version.temperature),
        top_p=_apply_default(chat.top_p, version.top_p),
        frequency_penalty=_apply_default(chat.frequency_penalty, 0.0),
        presence_penalty=_apply_default(chat.presence_penalty, 0.0),
        stop=tuple(chat.stop or ()),
        seed=_apply_default(chat.seed, version.seed),
        client_fields=frozenset(name for name in chat.model_fields_set if getattr(chat, name) is not None),
    )


def _to_message(message: ChatMessage) -> Message:
    return Message(role="system" if message.role == "developer" else message.role, text=message.content)


def _apply_default(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _to_openai_error(error: ValidationError) -> OpenAIError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Invalid JSON: ")
    if first["type"] == "json_invalid":
        return OpenAIError(status=400, message=f"The body is not valid JSON: {reason}", code="invalid_json")
    param = _format_path(first["loc"])
    return OpenAIError(
        status=400,
        message=f"{param or 'The body'}: {reason}",
        code="missing_required_parameter" if first["type"] == "missing" else "invalid_value",
        param=param or None,
    )


def _format_path(location: tuple[int | str, ...]) -> str:
    """Format ``("messages", 0, "role")`` as ``messages[0].role``."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".")
