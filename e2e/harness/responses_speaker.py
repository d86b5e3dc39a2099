"""The `openai` SDK with Responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai

from harness.spoken import Assistant, Call, Echo, Heard, Results, Turn, User


class Responses:
    """`openai`, with Responses. The protocol has no stop sequences."""

    protocol = "openai-responses"
    errors = openai
    vendor = "openai"

    def __init__(self, url: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        items = [item for turn in turns for item in self._items(turn)]
        # Nothing is kept, as in a client that keeps its history itself.
        body: dict[str, Any] = {"model": model, "input": items, "store": False}
        if system := options.get("system"):
            body["instructions"] = system
        if tools := options.get("tools"):
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool["name"],
                    "description": tool["description"],
                    "parameters": tool["schema"],
                    "strict": False,
                }
                for tool in tools
            ]
        match options.get("choice"):
            case None:
                pass
            case "none" | "auto" | "required" as choice:
                body["tool_choice"] = choice
            case name:
                body["tool_choice"] = {"type": "function", "name": name}
        if "parallel" in options:
            body["parallel_tool_calls"] = options["parallel"]
        if limit := options.get("limit"):
            body["max_output_tokens"] = limit
        if schema := options.get("schema"):
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}}
        if options.get("think"):
            body["reasoning"] = {"effort": "low", "summary": "auto"}
            body["include"] = ["reasoning.encrypted_content"]
        return body

    @staticmethod
    def _items(turn: Turn) -> Iterator[dict[str, Any]]:
        match turn:
            case User(text, images):
                parts: list[dict[str, Any]] = [{"type": "input_text", "text": text}]
                parts += [
                    {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"}
                    for image in images
                ]
                yield {"role": "user", "content": parts if images else text}
            case Assistant(text, calls):
                if text:
                    yield {"role": "assistant", "content": text}
                for call in calls:
                    yield {
                        "type": "function_call",
                        "call_id": call.id,
                        "name": call.name,
                        "arguments": json.dumps(call.arguments),
                    }
            case Echo(content):
                yield from content
            case Results(texts):
                for call_id, text in texts.items():
                    yield {"type": "function_call_output", "call_id": call_id, "output": text}

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        if stream:
            # Its own `get_final_response` knows no answer that was cut short.
            with self.client.responses.stream(**body) as events:
                *_, last = events
            return self._heard(last.response)
        return self._heard(self.client.responses.create(**body))

    def begin(self, body: dict[str, Any]) -> Any:
        return self.client.responses.create(**body, stream=True)

    @staticmethod
    def _heard(response: Any) -> Heard:
        messages = [part for item in response.output if item.type == "message" for part in item.content]
        refusals = [part.refusal for part in messages if part.type == "refusal"]
        calls = [item for item in response.output if item.type == "function_call"]
        match response.status, response.incomplete_details and response.incomplete_details.reason:
            case "completed", _:
                finish = "tools" if calls else "refusal" if refusals else "stop"
            case "incomplete", "max_output_tokens":
                finish = "length"
            case status, reason:
                finish = f"unknown: {status} {reason}"
        reasoning = [item for item in response.output if item.type == "reasoning"]
        thoughts = [part.text for item in reasoning for part in [*item.summary, *(item.content or ())]]
        return Heard(
            text="".join(part.text for part in messages if part.type == "output_text") or "".join(refusals),
            calls=tuple(Call(call.call_id, call.name, json.loads(call.arguments or "{}")) for call in calls),
            finish=finish,
            input_tokens=response.usage.input_tokens,
            cached_tokens=response.usage.input_tokens_details.cached_tokens,
            output_tokens=response.usage.output_tokens,
            model=response.model,
            thoughts="".join(thoughts),
            echo=list(response.output),
        )
