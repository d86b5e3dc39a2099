"""Compares the gateway's ledger with the simulated providers' invoices, attempt by attempt.

The rules are those of A1 and M7: what a provider told must be in the ledger to the nano-dollar; what it
did not tell must be marked as `estimated`; nothing is invoiced without an entry.
"""

from __future__ import annotations

import decimal
import json
import time
from collections import Counter
from typing import Any

from harness.processes import Gateway, Simulator

# Outcomes after which an entry may be an estimate although the provider was going to tell.
LOST = {"client-left", "crashed", "timed-out", "failed-mid-stream"}


def entries(gateway: Gateway) -> list[dict[str, Any]]:
    """Every ended attempt in the ledger, oldest first, one JSON object per line of output."""
    listed = gateway.command("ledger", "attempts", "--json").stdout
    return [json.loads(line) for line in listed.splitlines() if line]


def nano_usd(text: str) -> int:
    """Whole nano-dollars of a decimal text."""
    exact = decimal.Decimal(text).scaleb(9)
    assert exact == exact.to_integral_value(), f"{text} is not in whole nano-dollars"
    return int(exact)


def differences(ledger: list[dict[str, Any]], invoice: list[dict[str, Any]]) -> list[str]:
    """What does not agree; empty if everything does."""
    found = [f"twice in the ledger: {key}" for key, n in Counter(e["attempt"] for e in ledger).items() if n > 1]
    found += [f"twice on the invoice: {key}" for key, n in Counter(i["attempt"] for i in invoice).items() if n > 1]
    known = {entry["attempt"]: entry for entry in ledger}
    lines = {line["attempt"]: line for line in invoice}
    for attempt, line in lines.items():
        if attempt not in known:
            found.append(f"invoiced without an entry: {line}")
    for attempt, entry in known.items():
        found += _entry_differences(entry, lines.get(attempt))
    return found


def _entry_differences(entry: dict[str, Any], line: dict[str, Any] | None) -> list[str]:
    reported = entry["provenance"] == "reported"
    cost = nano_usd(entry["cost_usd"])
    if entry["outcome"] not in ("success", "client-left") and nano_usd(entry["charged_usd"]) != 0:
        return [f"a tenant pays for {entry['outcome']}: {entry}"]
    if line is None:
        # A failure that cost nothing, or one that only the gateway thinks was worked on.
        return [f"an exact cost that nobody invoices: {entry}"] if reported and cost else []
    if reported:
        usage = {bucket: count for bucket, count in entry["usage"].items() if count}
        billed = {bucket: count for bucket, count in line["usage"].items() if count}
        if "reasoning" not in usage:
            # Some vendors tell it as output: it costs the same.
            answer = billed.pop("output", 0) + billed.pop("reasoning", 0)
            billed |= {"output": answer} if answer else {}
        if (cost, usage) != (line["nano_usd"], billed):
            return [f"ledger and invoice differ: {entry} {line}"]
    elif line["told"] and line["end"] == "complete" and entry["outcome"] not in LOST:
        return [f"an estimate of what was told: {entry} {line}"]
    return []


def settled(gateway: Gateway, simulator: Simulator, attempts: int | None = None) -> list[dict[str, Any]]:
    """Waits until no answer is under way and every attempt has ended; returns the ledger's entries."""
    deadline = time.monotonic() + 15
    while True:
        found = entries(gateway)
        quiet = simulator.open_answers() == 0 and (attempts is None or len(found) >= attempts)
        if quiet and {line["attempt"] for line in simulator.invoice()} <= {entry["attempt"] for entry in found}:
            return found
        if time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def assert_equal(gateway: Gateway, simulator: Simulator) -> list[dict[str, Any]]:
    """The ledger equals the invoice, and its own chains and balances hold."""
    found = settled(gateway, simulator)
    wrong = differences(found, simulator.invoice())
    assert not wrong, "\n".join(wrong)
    gateway.command("ledger", "verify")
    return found


def assert_nothing_pending(gateway: Gateway) -> None:
    """With no request in flight, nothing is reserved (rule R6), and tenants owe what they were charged."""
    balances = json.loads(gateway.command("ledger", "balances", "--json").stdout)
    assert not [it for it in balances if decimal.Decimal(it["pending"])], balances
    owed = sum(decimal.Decimal(it["posted"]) for it in balances if it["kind"] == "receivable")
    charged = sum(decimal.Decimal(entry["charged_usd"]) for entry in entries(gateway))
    assert owed == charged, f"owed {owed}, charged {charged}"
