"""Errors reach each SDK as the exception that it documents, in its own protocol's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import strict
from harness.processes import Gateway, Simulator, call
from harness.speakers import MODELS, User, raw, speaker

SPEAKS = pytest.mark.parametrize("speaks", ["openai", "anthropic"])
PROVIDER = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@SPEAKS
@PROVIDER
@pytest.mark.parametrize(
    ("fault", "exception", "status"),
    [
        ({"kind": "status", "code": 400}, "BadRequestError", 400),
        ({"kind": "status", "code": 404}, "NotFoundError", 404),
        ({"kind": "status", "code": 429, "retry_after": 7}, "RateLimitError", 429),
        ({"kind": "context-too-long"}, "BadRequestError", 400),
        ({"kind": "content-policy"}, "BadRequestError", 400),
        # Whatever is wrong between the gateway and its provider is a failure of the gateway's.
        ({"kind": "status", "code": 401}, "InternalServerError", None),
        ({"kind": "no-credit"}, "InternalServerError", None),
        ({"kind": "status", "code": 500}, "InternalServerError", None),
        ({"kind": "status", "code": 503}, "InternalServerError", None),
        ({"kind": "error-under-200"}, "InternalServerError", None),
        ({"kind": "html", "code": 200}, "InternalServerError", None),
        ({"kind": "html", "code": 502}, "InternalServerError", None),
        ({"kind": "empty"}, "InternalServerError", None),
        ({"kind": "cut-body"}, "InternalServerError", None),
        ({"kind": "reset"}, "InternalServerError", None),
    ],
    ids=lambda value: value.get("kind", "") + str(value.get("code", "")) if isinstance(value, dict) else None,
)
def test_a_providers_failure(
    fresh_gateway: Gateway,
    simulator: Simulator,
    fresh_key: str,
    speaks: str,
    provider: str,
    fault: dict[str, Any],
    exception: str,
    status: int | None,
) -> None:
    simulator.fail(provider, **fault)
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    with pytest.raises(getattr(client.errors, exception)) as raised:
        client.say(client.body(MODELS[provider], [User("hello")]), stream=False)
    assert status is None or raised.value.status_code == status
    if fault.get("retry_after"):
        assert raised.value.response.headers["retry-after"] == "7"
        assert raised.value.response.headers["x-gateway-limit-kind"] == "upstream"
    strict.error(speaks, raised.value.response.content)


@SPEAKS
def test_a_wrong_key(gateway: Gateway, speaks: str) -> None:
    for key in ("wb-000000000000-nonsense", "sk-something-else", ""):
        reply = raw(gateway, key, speaks, {"model": "openai/gpt-4o-mini", "messages": []})
        assert reply.status == 401
        strict.error(speaks, reply.body)
    client = speaker(speaks, gateway.url, "wb-000000000000-nonsense")
    with pytest.raises(client.errors.AuthenticationError):
        client.say(client.body(MODELS["openai"], [User("hello")]), stream=False)


@SPEAKS
def test_an_unknown_model_names_its_neighbours(gateway: Gateway, session_key: str, speaks: str) -> None:
    client = speaker(speaks, gateway.url, session_key)
    with pytest.raises(client.errors.NotFoundError) as raised:
        client.say(client.body("openai/gpt-4o-mni", [User("hello")]), stream=False)
    assert "gpt-4o-mini" in str(raised.value)
    strict.error(speaks, raised.value.response.content)


@SPEAKS
@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"messages": []}', "model"),
        (b'{"model": "openai/gpt-4o-mini", "model": "x", "messages": []}', "model"),
        (b'{"model": "openai/gpt-4o-mini", "stream": "yes", "messages": []}', "stream"),
        (b'{"model": "openai/gpt-4o-mini", "messages": ' + b"[" * 200 + b"]" * 200 + b"}", ""),
        (b'{"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "\xff"}]}', ""),
    ],
    ids=["empty", "cut", "array", "wrong-type", "missing", "duplicate", "stream", "deep", "not-utf8"],
)
def test_bad_bodies(
    gateway: Gateway, session_key: str, simulator: Simulator, speaks: str, body: bytes, named: str
) -> None:
    before = len(simulator.invoice())
    reply = raw(gateway, session_key, speaks, body)
    assert reply.status == 400, reply.body
    assert named in strict.error(speaks, reply.body)["message"]
    assert len(simulator.invoice()) == before


@SPEAKS
def test_a_body_that_is_too_large(gateway: Gateway, session_key: str, speaks: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    path = "/v1/chat/completions" if speaks == "openai" else "/v1/messages"
    connection.putrequest("POST", path)
    connection.putheader("authorization", f"Bearer {session_key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(1 << 40))
    if speaks == "anthropic":
        connection.putheader("anthropic-version", "2023-06-01")
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    strict.error(speaks, reply.read())
    connection.close()


@SPEAKS
@PROVIDER
@pytest.mark.parametrize("kind", ["error-mid-stream", "cut-mid-stream", "reset-mid-stream", "malformed-mid-stream"])
def test_a_stream_that_breaks_ends_with_the_clients_error(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, provider: str, kind: str
) -> None:
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    # At a pace: a failure that arrives together with the first content is still a failure before output.
    body = client.body(MODELS[provider], [User("words:400 pace:2")])
    simulator.fail(provider, kind, after_frames=40)
    reply = raw(fresh_gateway, fresh_key, speaks, {**body, "stream": True})
    assert reply.status == 200
    name, last = list(strict.events(reply.body))[-1]
    assert (name == "error") == (speaks == "anthropic")
    strict.error(speaks, last)
    assert b"[DONE]" not in reply.body and b"message_stop" not in reply.body
    assert b"word" in reply.body

    # Between equals the broken frame's bytes have passed already: the SDK then stumbles over them.
    passed = kind == "malformed-mid-stream" and speaks == provider
    simulator.fail(provider, kind, after_frames=40)
    with pytest.raises(json.JSONDecodeError if passed else client.errors.APIError):
        for _ in client.begin(body):
            pass


@SPEAKS
@PROVIDER
def test_a_silent_provider_is_given_up(
    simulator: Simulator, fresh_gateway: Gateway, fresh_key: str, speaks: str, provider: str
) -> None:
    simulator.fail(provider, "stall-before-head")
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    with pytest.raises(client.errors.InternalServerError):
        client.say(client.body(MODELS[provider], [User("hello")]), stream=False)


@SPEAKS
@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/chat", "/"])
def test_unknown_paths(gateway: Gateway, session_key: str, speaks: str, path: str) -> None:
    headers = {"authorization": f"Bearer {session_key}"}
    assert call(f"{gateway.url}{path}", {}, headers=headers).status == 404
    assert call(f"{gateway.url}/v1/chat/completions", method="GET", headers=headers).status == 405
