"""Keys, their limits and budgets, the model list, and the record of a request."""

from __future__ import annotations

import concurrent.futures
import json
import time
from typing import Any

import pytest

from harness import books, strict
from harness.processes import Gateway, Simulator, call
from harness.speakers import MODELS, User, raw, speaker

SPEAKS = pytest.mark.parametrize("speaks", ["openai", "anthropic"])


@SPEAKS
def test_model_lists(gateway: Gateway, session_key: str, speaks: str) -> None:
    client = speaker(speaks, gateway.url, session_key)
    names = {model.id for model in client.client.models.list()}
    assert {"failover-to-openai", MODELS["openai"], MODELS["anthropic"]} <= names
    headers = {"authorization": f"Bearer {session_key}"}
    if speaks == "anthropic":
        headers["anthropic-version"] = "2026-10-21"
    listed = call(f"{gateway.url}/v1/models", headers=headers).json()
    from anthropic.types import ModelInfo
    from openai.types import Model

    for model in listed["data"]:
        (Model if speaks == "openai" else ModelInfo).model_validate(model)


@SPEAKS
def test_a_key_for_some_models(gateway: Gateway, speaks: str) -> None:
    key = gateway.create_key("--model", MODELS["openai"], name="narrow")
    client = speaker(speaks, gateway.url, key)
    assert client.say(client.body(MODELS["openai"], [User("echo:yes")]), stream=False).text == "yes"
    with pytest.raises(client.errors.PermissionDeniedError):
        client.say(client.body(MODELS["anthropic"], [User("hello")]), stream=False)
    assert MODELS["anthropic"] not in {model.id for model in client.client.models.list()}


@SPEAKS
def test_requests_per_minute(gateway: Gateway, simulator: Simulator, speaks: str) -> None:
    key = gateway.create_key("--rpm", "2", name="slow")
    client = speaker(speaks, gateway.url, key)
    body = client.body(MODELS["openai"], [User("hello")])
    before = len(simulator.invoice())
    statuses = [raw(gateway, key, speaks, body).status for _ in range(4)]
    assert statuses.count(200) <= 2 and statuses[-1] == 429
    assert len(simulator.invoice()) - before == statuses.count(200)
    with pytest.raises(client.errors.RateLimitError) as raised:
        client.say(body, stream=False)
    headers = raised.value.response.headers
    assert headers["x-gateway-limit-kind"] == "rpm" and int(headers["retry-after"]) > 0
    strict.error(speaks, raised.value.response.content)


@SPEAKS
def test_a_budget_holds(fresh_gateway: Gateway, simulator: Simulator, speaks: str) -> None:
    """Room for a few requests: the rest is refused, and nothing is spent above the budget."""
    gateway = fresh_gateway
    key = gateway.create_key("--budget-usd-per-month", "0.0005", name="poor")
    client = speaker(speaks, gateway.url, key)
    body = client.body(MODELS["openai"], [User("words:20")], limit=200)
    statuses = []
    while not statuses or (statuses[-1] == 200 and len(statuses) < 50):
        statuses.append(raw(gateway, key, speaks, body).status)
    assert statuses[0] == 200 and statuses[-1] == 429
    with pytest.raises(client.errors.RateLimitError) as raised:
        client.say(body, stream=True)
    headers = raised.value.response.headers
    assert headers["x-gateway-limit-kind"] == "budget" and headers["x-should-retry"] == "false"
    assert int(headers["retry-after"]) > 0
    found = books.assert_equal(gateway, simulator)
    assert sum(books.nano_usd(entry["charged_usd"]) for entry in found) <= 500_000


def test_a_budget_of_a_team_holds_for_all_its_keys_at_once(fresh_gateway: Gateway, simulator: Simulator) -> None:
    """Two keys, eight clients at a time: the team's budget is not exceeded, and ends for both."""
    gateway = fresh_gateway
    gateway.command("tenants", "create", "acme", "--budget", "usd=1 period=month zone=Europe/Berlin")
    shown = gateway.command("tenants", "create", "acme/search", "--budget", "usd=0.0004 period=day zone=Europe/Berlin")
    assert json.loads(shown.stdout)["organisation"] == "acme"
    keys = [gateway.create_key("--tenant", "acme/search", name=name) for name in ("one", "two")]
    other = gateway.create_key("--tenant", "acme/ads", name="three")
    client = speaker("openai", gateway.url, keys[0])
    body = client.body(MODELS["openai"], [User("words:20")], limit=200)

    def ask(at: int) -> int:
        return raw(gateway, keys[at % 2], "openai", body).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(64)))
    assert set(statuses) == {200, 429}
    # What was reserved side by side has come back: one after the other the budget is used up.
    while len(statuses) < 128 and ask(len(statuses)) == 200:
        statuses.append(200)
    refused = raw(gateway, keys[1], "openai", body)
    assert refused.status == 429 and refused.headers["x-gateway-limit-kind"] == "budget"
    assert 0 < int(refused.headers["retry-after"]) <= 25 * 3600
    assert raw(gateway, other, "openai", body).status == 200
    found = books.assert_equal(gateway, simulator)
    of_team = [entry for entry in found if entry["key"] in {key.split("-")[1] for key in keys}]
    assert len(of_team) == statuses.count(200)
    assert sum(books.nano_usd(entry["charged_usd"]) for entry in of_team) <= 400_000


def test_a_blocked_team_and_a_changed_key_bind_within_a_second(gateway: Gateway) -> None:
    """Rule K2, from another process."""
    key = gateway.create_key("--tenant", "globex/lab", name="lab")
    gateway.command("tenants", "create", "globex/lab")
    headers = {"authorization": f"Bearer {key}"}

    def becomes(status: int) -> None:
        deadline = time.monotonic() + 1
        while call(f"{gateway.url}/v1/models", headers=headers).status != status:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    becomes(200)
    gateway.command("tenants", "block", "globex/lab")
    becomes(403)
    gateway.command("tenants", "block", "globex/lab", "--end")
    becomes(200)
    gateway.command("keys", "update", key.split("-")[1], "--block")
    becomes(403)
    refused = gateway.command("tenants", "create", "globex/lab/x", check=False)
    assert refused.returncode != 0 and "organisation" in refused.stderr


def test_a_revoked_key_is_refused_within_a_second(gateway: Gateway) -> None:
    key = gateway.create_key(name="short-lived")
    gateway.command("keys", "revoke", key.split("-")[1])
    deadline = time.monotonic() + 1
    while call(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status != 401:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_keys_are_listed_without_secrets(gateway: Gateway) -> None:
    key = gateway.create_key("--tag", "team=search", name="listed")
    listed = gateway.command("keys", "list", "--json").stdout
    assert "listed" in listed and key.split("-")[1] in listed
    assert key not in listed and key.split("-")[2] not in listed
    json.loads(listed)


@SPEAKS
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_record_of_a_request(
    gateway: Gateway, simulator: Simulator, session_key: str, speaks: str, provider: str
) -> None:
    client = speaker(speaks, gateway.url, session_key)
    body = client.body(MODELS[provider], [User("hello")])
    reply = raw(gateway, session_key, speaks, body, **{"x-gateway-tags": "feature=search,env=test"})
    assert reply.headers["x-gateway-provider"] == provider
    record = record_of(gateway, session_key, reply.headers["x-request-id"])
    assert record["model"] == MODELS[provider] and record["status"] == 200
    assert record["tags"] == {"feature": "search", "env": "test"}
    [attempt] = record["attempts"]
    [line] = [line for line in simulator.invoice() if line["attempt"] == attempt["attempt"]]
    assert books.nano_usd(attempt["cost_usd"]) == line["nano_usd"]
    assert books.nano_usd(reply.headers["x-gateway-cost-usd"]) == books.nano_usd(attempt["charged_usd"])


def test_a_record_of_another_tenant_is_not_found(gateway: Gateway, session_key: str) -> None:
    client = speaker("openai", gateway.url, session_key)
    reply = raw(gateway, session_key, "openai", client.body(MODELS["openai"], [User("hello")]))
    other = gateway.create_key("--tenant", "somebody-else", name="other")
    path = f"{gateway.url}/v1/requests/{reply.headers['x-request-id']}"
    assert call(path, headers={"authorization": f"Bearer {other}"}).status == 404


def test_credentials_go_where_they_belong_and_nowhere_else(
    gateway: Gateway, simulator: Simulator, session_key: str
) -> None:
    for provider, name, value in (
        ("openai", "authorization", "Bearer sk-simulated-openai"),
        ("anthropic", "x-api-key", "sk-ant-simulated"),
    ):
        for speaks in ("openai", "anthropic"):
            client = speaker(speaks, gateway.url, session_key)
            body = client.body(MODELS[provider], [User("hello")])
            raw(gateway, session_key, speaks, body, cookie="session=1", **{"x-forwarded-for": "1.2.3.4"})
            received = simulator.requests(provider)[-1]
            assert received["headers"][name] == value
            assert session_key not in json.dumps(received)
            assert not {"cookie", "x-forwarded-for", "x-gateway-tags"} & received["headers"].keys()


def test_losses_are_reported(gateway: Gateway, session_key: str) -> None:
    body: dict[str, Any] = {
        "model": MODELS["anthropic"],
        "messages": [{"role": "user", "content": "hello"}],
        "logit_bias": {"50": 1},
        "seed": 7,
    }
    warned = raw(gateway, session_key, "openai", body)
    assert warned.status == 200 and "/logit_bias" in warned.headers["x-gateway-loss"]
    rejected = raw(gateway, session_key, "openai", body, **{"x-gateway-loss-policy": "reject"})
    assert rejected.status == 400 and "logit_bias" in strict.error("openai", rejected.body)["message"]
    record = record_of(gateway, session_key, warned.headers["x-request-id"])
    assert {"/logit_bias", "/seed"} <= {loss["pointer"] for loss in record["losses"]}


def record_of(gateway: Gateway, key: str, request_id: str) -> dict[str, Any]:
    """The record, which is written a moment after its request has ended."""
    deadline = time.monotonic() + 2
    while True:
        reply = call(f"{gateway.url}/v1/requests/{request_id}", headers={"authorization": f"Bearer {key}"})
        if reply.status == 200:
            record: dict[str, Any] = reply.json()
            return record
        assert time.monotonic() < deadline, reply.body
        time.sleep(0.02)
