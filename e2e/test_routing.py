"""Rules, labels and what cannot fit, with the real SDK; and the same asked with `weighbridge route explain`."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from harness.processes import Gateway, Simulator

ROUTES = """
[models.helper]
targets = ["anthropic/claude-haiku-4-5"]
aliases = ["helper-2024"]
rules = [
  { name = "closed", when = { tags = { env = "closed" } }, refuse = "Closed for now." },
  { name = "easy", when = { difficulty_below = 400 }, use = "small" },
]

[models.small]
targets = ["openai/gpt-4o-mini"]
"""

EASY = "What is the capital of Peru?"
HARD = "Prove that every bounded sequence has a convergent subsequence, and justify each step."


def asked(text: str, model: str = "helper-2024") -> dict[str, Any]:
    """A request of a few tokens."""
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}


def explained(gateway: Gateway, body: dict[str, Any], *arguments: str) -> tuple[int, dict[str, Any]]:
    """What `weighbridge route explain` says of a request, and its exit code."""
    done = gateway.command("route", "explain", "--json", *arguments, check=False, input=json.dumps(body))
    return done.returncode, json.loads(done.stdout)


def test_requests_go_where_they_are_said_to_go(own_gateway: Gateway, simulator: Simulator) -> None:
    gateway = own_gateway
    gateway.config.write_text(gateway.config.read_text() + ROUTES)
    gateway.start()
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.create_key(), max_retries=0)

    for text, target in [(EASY, "openai/gpt-4o-mini"), (HARD, "anthropic/claude-haiku-4-5")]:
        code, told = explained(gateway, asked(text))
        assert (code, [planned["target"] for planned in told["order"]]) == (0, [target]), told
        raw = client.chat.completions.with_raw_response.create(**asked(text))
        assert f"{raw.headers['x-gateway-provider']}/{raw.headers['x-gateway-model']}" == target

    closed = {"x-gateway-tags": "env=closed"}
    with pytest.raises(openai.PermissionDeniedError, match=r"Closed for now\."):
        client.chat.completions.create(**asked(EASY), extra_headers=closed)
    code, told = explained(gateway, asked(EASY), "--header", "x-gateway-tags: env=closed")
    assert (code, told["refused"]["message"]) == (3, "Closed for now.")

    # No provider of this gateway says where it is: what demands it is not served by any.
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(**asked(EASY), extra_headers={"x-gateway-require": "region=eu"})
    assert refused.value.code == "residency"
    code, told = explained(gateway, asked(EASY), "--header", "x-gateway-require: region=eu")
    assert (code, [over["reason"] for over in told["excluded"]]) == (3, ["residency"])

    # What certainly has no room is refused before anybody is asked.
    with pytest.raises(openai.BadRequestError) as misfit:
        client.chat.completions.create(**asked("Prove it. " * 130_000, model="openai/gpt-4o-mini"))
    assert misfit.value.code == "context_length_exceeded"
