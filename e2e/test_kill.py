"""`kill -9` under load, again and again: the books still equal the invoice."""

from __future__ import annotations

import os
import random
import time

import pytest

from harness import books
from harness.load import Load
from harness.processes import Gateway, Simulator

SEED = 20261121
# `.ci/deep` asks for many.
CYCLES = int(os.environ.get("WEIGHBRIDGE_KILLS", "20"))


@pytest.mark.slow
def test_c1_kills_under_load(own_gateway: Gateway, simulator: Simulator) -> None:
    print("seed", SEED)
    draw = random.Random(SEED)
    gateway = own_gateway.start()
    key = gateway.create_key()
    load = Load(gateway, key, SEED)
    try:
        for cycle in range(CYCLES):
            time.sleep(draw.uniform(0.3, 1.2))
            gateway.kill()
            # Whatever was under way is over for the provider as well.
            deadline = time.monotonic() + 5
            while simulator.open_answers():
                assert time.monotonic() < deadline, "a dead gateway's answers go on"
                time.sleep(0.02)
            lines = simulator.invoice()
            gateway.start()
            # Recovery ends before readiness: whatever was invoiced by now has its entry, ended.
            invoiced = {line["attempt"] for line in lines}
            found = [entry for entry in books.entries(gateway) if entry["attempt"] in invoiced]
            wrong = books.differences(found, lines)
            assert not wrong, f"after kill {cycle + 1}:\n" + "\n".join(wrong)
    finally:
        load.stop()
    found = books.assert_equal(gateway, simulator)
    crashed = [entry for entry in found if entry["outcome"] == "crashed"]
    print(f"{len(found)} attempts, {len(crashed)} of them crashed, {load.complete} complete answers")
    assert crashed and load.complete > 100
    for entry in crashed:
        assert entry["provenance"] == "estimated" and books.nano_usd(entry["charged_usd"]) == 0
    # Nothing stays reserved: a budget would be as free as before.
    assert gateway.stop() == 0, gateway.log()
    gateway.command("ledger", "verify")
