"""The real SDKs behind one small interface, so that each test is written once for all pairs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Protocol

import anthropic
import openai

from harness.processes import Gateway, Reply, call

# By vendor: what the session's gateway calls a model that the vendor serves.
MODELS = {"openai": "openai/gpt-4o-mini", "anthropic": "anthropic/claude-haiku-4-5"}

WEIGH = {
    "name": "weigh",
    "description": "Weighs something.",
    "schema": {
        "type": "object",
        "properties": {"what": {"type": "string"}, "grams": {"type": "integer"}},
        "required": ["what"],
    },
}
TARE = {"name": "tare", "description": "Sets the scales to zero.", "schema": {"type": "object", "properties": {}}}


@dataclasses.dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is what its JSON text means."""

    id: str
    name: str
    arguments: Any


@dataclasses.dataclass(frozen=True)
class User:
    """A user's turn; images are base64 of a PNG."""

    text: str
    images: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Assistant:
    """An earlier answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclasses.dataclass(frozen=True)
class Results:
    """Results of tool calls, by call id."""

    texts: dict[str, str]


Turn = User | Assistant | Results


@dataclasses.dataclass(frozen=True)
class Heard:
    """An answer, as the SDK understood it."""

    text: str
    calls: tuple[Call, ...]
    # stop, stop-sequence, length, tools, refusal
    finish: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    model: str


class Speaker(Protocol):
    """A client of one protocol."""

    protocol: str

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        """The request body: options are `system`, `tools`, `choice`, `stops`, `limit`, `parallel`."""

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        """Sends a body through the SDK."""

    def begin(self, body: dict[str, Any]) -> Any:
        """Starts a stream: an iterator with `close()`."""


class OpenAi:
    """`openai`, with Chat Completions."""

    protocol = "openai"
    errors = openai

    def __init__(self, url: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        messages = [message for turn in turns for message in self._messages(turn)]
        if system := options.get("system"):
            messages.insert(0, {"role": "system", "content": system})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if tools := options.get("tools"):
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool["name"],
                        "description": tool["description"],
                        "parameters": tool["schema"],
                    },
                }
                for tool in tools
            ]
        match options.get("choice"):
            case None:
                pass
            case "none" | "auto" | "required" as choice:
                body["tool_choice"] = choice
            case name:
                body["tool_choice"] = {"type": "function", "function": {"name": name}}
        if "parallel" in options:
            body["parallel_tool_calls"] = options["parallel"]
        if stops := options.get("stops"):
            body["stop"] = stops
        if limit := options.get("limit"):
            body["max_completion_tokens"] = limit
        return body

    @staticmethod
    def _messages(turn: Turn) -> Iterator[dict[str, Any]]:
        match turn:
            case User(text, images):
                parts = [{"type": "text", "text": text}]
                parts += [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}} for image in images
                ]
                yield {"role": "user", "content": parts if images else text}
            case Assistant(text, calls):
                message: dict[str, Any] = {"role": "assistant", "content": text or None}
                if calls:
                    message["tool_calls"] = [
                        {
                            "id": call.id,
                            "type": "function",
                            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                        }
                        for call in calls
                    ]
                yield message
            case Results(texts):
                for call_id, text in texts.items():
                    yield {"role": "tool", "tool_call_id": call_id, "content": text}

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        if stream:
            return self._fold(self.begin(body))
        answer = self.client.chat.completions.create(**body)
        choice = answer.choices[0]
        calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
        text = choice.message.content or choice.message.refusal or ""
        return self._heard(text, calls, choice.finish_reason, choice.message.refusal, answer.usage, answer.model)

    def begin(self, body: dict[str, Any]) -> Any:
        return self.client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})

    def _fold(self, chunks: Any) -> Heard:
        text, refusal, finish, usage, model = "", "", None, None, ""
        calls: list[list[str]] = []
        for chunk in chunks:
            usage, model = chunk.usage or usage, chunk.model
            for choice in chunk.choices:
                text += choice.delta.content or ""
                refusal += choice.delta.refusal or ""
                for piece in choice.delta.tool_calls or []:
                    if piece.index == len(calls):
                        assert piece.id and piece.function and piece.function.name
                        calls.append([piece.id, piece.function.name, ""])
                    calls[piece.index][2] += (piece.function and piece.function.arguments) or ""
                finish = choice.finish_reason or finish
        return self._heard(text or refusal, [tuple(call) for call in calls], finish, refusal, usage, model)

    @staticmethod
    def _heard(text: str, calls: Any, finish: str | None, refusal: Any, usage: Any, model: str) -> Heard:
        finishes = {"stop": "refusal" if refusal else "stop", "length": "length", "tool_calls": "tools"}
        details = usage.prompt_tokens_details
        return Heard(
            text=text,
            calls=tuple(Call(call_id, name, json.loads(arguments or "{}")) for call_id, name, arguments in calls),
            finish=finishes.get(finish or "", f"unknown: {finish}"),
            input_tokens=usage.prompt_tokens,
            cached_tokens=(details and details.cached_tokens) or 0,
            output_tokens=usage.completion_tokens,
            model=model,
        )


class Anthropic:
    """`anthropic`, with Messages."""

    protocol = "anthropic"
    errors = anthropic

    def __init__(self, url: str, key: str) -> None:
        self.client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": options.get("limit") or 1000,
            "messages": [self._message(turn) for turn in turns],
        }
        if system := options.get("system"):
            body["system"] = system
        if tools := options.get("tools"):
            body["tools"] = [
                {"name": tool["name"], "description": tool["description"], "input_schema": tool["schema"]}
                for tool in tools
            ]
        choice: dict[str, Any] | None = None
        match options.get("choice"):
            case None:
                choice = {"type": "auto"} if "parallel" in options else None
            case "none" | "auto" as kind:
                choice = {"type": kind}
            case "required":
                choice = {"type": "any"}
            case name:
                choice = {"type": "tool", "name": name}
        if choice:
            if "parallel" in options and choice["type"] != "none":
                choice["disable_parallel_tool_use"] = not options["parallel"]
            body["tool_choice"] = choice
        if stops := options.get("stops"):
            body["stop_sequences"] = stops
        return body

    @staticmethod
    def _message(turn: Turn) -> dict[str, Any]:
        match turn:
            case User(text, images):
                blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
                blocks += [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}
                    for image in images
                ]
                return {"role": "user", "content": blocks if images else text}
            case Assistant(text, calls):
                blocks = [{"type": "text", "text": text}] if text else []
                blocks += [
                    {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in calls
                ]
                return {"role": "assistant", "content": blocks}
            case Results(texts):
                results = [
                    {"type": "tool_result", "tool_use_id": call_id, "content": text} for call_id, text in texts.items()
                ]
                return {"role": "user", "content": results}

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        if stream:
            with self.client.messages.stream(**body) as events:
                return self._heard(events.get_final_message())
        return self._heard(self.client.messages.create(**body))

    def begin(self, body: dict[str, Any]) -> Any:
        return self.client.messages.create(**body, stream=True)

    @staticmethod
    def _heard(message: Any) -> Heard:
        finishes = {
            "end_turn": "stop",
            "stop_sequence": "stop-sequence",
            "max_tokens": "length",
            "tool_use": "tools",
            "refusal": "refusal",
        }
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        return Heard(
            text="".join(block.text for block in message.content if block.type == "text"),
            calls=tuple(
                Call(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
            ),
            finish=finishes.get(message.stop_reason, f"unknown: {message.stop_reason}"),
            input_tokens=usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            cached_tokens=cached,
            output_tokens=usage.output_tokens,
            model=message.model,
        )


def speaker(protocol: str, url: str, key: str) -> OpenAi | Anthropic:
    """A client of that protocol."""
    return OpenAi(url, key) if protocol == "openai" else Anthropic(url, key)


def raw(gateway: Gateway, key: str, protocol: str, body: Any, **headers: str) -> Reply:
    """A request without an SDK, as curl would send it."""
    if protocol == "openai":
        return call(f"{gateway.url}/v1/chat/completions", body, headers={"authorization": f"Bearer {key}", **headers})
    sent = {"x-api-key": key, "anthropic-version": "2023-06-01", **headers}
    return call(f"{gateway.url}/v1/messages", body, headers=sent)
