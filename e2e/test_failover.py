"""What one provider fails to do, the next one does, and the client sees only that it took two attempts."""

from __future__ import annotations

import pytest

from harness import books, strict
from harness.processes import Gateway, Simulator
from harness.speakers import User, raw, speaker

ROUTES = {"failover-to-openai": ("anthropic", "openai"), "failover-to-anthropic": ("openai", "anthropic")}


def said(speaks: str, stream: bool, body: bytes) -> str:
    """The text of an answer, which must be a strict one."""
    match speaks, stream:
        case "openai", False:
            return strict.chat_completion(body).choices[0].message.content
        case "openai", True:
            return "".join(c.delta.content or "" for chunk in strict.chat_stream(body) for c in chunk.choices)
        case _, False:
            return strict.message(body).content[0].text
        case _:
            deltas = [event.delta for event in strict.message_stream(body) if event.type == "content_block_delta"]
            return "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "code": 503, "retry_after": 1},
        {"kind": "status", "code": 429},
        {"kind": "reset"},
        {"kind": "html", "code": 502},
        {"kind": "empty"},
        {"kind": "error-under-200"},
        {"kind": "error-mid-stream", "after_frames": 0},
        {"kind": "cut-mid-stream", "after_frames": 0},
    ],
    ids=lambda fault: fault["kind"] + str(fault.get("code", "")),
)
def test_the_next_target_answers(
    fresh_gateway: Gateway,
    simulator: Simulator,
    fresh_key: str,
    speaks: str,
    stream: bool,
    route: str,
    fault: dict[str, object],
) -> None:
    first, second = ROUTES[route]
    simulator.fail(first, **fault)
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    body = client.body(route, [User("echo:still here")])
    reply = raw(fresh_gateway, fresh_key, speaks, {**body, "stream": stream})
    assert reply.status == 200, reply.body
    assert said(speaks, stream, reply.body) == "still here"
    assert reply.headers["x-gateway-attempts"] == "2"
    assert reply.headers["x-gateway-provider"] == second
    found = books.assert_equal(fresh_gateway, simulator)
    assert [entry["outcome"] for entry in found][1:] == ["success"]
    assert found[0]["outcome"] != "success" and books.nano_usd(found[0]["charged_usd"]) == 0


@pytest.mark.parametrize("kind", ["context-too-long", "content-policy"])
def test_a_bad_request_is_not_tried_elsewhere(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, kind: str
) -> None:
    simulator.fail("openai", kind)
    client = speaker("openai", fresh_gateway.url, fresh_key)
    reply = raw(fresh_gateway, fresh_key, "openai", client.body("failover-to-anthropic", [User("hello")]))
    assert reply.status == 400 and reply.headers["x-gateway-attempts"] == "1"
