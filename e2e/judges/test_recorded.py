"""Requests that the real providers have answered are not refused here, but for reasons that are listed.

The recordings lie outside of the repository; where they are absent, nothing is tested, and pytest says so.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from harness import strict
from harness.processes import REPOSITORY, Simulator, call
from judges.apis import APIS

RECORDINGS = REPOSITORY.parent / "shared" / "fixtures"

# The folder of each API, and the model that stands for all others.
FOLDERS = {
    "openai": ("openai-chat", "gpt-4o"),
    "openai-responses": ("openai-responses", "gpt-4o"),
    "openai-embeddings": ("openai-embeddings", "text-embedding-3-small"),
    "anthropic": ("anthropic-messages", "claude-sonnet-4-5"),
    "anthropic-count": ("anthropic-count-tokens", "claude-sonnet-4-5"),
    "gemini": ("gemini-generatecontent", None),
    "vertex": ("gemini-generatecontent", None),
    "bedrock": ("bedrock-converse", None),
}
PROVIDERS = {"gemini": "google-ai-studio", "vertex": "google-vertex"} | dict.fromkeys(
    ("openai", "openai-responses", "openai-embeddings"), "openai"
)

# Why a request that was answered is refused: what it refers to is not here, or its model can more.
EXPECTED = {
    "what only the real provider has given": re.compile(
        r"signature|could not be verified|previous_response|Previous response|CachedContent not found"
    ),
    "models that hear and speak": re.compile(r"does not accept audio|'modalities' is not supported"),
    "models with other limits": re.compile(r"max_tokens: \d+ > |'(temperature|logprobs)' is not supported"),
    "older models take both": re.compile(r"`temperature` and `top_p` cannot both"),
    "newer models do both": re.compile(r"Function calling with a response mime type"),
    "a model without turns": re.compile(r"must alternate between user and assistant roles"),
    "betas of Anthropic's": re.compile(
        r"tools\.0\.input_schema|mcp_servers: Extra|content\.0\.type: Input should be 'text'"
    ),
    "Anthropic's models on Vertex": re.compile(r"anthropic_version"),
}


def recorded(api: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and bodies of the requests that were answered with 200."""
    folder, model = FOLDERS[api]
    found = []
    for path in sorted((RECORDINGS / folder).glob("*/request.json")):
        meta = json.loads((path.parent / "meta.json").read_text())
        if meta["status"] == 200 and meta["provider"] == PROVIDERS.get(api, meta["provider"]):
            body = json.loads(path.read_text())
            reasons = str(body.get("model", "")).startswith(("o", "gpt-5"))
            named = {"model": "gpt-5-mini" if reasons and api.startswith("openai") else model} if model else {}
            found.append((path.parent.name, {**body, **named}))
    return found


@pytest.mark.parametrize("api", FOLDERS)
def test_what_was_answered_is_not_refused(simulator: Simulator, api: str) -> None:
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings in {RECORDINGS}")
    asked = APIS[api]
    answered = 0
    for name, body in recorded(api):
        reply = call(simulator.urls[asked.vendor] + asked.target(body, False), body, headers=asked.headers(body))
        if reply.status == 200:
            answered += 1
            continue
        reason = strict.error(asked.vendor, reply.body, reply.headers)["message"]
        assert any(pattern.search(reason) for pattern in EXPECTED.values()), f"{name}: {reason}"
    print(api, answered)
    assert answered >= 3
