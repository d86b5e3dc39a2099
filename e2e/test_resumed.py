"""A stream that breaks off and is continued by another target: one stream for the client, two attempts in the books."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from harness import books, strict
from harness.metrics import metric
from harness.processes import Gateway, Simulator, call
from harness.speakers import User, raw, speaker

MODELS = """
[models.steadfast]
targets = ["openai/gpt-4o-mini"]
fallbacks = ["anthropic/claude-haiku-4-5"]
resume = true

# Neither of them speaks Responses.
[models.faithful]
targets = ["anthropic/claude-haiku-4-5"]
fallbacks = ["vertex/claude-haiku-4-5@20251001"]
resume = true

[models.brittle]
targets = ["openai/gpt-4o-mini"]
fallbacks = ["anthropic/claude-haiku-4-5"]
"""
QUESTION = "pace:2 words:60"
CUT = {"kind": "cut-mid-stream", "after_frames": 12}


def start(gateway: Gateway) -> str:
    """Serves with these models; a key."""
    told = gateway.config.read_text().replace("[server]", '[server]\nmetrics = "/metrics"')
    gateway.config.write_text(told + MODELS)
    gateway.start()
    return gateway.create_key()


def resumed_streams(gateway: Gateway) -> int:
    """What the metric counts."""
    return int(metric(gateway, "weighbridge_resumed_streams_total"))


def record(gateway: Gateway, key: str, headers: dict[str, str]) -> dict[str, Any]:
    """The record of a request."""
    url = f"{gateway.url}/v1/requests/{headers['x-request-id']}"
    found: dict[str, Any] = call(url, headers={"authorization": f"Bearer {key}"}).json()
    return found


def given(simulator: Simulator) -> str:
    """What the second provider was told to go on from."""
    [asked] = simulator.requests("anthropic")
    turn = asked["body"]["messages"][-1]
    assert turn["role"] == "assistant", turn
    content = turn["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def said(speaks: str, body: bytes) -> str:
    """The text of a stream, which must be a strict one."""
    match speaks:
        case "openai":
            return "".join(c.delta.content or "" for chunk in strict.chat_stream(body) for c in chunk.choices)
        case "anthropic":
            deltas = [event.delta for event in strict.message_stream(body) if event.type == "content_block_delta"]
            return "".join(delta.text for delta in deltas)
        case _:
            frames = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
            parts = [part for frame in frames for it in frame["candidates"] for part in it["content"].get("parts", [])]
            return "".join(part.get("text", "") for part in parts)


@pytest.mark.parametrize("speaks", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("kind", ["cut-mid-stream", "reset-mid-stream", "error-mid-stream"])
def test_a_stream_that_breaks_off_is_one_stream_and_two_attempts(
    own_gateway: Gateway, simulator: Simulator, speaks: str, kind: str
) -> None:
    key = start(own_gateway)
    body = speaker(speaks, own_gateway.url, key).body("steadfast", [User(QUESTION)])
    simulator.fail("openai", kind, after_frames=12)
    reply = raw(own_gateway, key, speaks, {**body, "stream": True})
    assert reply.status == 200, reply.body
    text, begun = said(speaks, reply.body), given(simulator)
    assert begun and text.startswith(begun) and len(text) > len(begun), (begun, text)

    # Google's SDKs take a comment for a chunk: Gemini's clients get no mark.
    assert reply.body.count(b": resumed\n\n") == (speaks != "gemini")
    told = record(own_gateway, key, reply.headers)
    assert told["resumed"] is True, told
    outcomes = [(attempt["provider"], attempt["outcome"]) for attempt in told["attempts"]]
    assert outcomes == [("openai", "failed-mid-stream"), ("anthropic", "success")]
    assert resumed_streams(own_gateway) == 1
    first, second = books.assert_equal(own_gateway, simulator)
    assert (first["outcome"], second["outcome"]) == ("failed-mid-stream", "success")
    assert books.nano_usd(first["charged_usd"]) == 0 < books.nano_usd(second["charged_usd"])
    assert first["attempt"] != second["attempt"]
    books.assert_nothing_pending(own_gateway)


def test_an_sdk_reads_over_the_mark_and_without_resume_it_raises(own_gateway: Gateway, simulator: Simulator) -> None:
    key = start(own_gateway)
    client = openai.OpenAI(base_url=f"{own_gateway.url}/v1", api_key=key, max_retries=0)

    def text(model: str) -> str:
        simulator.fail("openai", **CUT)
        messages: Any = [{"role": "user", "content": QUESTION}]
        chunks = client.chat.completions.create(model=model, messages=messages, stream=True)
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    assert text("steadfast").startswith(given(simulator))
    assert resumed_streams(own_gateway) == 1
    with pytest.raises(openai.APIError):
        text("brittle")
    assert resumed_streams(own_gateway) == 1
    assert [entry["outcome"] for entry in books.assert_equal(own_gateway, simulator)] == [
        "failed-mid-stream",
        "success",
        "failed-mid-stream",
    ]


def test_an_answer_of_responses_is_continued_kept_and_gone_on_from(own_gateway: Gateway, simulator: Simulator) -> None:
    key = start(own_gateway)
    client = openai.OpenAI(base_url=f"{own_gateway.url}/v1", api_key=key, max_retries=0)
    simulator.fail("anthropic", **CUT)
    events = list(client.responses.create(model="faithful", input=QUESTION, stream=True))
    assert events[-1].type == "response.completed"
    answer = events[-1].response
    assert answer.output_text == "".join(it.delta for it in events if it.type == "response.output_text.delta")
    [asked] = simulator.requests("google")
    given = asked["body"]["messages"][-1]
    assert given["role"] == "assistant", asked
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    kept = client.responses.input_items.list(answer.id).data
    assert [item.content[0].text for item in kept] == [QUESTION], "what the client has asked, and nothing of ours"
    client.responses.create(model="faithful", input="echo:more", previous_response_id=answer.id)
    turns = simulator.requests("anthropic")[-1]["body"]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"], turns
    assert answer.output_text in json.dumps(turns[1])
    assert resumed_streams(own_gateway) == 1
    books.assert_equal(own_gateway, simulator)
