"""Marks for the prompt cache, placed for keys that ask for it, with the real SDKs: sent, billed, read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from harness import books
from harness.processes import Gateway, Simulator

# Longer than the 4,096 tokens that Claude Haiku 4.5 caches at least.
RULES = "The scales are to be read twice, and the smaller figure counts. " * 400
CLAUDE = "anthropic/claude-haiku-4-5"
MODELS = [
    pytest.param("anthropic", CLAUDE, id="anthropic"),
    pytest.param("google", "vertex/claude-haiku-4-5@20251001", id="vertex"),
    pytest.param("aws", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", id="bedrock"),
]
Turn = dict[str, Any]


def ask_messages(gateway: Gateway, key: str, model: str, turns: list[Turn]) -> tuple[str, int, int]:
    """The text of the answer, and the tokens that were written to and read from the cache."""
    client = anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0)
    answer = client.messages.create(model=model, max_tokens=100, system=RULES, messages=turns)
    usage = answer.usage
    return answer.content[0].text, usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0


def ask_chat(gateway: Gateway, key: str, model: str, turns: list[Turn]) -> tuple[str, int, int]:
    """The same with OpenAI's SDK, streamed."""
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
    messages = [{"role": "system", "content": RULES}, *turns]
    text, usage = "", None
    stream = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert usage and usage.prompt_tokens_details
    details = usage.prompt_tokens_details
    return text, getattr(details, "cache_write_tokens", 0) or 0, details.cached_tokens or 0


ASKS = pytest.mark.parametrize("ask", [ask_messages, ask_chat])


def turns(*said: str) -> list[Turn]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]


def marks(body: Any) -> list[str]:
    """The lifetimes of all marks of a request, in order."""
    if isinstance(body, list):
        return [mark for item in body for mark in marks(item)]
    if not isinstance(body, dict):
        return []
    own = [body[name].get("ttl", "5m") for name in ("cache_control", "cachePoint") if name in body]
    return own + [mark for value in body.values() for mark in marks(value)]


@ASKS
@pytest.mark.parametrize("lifetime", ["5m", "1h"])
@pytest.mark.parametrize(("vendor", "model"), MODELS)
def test_each_turn_reads_what_the_one_before_it_wrote(
    fresh_gateway: Gateway, simulator: Simulator, vendor: str, model: str, lifetime: str, ask: Callable[..., Any]
) -> None:
    key = fresh_gateway.create_key("--prompt-cache", lifetime, name="caching")
    # The simulated providers remember prompts for the whole session: this one is the test's own.
    hello = f"echo:{vendor} {lifetime} {ask.__name__}"
    first = ask(fresh_gateway, key, model, turns(hello))
    assert marks(simulator.requests(vendor)[-1]["body"]) == [lifetime]
    assert first[1] + first[2] > 4_096, "the instructions were written, or are there since an earlier test"
    second = ask(fresh_gateway, key, model, turns(hello, first[0], "echo:two"))
    assert marks(simulator.requests(vendor)[-1]["body"]) == [lifetime] * 3
    assert second[2] == first[1] + first[2] and second[1] > 0
    third = ask(fresh_gateway, key, model, turns(hello, first[0], "echo:two", second[0], "echo:three"))
    assert third[0] == "three"
    assert third[2] == second[1] + second[2]
    written = [entry["usage"] for entry in books.assert_equal(fresh_gateway, simulator)]
    bucket, other = ("cache_write_1h", "cache_write_5m") if lifetime == "1h" else ("cache_write_5m", "cache_write_1h")
    assert written[1].get(bucket) == second[1] and not any(usage.get(other) for usage in written)


@ASKS
def test_tools_are_marked_and_called(fresh_gateway: Gateway, simulator: Simulator, ask: Callable[..., Any]) -> None:
    key = fresh_gateway.create_key("--prompt-cache", "1h", name="caching")
    schema = {"type": "object", "properties": {"what": {"type": "string", "description": RULES}}}
    if ask is ask_messages:
        client = anthropic.Anthropic(base_url=fresh_gateway.url, api_key=key, max_retries=0)
        client.messages.create(
            model=CLAUDE,
            max_tokens=100,
            tools=[{"name": "weigh", "input_schema": schema}],
            messages=turns("use the tool"),
        )
    else:
        speaks = openai.OpenAI(base_url=f"{fresh_gateway.url}/v1", api_key=key, max_retries=0)
        tool = {"type": "function", "function": {"name": "weigh", "parameters": schema}}
        answer = speaks.chat.completions.create(model=CLAUDE, tools=[tool], messages=turns("use the tool"))
        assert answer.choices[0].message.tool_calls
    body = simulator.requests("anthropic")[-1]["body"]
    assert body["tools"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    # Whoever has tools to call goes on.
    assert marks(body) == ["1h", "1h"]
    books.assert_equal(fresh_gateway, simulator)


def test_a_key_without_it_sends_what_it_was_sent(fresh_gateway: Gateway, simulator: Simulator) -> None:
    said = turns("echo:one", "one", "echo:two")
    for arguments in [(), ("--prompt-cache", "5m")]:
        key = fresh_gateway.create_key(*arguments, name="plain")
        ask_messages(fresh_gateway, key, CLAUDE, said)
    plain, marked = (request["body"] for request in simulator.requests("anthropic")[-2:])
    assert plain["system"] == RULES and plain["messages"] == said
    assert marks(marked) == ["5m"] * 3
    # Marks of the client's own are its own business.
    own = [{"type": "text", "text": "echo:mine", "cache_control": {"type": "ephemeral"}}]
    ask_messages(fresh_gateway, key, CLAUDE, [*said[:2], {"role": "user", "content": own}])
    sent = simulator.requests("anthropic")[-1]["body"]
    assert marks(sent) == ["5m"] and sent["messages"][-1]["content"] == own
    books.assert_equal(fresh_gateway, simulator)


def test_the_policy_is_listed_and_checked(fresh_gateway: Gateway) -> None:
    fresh_gateway.create_key("--prompt-cache", "1h", name="caching")
    fresh_gateway.create_key(name="plain")
    listed = json.loads(fresh_gateway.command("keys", "list", "--json").stdout)
    assert {key["name"]: key["prompt_cache"] for key in listed} == {"caching": "1h", "plain": None}
    refused = fresh_gateway.command("keys", "create", "--name", "odd", "--prompt-cache", "2h", check=False)
    assert refused.returncode == 2 and "5m, 1h" in refused.stderr
