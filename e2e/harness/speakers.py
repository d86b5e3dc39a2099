"""The real SDKs behind one small interface, so that each test is written once for all pairs."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from harness.chat_speaker import OpenAi
from harness.gemini_speaker import Gemini
from harness.messages_speaker import Anthropic
from harness.processes import Gateway, Reply, call
from harness.responses_speaker import Responses
from harness.spoken import TARE, WEIGH, Assistant, Call, Echo, Heard, Results, Speaker, Turn, User

__all__ = ["TARE", "WEIGH", "Assistant", "Call", "Echo", "Heard", "Results", "Speaker", "Turn", "User"]

SPEAKERS = {kind.protocol: kind for kind in (OpenAi, Responses, Anthropic, Gemini)}


@dataclasses.dataclass(frozen=True)
class Provider:
    """A provider of the gateway's configuration, as far as tests must know it."""

    # Whose simulator it is.
    vendor: str
    # What the gateway calls a model that does not think before it answers, and one that does or can.
    model: str
    thinking: str


PROVIDERS = {
    "openai": Provider("openai", "openai/gpt-4o-mini", "openai/gpt-5-mini"),
    "openai-responses": Provider("openai", "responses/gpt-4o-mini", "responses/gpt-5-mini"),
    "anthropic": Provider("anthropic", "anthropic/claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
    "gemini": Provider("google", "gemini/gemini-2.5-flash-lite", "gemini/gemini-2.5-flash"),
    "vertex": Provider("google", "vertex/gemini-2.5-flash-lite", "vertex/gemini-2.5-flash"),
    "bedrock": Provider("aws", "bedrock/amazon.nova-lite-v1:0", "bedrock/amazon.nova-lite-v1:0"),
    "bedrock-claude": Provider(
        "aws",
        "bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0",
    ),
}
MODELS = {name: provider.model for name, provider in PROVIDERS.items()}


@functools.cache
def speaker(protocol: str, url: str, key: str) -> Any:
    """A client of that protocol. Making one takes an SDK longer than a request."""
    return SPEAKERS[protocol](url, key)


def raw(gateway: Gateway, key: str, protocol: str, body: Any, **headers: str) -> Reply:
    """A request without an SDK, as curl would send it. Gemini's `model` and `stream` go into the path."""
    bearer = {"authorization": f"Bearer {key}", **headers}
    match protocol:
        case "openai":
            return call(f"{gateway.url}/v1/chat/completions", body, headers=bearer)
        case "openai-responses":
            return call(f"{gateway.url}/v1/responses", body, headers=bearer)
        case "anthropic":
            sent = {"x-api-key": key, "anthropic-version": "2023-06-01", **headers}
            return call(f"{gateway.url}/v1/messages", body, headers=sent)
        case "gemini":
            fields = dict(body) if isinstance(body, dict) else {}
            model = fields.get("model", MODELS["openai"])
            method = "streamGenerateContent?alt=sse" if fields.get("stream") else "generateContent"
            sent = Gemini.wire(fields) if "contents" in fields else body
            url = f"{gateway.url}/v1beta/models/{model}:{method}"
            return call(url, sent, headers={"x-goog-api-key": key, **headers})
        case _:
            raise ValueError(f"no client speaks {protocol}")
