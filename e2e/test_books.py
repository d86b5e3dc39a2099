"""The ledger equals the invoice at the end, whatever happened on the way."""

from __future__ import annotations

import time

import pytest

from harness import books
from harness.load import Load
from harness.processes import VENDORS, Gateway, Simulator

SEED = 20261121
MIX = [
    {"kind": kind, "per_ten_thousand": 120, **fields}
    for kind, fields in [
        ("reset", {}),
        ("status", {"code": 500}),
        ("status", {"code": 503}),
        ("status", {"code": 429}),
        ("error-under-200", {}),
        ("html", {"code": 502}),
        ("empty", {}),
        ("cut-body", {}),
        ("no-usage", {}),
        ("running-usage", {}),
        ("slow-head", {"ms": 50}),
        ("error-mid-stream", {"after_frames": 12}),
        ("cut-mid-stream", {"after_frames": 9}),
        ("reset-mid-stream", {"after_frames": 7}),
        ("malformed-mid-stream", {"after_frames": 11}),
    ]
]


@pytest.mark.slow
def test_under_load_with_faults_and_clients_that_leave(own_gateway: Gateway, simulator: Simulator) -> None:
    print("seed", SEED)
    gateway = own_gateway.start()
    key = gateway.create_key()
    for vendor in VENDORS:
        simulator.control(vendor, "mix", {"seed": SEED, "faults": MIX})
    load = Load(gateway, key, SEED)
    time.sleep(8)
    load.stop()
    for vendor in VENDORS:
        simulator.control(vendor, "faults", method="DELETE")
    found = books.assert_equal(gateway, simulator)
    outcomes = {entry["outcome"] for entry in found}
    assert load.complete > 50 and {"success", "client-left", "failed-before-output"} <= outcomes, outcomes
    assert "crashed" not in outcomes
    assert gateway.stop() == 0, gateway.log()
    # The same once more from the file alone.
    assert not books.differences(books.entries(gateway), simulator.invoice())
    gateway.command("ledger", "verify")


def test_sigterm_lets_streams_finish_and_settles(own_gateway: Gateway, simulator: Simulator) -> None:
    gateway = own_gateway.start()
    key = gateway.create_key()
    load = Load(gateway, key, SEED, threads=4)
    time.sleep(2)
    status = gateway.stop()
    load.stop()
    assert status == 0, gateway.log()
    found = books.entries(gateway)
    assert not books.differences(found, simulator.invoice())
    assert found and "crashed" not in {entry["outcome"] for entry in found}
