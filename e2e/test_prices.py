"""Prices of a running gateway: shown, updated, reverted, and applied again to what was asked before."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

from harness.processes import Gateway, call

MODEL = "openai/gpt-4o-mini"


def map_with(input_per_token: str) -> str:
    """A map as LiteLLM has it, in which the model's prompt costs so much."""
    fields = (
        f'"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": {input_per_token}, '
        '"output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08'
    )
    return '{"gpt-4o-mini": {' + fields + "}}"


def ask(gateway: Gateway, key: str) -> dict[str, Any]:
    """Asks once, and returns the attempt's record."""
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "echo:" + "word " * 200}]}
    reply = call(f"{gateway.url}/v1/chat/completions", body, headers=headers)
    assert reply.status == 200, reply.body
    record = call(f"{gateway.url}/v1/requests/{reply.headers['x-request-id']}", headers=headers).json()
    return record["attempts"][0]


def posted(attempt: dict[str, Any]) -> int:
    """What an attempt cost, in nano-dollars."""
    return round(float(attempt["cost_usd"]) * 1e9)


def cost(attempt: dict[str, Any], input_rate: int) -> int:
    """What it has to cost where a token of the prompt costs so many nano-dollars."""
    usage = attempt["usage"]
    return usage["input"] * input_rate + usage.get("cache_read", 0) * 75 + usage["output"] * 600


def rerated(gateway: Gateway, *arguments: str) -> list[str]:
    """The last line of a re-pricing of all time, in words: attempts, posted, by the book, difference, unpriced."""
    tomorrow = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).date().isoformat()
    done = gateway.command("prices", "rerate", "--from", "2020-01-01", "--to", tomorrow, *arguments)
    return done.stdout.splitlines()[-1].split()[1:]


def test_prices_are_shown_with_their_sources(gateway: Gateway) -> None:
    shown = gateway.command("prices", "show", MODEL).stdout
    assert "openai/gpt-4o-mini standard" in shown and "source: genai-prices" in shown and "input 0.15" in shown
    assert "openai " in gateway.command("prices", "show").stdout
    assert gateway.command("prices", "show", "openai/gpt-0", check=False).returncode == 1


def test_an_update_is_in_force_at_once_and_changes_no_past(own_gateway: Gateway) -> None:
    gateway = own_gateway.start()
    key = gateway.create_key()
    before = ask(gateway, key)
    offered = gateway.folder / "map.json"

    # What cannot be read changes nothing.
    offered.write_text(map_with("2e-07")[:-5])
    assert gateway.command("prices", "update", str(offered), check=False).returncode == 1

    # A jump waits.
    offered.write_text(map_with("1.5e-06"))
    held = gateway.command("prices", "update", str(offered), check=False)
    assert held.returncode == 3 and f"! {MODEL}" in held.stdout and "standard input 0.15 → 1.5 is a jump" in held.stdout
    assert "input 0.15" in gateway.command("prices", "show", MODEL).stdout

    taken = gateway.command("prices", "update", str(offered), "--approve", MODEL)
    assert f"+ {MODEL}" in taken.stdout
    # Every gateway that shares the file has the book at once, and the price begins when all of them have it.
    deadline = time.monotonic() + 30
    while posted(after := ask(gateway, key)) != cost(after, 1500):
        assert posted(after) == cost(after, 150), after
        assert time.monotonic() < deadline, gateway.log()
        time.sleep(0.5)
    assert after["price_version"] != before["price_version"]

    # By the present book the past costs what it did (P1); by another it does not, and nothing has changed (L3).
    attempts, was, now, difference, unpriced = rerated(gateway)
    assert was == now and difference == "0.000000000" and unpriced == "0" and int(attempts) >= 2
    offered.write_text(map_with("3e-06"))
    again = rerated(gateway, "--book", str(offered))
    assert again[:2] == [attempts, was] and float(again[3]) > 0
    assert rerated(gateway) == [attempts, was, now, difference, unpriced]

    gateway.command("prices", "update", "--revert")
    deadline = time.monotonic() + 15
    while ask(gateway, key)["price_version"] != before["price_version"]:
        assert time.monotonic() < deadline, gateway.log()
        time.sleep(0.5)
    assert gateway.stop() == 0, gateway.log()
    gateway.command("ledger", "verify")


def test_an_address_of_ones_own_network_is_not_fetched(gateway: Gateway) -> None:
    refused = gateway.command("prices", "update", "http://127.0.0.1:1/map.json", check=False)
    assert refused.returncode == 1 and "the last prices stay" in refused.stderr, refused
    assert not (gateway.folder / "weighbridge.prices.toml").exists()


def test_a_model_is_described_as_json_records_have_it(gateway: Gateway, session_key: str) -> None:
    attempt = ask(gateway, session_key)
    assert json.loads(json.dumps(attempt["priced"]))["tier"] == "standard"
    assert attempt["priced"]["provider"] == "openai" and attempt["priced"]["model"] == "gpt-4o-mini"
