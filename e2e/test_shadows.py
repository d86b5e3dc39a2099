"""Copies of requests to another model: nobody gets their answers or pays for them, and budgets bound them."""

from __future__ import annotations

import decimal
import json
import time
from typing import Any

import pytest

from harness import books, metrics
from harness.processes import Gateway, Simulator, call
from harness.speakers import raw

MODELS = """
[limits]
budgets = ["usd=100 period=month"]

[models.watched]
targets = ["openai/gpt-4o-mini"]
shadow = { to = "candidate", share = "100%" }

[models.candidate]
targets = ["anthropic/claude-haiku-4-5"]
budgets = ["requests=2 period=month"]
"""
USER = [{"role": "user", "content": "echo:who said this"}]


def start(gateway: Gateway) -> str:
    """Serves with these models; a key."""
    told = gateway.config.read_text().replace("[server]", '[server]\nmetrics = "/metrics"')
    gateway.config.write_text(told + MODELS)
    gateway.start()
    return gateway.create_key()


def copies(simulator: Simulator, count: int) -> list[dict[str, Any]]:
    """What the other model was sent, once there are so many and none is under way."""
    deadline = time.monotonic() + 10
    while len(simulator.requests("anthropic")) < count or simulator.open_answers():
        assert time.monotonic() < deadline, f"{len(simulator.requests('anthropic'))} of {count} copies"
        time.sleep(0.02)
    return simulator.requests("anthropic")


def posted(gateway: Gateway, kind: str) -> list[decimal.Decimal]:
    """What stands on each account of a kind."""
    listed: list[dict[str, Any]] = json.loads(gateway.command("ledger", "balances", "--json").stdout)
    return [decimal.Decimal(it["posted"]) for it in listed if it["kind"] == kind]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_copy_is_answered_to_nobody_and_the_installation_pays_for_it(
    own_gateway: Gateway, simulator: Simulator, stream: bool
) -> None:
    key = start(own_gateway)
    # Far longer than the request takes: whoever waited for the copy would wait for this.
    simulator.fail("anthropic", "slow-head", ms=4_000)
    began = time.monotonic()
    reply = raw(own_gateway, key, "openai", {"model": "watched", "messages": USER, "stream": stream})
    assert time.monotonic() - began < 3, "the client waits for a copy"
    assert reply.status == 200, reply.body
    told = (reply.headers["x-gateway-provider"], reply.headers["x-gateway-attempts"])
    assert told == ("openai", "1")
    assert b"chat.completion" in reply.body and b"claude" not in reply.body
    [copy] = copies(simulator, 1)
    assert USER[0]["content"] in json.dumps(copy["body"]["messages"])

    found = books.assert_equal(own_gateway, simulator)
    by = {entry["outcome"]: entry for entry in found}
    assert sorted(by) == ["shadow", "success"] and len(found) == 2, found
    assert (by["shadow"]["provider"], by["success"]["provider"]) == ("anthropic", "openai")
    own, copied = (decimal.Decimal(by[outcome]["cost_usd"]) for outcome in ("success", "shadow"))
    assert decimal.Decimal(by["shadow"]["charged_usd"]) == 0 and own > 0 and copied > 0
    assert posted(own_gateway, "absorbed") == [copied]
    assert sum(posted(own_gateway, "receivable")) == decimal.Decimal(by["success"]["charged_usd"])
    books.assert_nothing_pending(own_gateway)
    # The installation's budget counts both.
    assert posted(own_gateway, "budget") == [own + copied]
    # The client's own record knows nothing of it, and no metric of requests counts it.
    record = call(
        f"{own_gateway.url}/v1/requests/{reply.headers['x-request-id']}", headers={"authorization": f"Bearer {key}"}
    ).json()
    assert [attempt["provider"] for attempt in record["attempts"]] == ["openai"], record
    counted = [line for line in metrics.lines(own_gateway) if line.startswith("weighbridge_attempts_total{")]
    assert len(counted) == 1 and 'provider="openai"' in counted[0] and counted[0].endswith(" 1"), counted


def test_a_copy_without_room_in_a_budget_is_left_out_and_its_request_is_served(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    key = start(own_gateway)
    for number in range(1, 4):
        reply = raw(own_gateway, key, "openai", {"model": "watched", "messages": USER})
        assert (reply.status, reply.headers["x-gateway-provider"]) == (200, "openai"), reply.body
        copies(simulator, min(number, 2))
    left_out = "weighbridge_shadow_copies_without_room_total"
    deadline = time.monotonic() + 5
    while f"{left_out} 1" not in metrics.lines(own_gateway):
        assert time.monotonic() < deadline, [line for line in metrics.lines(own_gateway) if left_out in line]
        time.sleep(0.02)
    found = books.assert_equal(own_gateway, simulator)
    assert sorted(entry["outcome"] for entry in found) == ["shadow", "shadow", "success", "success", "success"]
    # The budget is the copies' alone where the model is asked for by nobody else; for requests it is used up as well.
    reply = raw(own_gateway, key, "openai", {"model": "candidate", "messages": USER})
    assert (reply.status, reply.headers["x-gateway-limit-kind"]) == (429, "budget"), reply.body
    books.assert_nothing_pending(own_gateway)
