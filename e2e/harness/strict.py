"""Judges answers by the SDKs' own response models, strictly.

The SDKs parse leniently: wrong types and missing fields pass. Here a payload must have every required
field, in its exact type, and no field that the model does not name, but for those in `EXTRA`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pydantic

# Fields that the APIs send and the packages do not name, each with its reason.
EXTRA = {
    "ChatCompletionChunk.obfuscation": "padding against side channels, documented under stream_options",
    "ChatCompletionMessage.reasoning_content": "thinking, which OpenAI's own models never show here",
    "ChatCompletionMessage.reasoning_details": "what proves the thinking, for the next turn",
    "ChoiceDelta.reasoning_content": "the same in a stream",
    "ChoiceDelta.reasoning_details": "the same in a stream",
    "MessageDeltaUsage.cache_creation": "writes to a cache by their lifetime, which a bridge learns of at the end only",
    "ResponseErrorEvent.error": "what the SDKs look for before they raise; the published event repeats it flat",
    "Response.frequency_penalty": "recorded in every answer since 2026",
    "Response.presence_penalty": "recorded in every answer since 2026",
    "Response.store": "recorded in every answer",
    "ResponseTextDeltaEvent.obfuscation": "padding against side channels, documented under stream_options",
    "ResponseRefusalDeltaEvent.obfuscation": "the same",
    "ResponseFunctionCallArgumentsDeltaEvent.obfuscation": "the same",
    "ResponseCustomToolCallInputDeltaEvent.obfuscation": "the same",
    "ResponseReasoningSummaryTextDeltaEvent.obfuscation": "the same",
}


class NotStrict(AssertionError):
    """A payload that the vendor's published response types refuse."""


def chat_completion(payload: bytes | str) -> Any:
    """A whole answer of Chat Completions."""
    from openai.types.chat import ChatCompletion

    return _validated(ChatCompletion, payload)


def chat_chunk(payload: bytes | str) -> Any:
    """One chunk of a streamed answer of Chat Completions."""
    from openai.types.chat import ChatCompletionChunk

    return _validated(ChatCompletionChunk, payload)


def response(payload: bytes | str) -> Any:
    """A whole answer of Responses."""
    from openai.types.responses import Response

    return _validated(Response, payload)


def message(payload: bytes | str) -> Any:
    """A whole answer of Messages."""
    from anthropic.types import Message

    return _validated(Message, payload)


def message_event(payload: bytes | str) -> Any:
    """One event of a streamed answer of Messages; pings are not part of the published union."""
    from anthropic.types import RawMessageStreamEvent

    document = json.loads(payload)
    if document == {"type": "ping"}:
        return None
    return _validated(RawMessageStreamEvent, payload)


def content(payload: bytes | str) -> Any:
    """An answer of `generateContent`, or a piece of one: the SDK's models forbid what they do not name."""
    from google.genai.types import GenerateContentResponse

    document = json.loads(payload)
    # Recorded in every answer of 2026, and not named by the package.
    document.get("usageMetadata", {}).pop("serviceTier", None)
    try:
        value = GenerateContentResponse.model_validate_json(json.dumps(document))
    except pydantic.ValidationError as failure:
        raise NotStrict(f"{failure}\n{payload!r}") from failure
    if not value.response_id or not value.model_version:
        raise NotStrict(f"an answer has an id and a model: {payload!r}")
    for candidate in value.candidates or ():
        if candidate.finish_reason is not None and candidate.finish_reason.name not in FINISH_REASONS:
            raise NotStrict(f"finish reason {candidate.finish_reason}")
    return value


def content_stream(body: bytes) -> list[Any]:
    """A complete stream of `streamGenerateContent` with `alt=sse`."""
    if b"\r\n" not in body:
        raise NotStrict("Google ends its lines by CR LF")
    found = list(events(body))
    if any(name is not None for name, _ in found):
        raise NotStrict("Google names no events")
    return content_pieces([data for _, data in found])


def content_pieces(payloads: list[str]) -> list[Any]:
    """The pieces of one answer: one id, growing usage, and each candidate ends once."""
    parsed = [content(payload) for payload in payloads]
    if len({piece.response_id for piece in parsed}) != 1:
        raise NotStrict("pieces of one answer have one id")
    ended: set[int] = set()
    total = 0
    for piece in parsed:
        # Google tells it in each piece; the published type, and other vendors' streams, leave it to the last.
        if piece.usage_metadata is not None:
            if (told := piece.usage_metadata.total_token_count) < total:
                raise NotStrict(f"usage shrinks from {total} to {told}")
            total = told
        for candidate in piece.candidates or ():
            if candidate.index in ended:
                raise NotStrict(f"candidate {candidate.index} goes on after its end")
            if candidate.finish_reason is not None:
                ended.add(candidate.index)
    if (usage := parsed[-1].usage_metadata) is None:
        raise NotStrict("the last piece tells no usage")
    parts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    if sum(part or 0 for part in parts) != usage.total_token_count:
        raise NotStrict(f"usage does not add up: {usage}")
    if not ended:
        raise NotStrict("no candidate has ended")
    return parsed


# What the published enumeration names; an unknown one becomes a member of its own in the SDK.
FINISH_REASONS = {
    *("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
    *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"),
}


def converse(payload: bytes | str) -> Any:
    """An answer of Converse."""
    from judges import aws_judge, aws_schema

    document = json.loads(payload)
    try:
        aws_judge.check(aws_schema.service().operation_model("Converse").output_shape, document)
    except aws_judge.NotOfShape as failure:
        raise NotStrict(str(failure)) from failure
    _check_converse_usage(document["usage"])
    return document


def converse_stream(body: bytes) -> list[Any]:
    """A complete stream of ConverseStream, its frames read by botocore."""
    from botocore.eventstream import EventStreamBuffer

    from judges import aws_judge, aws_schema

    shape = aws_schema.service().operation_model("ConverseStream").output_shape.members["stream"]
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    parsed = []
    for frame in buffer:
        headers, payload = frame.headers, json.loads(frame.payload)
        if headers[":message-type"] != "event" or headers[":content-type"] != "application/json":
            raise NotStrict(f"headers of an event: {headers}")
        # Padding, in every recorded event.
        if not payload.pop("p", ""):
            raise NotStrict(f"an event without padding: {payload}")
        try:
            aws_judge.check(shape.members[headers[":event-type"]], payload)
        except aws_judge.NotOfShape as failure:
            raise NotStrict(f"{failure} in {headers[':event-type']}") from failure
        parsed.append((headers[":event-type"], payload))
    kinds = [kind for kind, _ in parsed]
    if kinds[0] != "messageStart" or kinds[-2:] != ["messageStop", "metadata"] or kinds.count("messageStop") != 1:
        raise NotStrict(f"order of events: {kinds}")
    _check_converse_usage(parsed[-1][1]["usage"])
    return parsed


def _check_converse_usage(usage: dict[str, int]) -> None:
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    if sum(usage.get(name, 0) for name in names) != usage["totalTokens"]:
        raise NotStrict(f"usage does not add up: {usage}")


def retry_after(vendor: str, headers: dict[str, str], payload: bytes | str) -> int | None:
    """How long an error asks to wait, in seconds: Google says it in the body."""
    if vendor != "google":
        return int(headers["retry-after"]) if "retry-after" in headers else None
    for detail in json.loads(payload)["error"].get("details", ()):
        if detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo":
            return int(detail["retryDelay"].removesuffix("s"))
    return None


def error(vendor: str, payload: bytes | str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """An error body in the vendor's own shape."""
    document = json.loads(payload)
    if vendor == "openai":
        fields = document.get("error")
        if set(document) != {"error"} or not isinstance(fields, dict):
            raise NotStrict(f"not OpenAI's error shape: {document}")
        if set(fields) != {"message", "type", "param", "code"}:
            raise NotStrict(f"fields of an OpenAI error: {fields}")
        texts = [fields["message"], fields["type"]]
        maybe = [fields["param"], fields["code"]]
    elif vendor == "aws":
        fields = document
        kind = {name.lower(): value for name, value in (headers or {}).items()}.get("x-amzn-errortype", "")
        if set(fields) != {"message"} or not kind.split(":")[0].endswith("Exception"):
            raise NotStrict(f"not AWS's error shape: {document} as {kind!r}")
        texts, maybe = [fields["message"]], []
    elif vendor == "google":
        fields = document.get("error")
        if set(document) != {"error"} or not {"code", "message", "status"} <= set(fields):
            raise NotStrict(f"not Google's error shape: {document}")
        if not isinstance(fields["code"], int) or set(fields) - {"code", "message", "status", "details"}:
            raise NotStrict(f"fields of an error of Google's: {fields}")
        texts, maybe = [fields["message"], fields["status"]], []
    else:
        from anthropic.types import ErrorResponse

        # Documented at https://docs.anthropic.com/en/api/errors, and missing in the package's union.
        if document.get("error", {}).get("type") != "request_too_large":
            _validated(ErrorResponse, payload)
        fields = document["error"]
        texts, maybe = [fields["message"], fields["type"]], []
    if not all(isinstance(text, str) and text for text in texts):
        raise NotStrict(f"message and type are texts: {document}")
    if not all(value is None or isinstance(value, str) for value in maybe):
        raise NotStrict(f"param and code are texts or null: {document}")
    return fields


def response_event(payload: str) -> Any:
    """One event of a streamed answer of Responses."""
    from openai.types.responses import ResponseStreamEvent

    return _validated(ResponseStreamEvent, payload)


def events(body: bytes) -> Iterator[tuple[str | None, str]]:
    """The events of a stream: name and data. The stream must end with a complete event."""
    text = body.decode("utf-8").replace("\r\n", "\n")
    if text and not text.endswith("\n\n"):
        raise NotStrict(f"the stream ends inside an event: …{text[-80:]!r}")
    for block in filter(None, text.split("\n\n")):
        name, data = None, []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if data:
            yield name, "\n".join(data)


def chat_stream(body: bytes) -> list[Any]:
    """A complete stream of Chat Completions: its chunks, after `[DONE]` nothing."""
    found = list(events(body))
    if not found or found[-1][1] != "[DONE]":
        raise NotStrict(f"no [DONE] at the end: {found[-1:]}")
    if any(name is not None for name, _ in found):
        raise NotStrict("Chat Completions name no events")
    chunks = [chat_chunk(data) for _, data in found[:-1]]
    if len({chunk.id for chunk in chunks}) != 1:
        raise NotStrict("chunks of one answer have one id")
    return chunks


def response_stream(body: bytes) -> list[Any]:
    """A complete stream of Responses: its events, numbered, in the documented order."""
    from openai.types.responses import ResponseStreamEvent

    parsed = []
    for number, (name, data) in enumerate(events(body)):
        event = _validated(ResponseStreamEvent, data)
        if event.type != name or event.sequence_number != number:
            raise NotStrict(f"event {number} named {name}: {data}")
        parsed.append(event)
    kinds = [event.type for event in parsed]
    if kinds[:2] != ["response.created", "response.in_progress"]:
        raise NotStrict(f"a stream begins with: {kinds[:2]}")
    if kinds[-1] not in ("response.completed", "response.incomplete", "response.failed"):
        raise NotStrict(f"a stream ends with: {kinds[-1]}")
    _check_items(parsed)
    return parsed


def _check_items(parsed: list[Any]) -> None:
    """Items are added and done one after another; what is done is what the last event has."""
    done: list[Any] = []
    open_item: Any = None
    for event in parsed[2:-1]:
        if event.type == "response.output_item.added":
            if open_item is not None or event.output_index != len(done):
                raise NotStrict(f"item {event.output_index} is added after {len(done)} are done")
            open_item = event.item
        elif event.output_index != len(done) or open_item is None:
            raise NotStrict(f"{event.type} of item {event.output_index} after {len(done)} are done")
        elif event.type == "response.output_item.done":
            if event.item.id != open_item.id:
                raise NotStrict(f"item {open_item.id} is done as {event.item.id}")
            done.append(event.item)
            open_item = None
        elif event.item_id != open_item.id:
            raise NotStrict(f"{event.type} of {event.item_id} inside of {open_item.id}")
    if open_item is not None or done != parsed[-1].response.output:
        raise NotStrict(f"the items were {done}, and in the end {parsed[-1].response.output}")


def message_stream(body: bytes) -> list[Any]:
    """A complete stream of Messages: its events in the documented order, without pings."""
    parsed = []
    for name, data in events(body):
        if json.loads(data).get("type") != name:
            raise NotStrict(f"event {name} with data {data}")
        if (event := message_event(data)) is not None:
            parsed.append(event)
    kinds = [event.type for event in parsed]
    if kinds[:1] != ["message_start"] or kinds[-1:] != ["message_stop"] or kinds.count("message_start") != 1:
        raise NotStrict(f"order of events: {kinds}")
    _check_blocks(parsed)
    return parsed


def _check_blocks(parsed: list[Any]) -> None:
    open_block: int | None = None
    count = 0
    for event in parsed:
        if event.type == "content_block_start":
            if open_block is not None or event.index != count:
                raise NotStrict(f"block {event.index} begins while {open_block} is open, after {count} blocks")
            open_block, count = event.index, count + 1
        elif event.type in ("content_block_delta", "content_block_stop"):
            if event.index != open_block:
                raise NotStrict(f"{event.type} of block {event.index} while {open_block} is open")
            if event.type == "content_block_stop":
                open_block = None
        elif event.type in ("message_delta", "message_stop") and open_block is not None:
            raise NotStrict(f"{event.type} while block {open_block} is open")


@functools.cache
def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def _validated(kind: Any, payload: bytes | str) -> Any:
    try:
        value = _adapter(kind).validate_json(payload, strict=True)
    except pydantic.ValidationError as failure:
        raise NotStrict(f"{failure}\n{payload!r}") from failure
    unknown = [path for path in _unknown(value) if path not in EXTRA]
    if unknown:
        raise NotStrict(f"fields that the published types do not name: {unknown}\n{payload!r}")
    return value


def _unknown(value: Any) -> Iterator[str]:
    """Fields that landed in no attribute, as `Class.field`."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{type(value).__name__}.{name}"
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item)


# By the names of `judges/apis.py`.
WHOLE = {
    "openai": chat_completion,
    "openai-responses": response,
    "anthropic": message,
    "bedrock": converse,
    "gemini": content,
    "vertex": content,
}
STREAM = {
    "openai": chat_stream,
    "openai-responses": response_stream,
    "anthropic": message_stream,
    "bedrock": converse_stream,
    "gemini": content_stream,
    "vertex": content_stream,
}
