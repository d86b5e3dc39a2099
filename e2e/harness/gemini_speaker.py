"""The `google-genai` SDK with `generateContent`."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from google import genai
from google.genai import errors, types

from harness.spoken import Assistant, Call, Echo, Heard, Results, Turn, User

# What stands beside `generationConfig` on the wire; the SDK has all in one.
BESIDE = ("systemInstruction", "tools", "toolConfig", "safetySettings")
# The model gave no id, as most do: ours are only for `Results`.
UNNAMED = "unnamed-"


class Gemini:
    """`google-genai`. Its bodies have the SDK's form; `wire` gives what is sent. The protocol has no switch for
    parallel calls."""

    protocol = "gemini"
    errors = errors
    vendor = "google"

    def __init__(self, url: str, key: str) -> None:
        options = types.HttpOptions(base_url=url, timeout=30_000)
        self.client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        names: dict[str, str] = {}
        contents = [self._content(turn, names) for turn in turns]
        config: dict[str, Any] = {}
        if system := options.get("system"):
            config["systemInstruction"] = {"parts": [{"text": system}]}
        if tools := options.get("tools"):
            functions = [
                {"name": tool["name"], "description": tool["description"], "parametersJsonSchema": tool["schema"]}
                for tool in tools
            ]
            config["tools"] = [{"functionDeclarations": functions}]
        match options.get("choice"):
            case None:
                pass
            case "none" | "auto" as choice:
                config["toolConfig"] = {"functionCallingConfig": {"mode": choice.upper()}}
            case "required":
                config["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
            case name:
                config["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
        if stops := options.get("stops"):
            config["stopSequences"] = stops
        if limit := options.get("limit"):
            config["maxOutputTokens"] = limit
        if schema := options.get("schema"):
            config |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
        if budget := options.get("think"):
            config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": budget}
        return {"model": model, "contents": contents, "config": config}

    @staticmethod
    def wire(body: dict[str, Any]) -> dict[str, Any]:
        """The body of the request, without the model, which is in the path."""
        config = body["config"]
        generation = {name: value for name, value in config.items() if name not in BESIDE}
        beside = {name: config[name] for name in BESIDE if name in config}
        return {"contents": body["contents"], **beside, **({"generationConfig": generation} if generation else {})}

    @staticmethod
    def _content(turn: Turn, names: dict[str, str]) -> dict[str, Any]:
        match turn:
            case User(text, images):
                parts: list[dict[str, Any]] = [{"text": text}]
                parts += [{"inlineData": {"mimeType": "image/png", "data": image}} for image in images]
                return {"role": "user", "parts": parts}
            case Assistant(text, calls):
                names |= {call.id: call.name for call in calls}
                parts = [{"text": text}] if text else []
                parts += [
                    {"functionCall": {**_id(call.id), "name": call.name, "args": call.arguments}} for call in calls
                ]
                return {"role": "model", "parts": parts}
            case Echo(content, calls):
                names |= {call.id: call.name for call in calls}
                return content
            case Results(texts):
                results = [
                    {"functionResponse": {**_id(call_id), "name": names[call_id], "response": {"output": text}}}
                    for call_id, text in texts.items()
                ]
                return {"role": "user", "parts": results}

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        if stream:
            return self._heard(list(self.begin(body)))
        return self._heard([self.client.models.generate_content(**self._typed(body))])

    def begin(self, body: dict[str, Any]) -> Iterator[Any]:
        return self.client.models.generate_content_stream(**self._typed(body))

    @staticmethod
    def _typed(body: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": body["model"],
            "contents": [types.Content.model_validate(content) for content in body["contents"]],
            "config": types.GenerateContentConfig.model_validate(body["config"]),
        }

    @staticmethod
    def _heard(pieces: list[Any]) -> Heard:
        candidates = [candidate for piece in pieces for candidate in piece.candidates or ()]
        parts = [part for candidate in candidates for part in (candidate.content and candidate.content.parts) or ()]
        made = [part.function_call for part in parts if part.function_call]
        calls = tuple(
            Call(call.id or f"{UNNAMED}{number}", call.name, call.args or {}) for number, call in enumerate(made)
        )
        finishes = {"STOP": "tools" if calls else "stop", "MAX_TOKENS": "length", "SAFETY": "refusal"}
        [finish] = [candidate.finish_reason.name for candidate in candidates if candidate.finish_reason]
        usage = pieces[-1].usage_metadata
        return Heard(
            text="".join(part.text for part in parts if part.text and not part.thought),
            calls=calls,
            finish=finishes.get(finish, f"unknown: {finish}"),
            input_tokens=usage.prompt_token_count,
            cached_tokens=usage.cached_content_token_count or 0,
            output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            model=pieces[-1].model_version,
            thoughts="".join(part.text for part in parts if part.text and part.thought),
            echo={"role": "model", "parts": [_sent(part) for part in parts]},
        )


def _sent(part: Any) -> dict[str, Any]:
    """A part as it goes back."""
    sent = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    if part.thought_signature:
        sent["thoughtSignature"] = base64.b64encode(part.thought_signature).decode()
    return sent


def _id(call_id: str) -> dict[str, str]:
    return {} if call_id.startswith(UNNAMED) else {"id": call_id}
