"""Attempts beside a request: who answers, who is cancelled, and who pays for what."""

from __future__ import annotations

import decimal
import json
import time
from typing import Any

from harness import books
from harness.processes import Gateway, Simulator
from harness.speakers import raw

USER = [{"role": "user", "content": "echo:still here"}]


def start(gateway: Gateway, models: str) -> str:
    """Serves with these models; a key."""
    gateway.config.write_text(gateway.config.read_text() + models)
    gateway.start()
    return gateway.create_key()


def balance(gateway: Gateway, kind: str) -> decimal.Decimal:
    """What stands on all accounts of a kind."""
    listed: list[dict[str, Any]] = json.loads(gateway.command("ledger", "balances", "--json").stdout)
    return sum((decimal.Decimal(it["posted"]) for it in listed if it["kind"] == kind), decimal.Decimal(0))


def usd(entries: list[dict[str, Any]], field: str) -> decimal.Decimal:
    """The sum of a column."""
    return sum((decimal.Decimal(entry[field]) for entry in entries), decimal.Decimal(0))


def test_who_is_late_is_overtaken_cancelled_and_paid_for_by_nobody(own_gateway: Gateway, simulator: Simulator) -> None:
    models = """
[models.hedged]
targets = ["openai/gpt-4o-mini"]
fallbacks = ["anthropic/claude-haiku-4-5"]
hedge = { after = "200ms" }
"""
    key = start(own_gateway, models)
    for stream in (False, True):
        # Far longer than anything here takes: whoever is not cancelled is still at it below.
        simulator.fail("openai", "slow-head", ms=20_000)
        reply = raw(own_gateway, key, "openai", {"model": "hedged", "messages": USER, "stream": stream})
        assert reply.status == 200, reply.body
        assert reply.headers["x-gateway-provider"] == "anthropic"
        deadline = time.monotonic() + 5
        while simulator.open_answers():
            assert time.monotonic() < deadline, "the loser is not cancelled"
            time.sleep(0.02)
    found = books.assert_equal(own_gateway, simulator)
    lost = [entry for entry in found if entry["outcome"] == "lost-hedge"]
    won = [entry for entry in found if entry["outcome"] == "success"]
    assert (len(lost), len(won), len(found)) == (2, 2, 4), found
    assert {entry["provider"] for entry in lost} == {"openai"} and {entry["provider"] for entry in won} == {"anthropic"}
    assert usd(lost, "charged_usd") == 0 and usd(won, "charged_usd") > 0
    assert balance(own_gateway, "absorbed") == usd(lost, "cost_usd")
    books.assert_nothing_pending(own_gateway)
    # Who is in time is not raced.
    reply = raw(own_gateway, key, "openai", {"model": "hedged", "messages": USER})
    assert (reply.headers["x-gateway-provider"], reply.headers["x-gateway-attempts"]) == ("openai", "1")
