"""The `anthropic` SDK with Messages."""

from __future__ import annotations

from typing import Any

import anthropic

from harness.spoken import Assistant, Call, Echo, Heard, Results, Turn, User


class Anthropic:
    """`anthropic`, with Messages."""

    protocol = "anthropic"
    errors = anthropic
    vendor = "anthropic"

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
        if schema := options.get("schema"):
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if budget := options.get("think"):
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
            body["max_tokens"] = max(body["max_tokens"], 2 * budget)
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
            case Echo(content):
                return content
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
            thoughts="".join(block.thinking for block in message.content if block.type == "thinking"),
            echo={"role": "assistant", "content": list(message.content)},
        )
