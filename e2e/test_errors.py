"""Errors reach each SDK as the exception that it documents, in its own protocol's shape."""

from __future__ import annotations

from typing import Any

import pytest

from harness import strict
from harness.load import PATHS
from harness.processes import Gateway, Simulator, call
from harness.speakers import MODELS, PROVIDERS, SPEAKERS, User, raw, speaker

SPEAKS = pytest.mark.parametrize("speaks", SPEAKERS)
FAULTS = pytest.mark.parametrize(
    ("fault", "exception"),
    [
        ({"kind": "status", "code": 400}, "BadRequestError"),
        ({"kind": "status", "code": 404}, "NotFoundError"),
        ({"kind": "status", "code": 429, "retry_after": 7}, "RateLimitError"),
        ({"kind": "context-too-long"}, "BadRequestError"),
        ({"kind": "content-policy"}, "BadRequestError"),
        # Whatever is wrong between the gateway and its provider is a failure of the gateway's.
        ({"kind": "status", "code": 401}, "InternalServerError"),
        ({"kind": "no-credit"}, "InternalServerError"),
        ({"kind": "status", "code": 500}, "InternalServerError"),
        ({"kind": "status", "code": 503}, "InternalServerError"),
        ({"kind": "error-under-200"}, "InternalServerError"),
        ({"kind": "html", "code": 200}, "InternalServerError"),
        ({"kind": "html", "code": 502}, "InternalServerError"),
        ({"kind": "empty"}, "InternalServerError"),
        ({"kind": "cut-body"}, "InternalServerError"),
        ({"kind": "reset"}, "InternalServerError"),
    ],
    ids=lambda value: value.get("kind", "") + str(value.get("code", "")) if isinstance(value, dict) else None,
)
STATUS = {"BadRequestError": 400, "AuthenticationError": 401, "NotFoundError": 404, "RateLimitError": 429}
# What Google's SDK, which has two classes, says in its status instead.
GOOGLES = {
    "BadRequestError": "INVALID_ARGUMENT",
    "AuthenticationError": "UNAUTHENTICATED",
    "NotFoundError": "NOT_FOUND",
    "RateLimitError": "RESOURCE_EXHAUSTED",
}


def raised(client: Any, body: dict[str, Any], exception: str) -> Any:
    """The response of the error that the SDK raises, which must be of the class that it documents."""
    if client.protocol == "gemini":
        known = exception in GOOGLES
        with pytest.raises(client.errors.ClientError if known else client.errors.ServerError) as failed:
            client.say(body, stream=False)
        error = failed.value
        assert error.status == GOOGLES[exception] if known else error.code >= 500, error
        assert error.code == STATUS.get(exception, error.code)
        strict.error("google", error.response.content)
        return error.response
    with pytest.raises(getattr(client.errors, exception)) as failed:
        client.say(body, stream=False)
    assert failed.value.status_code == STATUS.get(exception, failed.value.status_code)
    strict.error(client.vendor, failed.value.response.content)
    return failed.value.response


@SPEAKS
@FAULTS
def test_a_providers_failure(
    fresh_gateway: Gateway,
    simulator: Simulator,
    fresh_key: str,
    speaks: str,
    fault: dict[str, Any],
    exception: str,
) -> None:
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    for provider in PROVIDERS.values():
        if fault["kind"] == "content-policy" and provider.vendor == "google":
            # An answer without content, in Google's protocol and in every client's.
            continue
        print(provider.model)
        simulator.fail(provider.vendor, **fault)
        response = raised(client, client.body(provider.model, [User("hello")]), exception)
        if fault.get("retry_after") and provider.vendor != "aws":
            assert response.headers["retry-after"] == "7"
            assert response.headers["x-gateway-limit-kind"] == "upstream"


@SPEAKS
def test_a_wrong_key(gateway: Gateway, speaks: str) -> None:
    client = speaker(speaks, gateway.url, "wb-000000000000-nonsense")
    body = client.body(MODELS["openai"], [User("hello")])
    for key in ("wb-000000000000-nonsense", "sk-something-else", ""):
        reply = raw(gateway, key, speaks, body)
        assert reply.status == 401
        strict.error(client.vendor, reply.body)
    raised(client, body, "AuthenticationError")


@SPEAKS
def test_an_unknown_model_names_its_neighbours(gateway: Gateway, session_key: str, speaks: str) -> None:
    client = speaker(speaks, gateway.url, session_key)
    response = raised(client, client.body("openai/gpt-4o-mni", [User("hello")]), "NotFoundError")
    assert "gpt-4o-mini" in response.text


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
    if speaks == "gemini" and named:
        pytest.skip("Gemini's model and stream are in the path")
    before = len(simulator.invoice())
    field = {"openai-responses": b'"input"', "gemini": b'"contents"'}.get(speaks, b'"messages"')
    reply = raw(gateway, session_key, speaks, body.replace(b'"messages"', field))
    assert reply.status == 400, reply.body
    assert named in strict.error(SPEAKERS[speaks].vendor, reply.body)["message"]
    assert len(simulator.invoice()) == before


@SPEAKS
def test_a_body_that_is_too_large(gateway: Gateway, session_key: str, speaks: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    path = PATHS[speaks].format(model=MODELS["openai"], method="generateContent")
    connection.putrequest("POST", path)
    connection.putheader("authorization", f"Bearer {session_key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(1 << 40))
    if speaks == "anthropic":
        connection.putheader("anthropic-version", "2023-06-01")
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    strict.error(SPEAKERS[speaks].vendor, reply.read())
    connection.close()


# Who is called in the client's own protocol: what such a provider says passes as it is.
EQUALS = {
    "openai": {"openai"},
    "openai-responses": {"openai", "openai-responses"},
    "anthropic": {"anthropic"},
    "gemini": {"gemini", "vertex"},
}


def failure(client: Any, body: bytes) -> None:
    """A stream that has begun, and ends with an error in the client's protocol."""
    assert b"word" in body
    for end in (b"[DONE]", b"message_stop", b"response.completed", b"finishReason"):
        assert end not in body
    found = list(strict.events(body))
    if client.protocol == "openai-responses":
        # The published types have two ways, and OpenAI goes either or both.
        last = strict.response_event(found[-1][1])
        assert last.type == "error" or (last.type == "response.failed" and last.response.error)
    else:
        assert found[-1][0] == ("error" if client.protocol == "anthropic" else None)
        strict.error(client.vendor, found[-1][1])


@SPEAKS
@pytest.mark.parametrize("kind", ["error-mid-stream", "cut-mid-stream", "reset-mid-stream", "malformed-mid-stream"])
def test_a_stream_that_breaks_ends_with_the_clients_error(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, kind: str
) -> None:
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    for name, provider in PROVIDERS.items():
        print(name)
        # At a pace: a failure that arrives together with the first content is still a failure before output.
        body = client.body(provider.model, [User("words:400 pace:2")])
        simulator.fail(provider.vendor, kind, after_frames=40)
        reply = raw(fresh_gateway, fresh_key, speaks, {**body, "stream": True})
        assert reply.status == 200, reply.body
        failure(client, reply.body)

        simulator.fail(provider.vendor, kind, after_frames=40)
        expected: tuple[type[Exception], ...] = (client.errors.APIError,)
        if kind == "malformed-mid-stream" and name in EQUALS[speaks]:
            # The broken frame's bytes have passed already: the SDK then stumbles over them.
            expected = (ValueError, client.errors.APIError)
        if kind == "error-mid-stream" and speaks == "openai-responses" and name in EQUALS[speaks]:
            # OpenAI's own event, which its SDK hands on instead of raising.
            assert [event.type for event in client.begin(body)][-1] in ("error", "response.failed")
            continue
        with pytest.raises(expected):
            for _ in client.begin(body):
                pass


@SPEAKS
def test_a_silent_provider_is_given_up(
    simulator: Simulator, fresh_gateway: Gateway, fresh_key: str, speaks: str
) -> None:
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    simulator.fail("aws", "stall-before-head")
    raised(client, client.body(MODELS["bedrock"], [User("hello")]), "InternalServerError")


@SPEAKS
@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/chat", "/", "/v1beta/nothing"])
def test_unknown_paths(gateway: Gateway, session_key: str, speaks: str, path: str) -> None:
    headers = {"authorization": f"Bearer {session_key}"}
    assert call(f"{gateway.url}{path}", {}, headers=headers).status == 404
    wrong = PATHS[speaks].format(model=MODELS["openai"], method="generateContent")
    assert call(f"{gateway.url}{wrong}", method="GET", headers=headers).status == 405
