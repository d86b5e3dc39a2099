"""The `openai` SDK with Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai

from harness.spoken import Assistant, Call, Echo, Heard, Results, Turn, User


class OpenAi:
    """`openai`, with Chat Completions."""

    protocol = "openai"
    errors = openai
    vendor = "openai"

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
        if schema := options.get("schema"):
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": True},
            }
        if options.get("think"):
            body["reasoning_effort"] = "low"
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
            case Echo(content):
                yield content
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
        refusal, echo = choice.message.refusal, choice.message
        return self._heard(text, calls, choice.finish_reason, refusal, answer.usage, answer.model, echo)

    def begin(self, body: dict[str, Any]) -> Any:
        return self.client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})

    def _fold(self, chunks: Any) -> Heard:
        text, refusal, finish, usage, model = "", "", None, None, ""
        calls: list[list[str]] = []
        details: dict[int, dict[str, Any]] = {}
        for chunk in chunks:
            usage, model = chunk.usage or usage, chunk.model
            for choice in chunk.choices:
                text += choice.delta.content or ""
                refusal += choice.delta.refusal or ""
                _merge(details, (choice.delta.model_extra or {}).get("reasoning_details") or [])
                for piece in choice.delta.tool_calls or []:
                    if piece.index == len(calls):
                        assert piece.id and piece.function and piece.function.name
                        calls.append([piece.id, piece.function.name, ""])
                    calls[piece.index][2] += (piece.function and piece.function.arguments) or ""
                finish = choice.finish_reason or finish
        made = [Call(call_id, name, json.loads(arguments or "{}")) for call_id, name, arguments in calls]
        [echo] = self._messages(Assistant(text, tuple(made)))
        if details:
            echo["reasoning_details"] = list(details.values())
        return self._heard(text or refusal, [tuple(call) for call in calls], finish, refusal, usage, model, echo)

    @staticmethod
    def _heard(text: str, calls: Any, finish: str | None, refusal: Any, usage: Any, model: str, echo: Any) -> Heard:
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
            echo=echo,
        )


def _merge(details: dict[int, dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    """Folds pieces of the reasoning that OpenAI-compatible servers tell, as their clients do."""
    for piece in pieces:
        told = details.setdefault(piece["index"], {})
        for name, value in piece.items():
            grows = name in ("text", "summary", "data", "signature") and isinstance(told.get(name), str)
            told[name] = told[name] + (value or "") if grows else value
