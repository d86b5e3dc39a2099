"""What tenants pay and what that costs: mark-ups, explanations, usage and savings, with the real SDK."""

from __future__ import annotations

import csv
import io
import json
import time
from decimal import Decimal
from typing import Any

import openai

from harness import books
from harness.processes import Gateway, Simulator

BASELINE = """
[models.helper]
targets = ["openai/gpt-4o-mini"]
baseline = "openai/gpt-4o"

[prices.markup]
percent = "10"

[[prices.markup.rules]]
model = "helper"
percent = "50"
per_request_usd = "0.0001"
"""


def ask(gateway: Gateway, key: str, model: str, stream: bool = False) -> tuple[str, Decimal | None]:
    """Asks once; gives the request's id, and what the gateway says that it costs where it says so in the head."""
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "echo:" + "word " * 50}], stream=stream
    )
    answer: Any = raw.parse()
    if stream:
        assert [chunk for chunk in answer]
        return raw.headers["x-request-id"], None
    assert answer.choices[0].message.content
    return raw.headers["x-request-id"], Decimal(raw.headers["x-gateway-cost-usd"])


def explained(gateway: Gateway, request: str) -> dict[str, Any]:
    """What `weighbridge explain` says of a request."""
    # The log is written behind the answer, and this is another process.
    deadline = time.monotonic() + 5
    while (done := gateway.command("explain", request, "--json", check=False)).returncode != 0:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def usage(gateway: Gateway, *arguments: str) -> dict[str, dict[str, Any]]:
    """Lines of `weighbridge usage` by what they are of."""
    found = json.loads(gateway.command("usage", "--json", *arguments).stdout)
    return {line["group"]: line for line in [*found["lines"], found["total"]]}


def test_mark_up_explain_and_savings(own_gateway: Gateway, simulator: Simulator) -> None:
    gateway = own_gateway
    gateway.config.write_text(gateway.config.read_text() + BASELINE)
    gateway.start()
    plain = gateway.create_key("--tenant", "plain", name="plain")
    gateway.command("tenants", "create", "reseller", "--markup-percent", "-20")
    discounted = gateway.create_key("--tenant", "reseller/shop", name="shop")

    asked = [
        (plain, "helper", False, Decimal("1.5"), Decimal("0.0001")),
        (plain, "helper", True, Decimal("1.5"), Decimal("0.0001")),
        (plain, "anthropic/claude-haiku-4-5", False, Decimal("1.1"), Decimal(0)),
        # The tenant's own terms are closer than what the file says for everybody.
        (discounted, "helper", False, Decimal("0.8"), Decimal(0)),
    ]
    paid, costs = Decimal(0), Decimal(0)
    for key, model, stream, factor, fee in asked:
        request, shown = ask(gateway, key, model, stream)
        books.settled(gateway, simulator)
        found = explained(gateway, request)
        [attempt] = found["attempts"]
        assert attempt["notes"] == [], attempt
        cost, charged = Decimal(attempt["cost_usd"]), Decimal(attempt["charged_usd"])
        assert shown is None or shown == charged
        lines = sum(Decimal(line["amount_usd"]) for line in attempt["cost_lines"])
        assert lines + Decimal(attempt["rounding_usd"]) == cost
        assert charged == sum(Decimal(line["amount_usd"]) for line in attempt["price_lines"])
        assert abs(charged - (cost * factor + fee)) <= Decimal("1e-9")
        posted = [
            (moved["debit"].split(" ")[0], moved["credit"].split(" ")[0], Decimal(moved["amount"]))
            for row in attempt["postings"]
            for moved in row["transfers"]
            if moved["phase"] == "post"
        ]
        assert ("receivable", "sales", charged) in posted and ("cost_of_sales", "payable", cost) in posted
        assert ("baseline" in attempt) == (model == "helper")
        paid, costs = paid + charged, costs + cost
        text = gateway.command("explain", request).stdout
        assert f"charged      {charged} USD" in text and "postings" in text and "price book" in text
    assert gateway.command("explain", "no-such-request", check=False).returncode == 1

    # A settled request is in the next answer (Q1), and margins are what lies between.
    by_tenant = usage(gateway, "--by", "organisation")
    assert {group: line["attempts"] for group, line in by_tenant.items()} == {"plain": 3, "reseller": 1, "all": 4}
    total = by_tenant["all"]
    assert Decimal(total["charged_usd"]) == paid and Decimal(total["cost_usd"]) == costs
    assert Decimal(total["margin_usd"]) == paid - costs and Decimal(by_tenant["reseller"]["margin_usd"]) < 0
    public = discounted.split("-")[1]
    assert usage(gateway, "--key", public)[public]["name"] == "shop"
    assert set(usage(gateway, "--by", "model")) == {"openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "all"}
    assert set(usage(gateway, "--by", "alias")) == {"helper", "anthropic/claude-haiku-4-5", "all"}
    lines = list(csv.DictReader(io.StringIO(gateway.command("usage", "--by", "day", "--csv").stdout)))
    assert sum(int(line["attempts"]) for line in lines) == 4
    assert "MARGIN USD" in gateway.command("usage").stdout

    savings = usage(gateway, "--savings")
    assert set(savings) == {"helper", "all"} and savings["all"]["requests"] == 3
    helper = {name: Decimal(savings["helper"][name]) for name in ("real_usd", "baseline_usd", "saved_usd")}
    assert helper["saved_usd"] == helper["baseline_usd"] - helper["real_usd"] > 0
    assert "SAVED USD" in gateway.command("usage", "--savings", "--by", "key").stdout

    margin = gateway.command("ledger", "balances").stdout.splitlines()[-1]
    assert margin.startswith(f"margin of the platform book: {paid - costs:.9f} USD"), margin

    # The books know cost and price apart, and the cost is the invoice.
    books.assert_equal(gateway, simulator)
    assert gateway.stop() == 0
    gateway.command("ledger", "verify")
