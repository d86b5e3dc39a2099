"""Several gateways on one PostgreSQL database: one budget, one set of keys, and one that dies."""

from __future__ import annotations

import decimal
import json
import pathlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from harness import books
from harness.load import Load
from harness.postgres import Postgres
from harness.processes import Gateway, Simulator, call
from harness.speakers import MODELS, User, raw, speaker


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def pair(postgres: Postgres, simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[list[Gateway]]:
    """Two gateways over one fresh database, started."""
    simulator.forget()
    storage = postgres.database()
    gateways = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        gateways.append(Gateway(tmp_path / name, simulator, storage=storage).start())
    yield gateways
    for gateway in gateways:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()


def pending(gateway: Gateway) -> decimal.Decimal:
    """What is reserved of tenants' money and not ended, in USD."""
    balances = json.loads(gateway.command("ledger", "balances", "--json").stdout)
    reserved = (decimal.Decimal(it["pending"]) for it in balances if it["kind"] == "receivable")
    return sum(reserved, decimal.Decimal(0))


def wait_for_pending(gateway: Gateway, seconds: float) -> decimal.Decimal:
    """Waits until something is reserved, and says how much."""
    deadline = time.monotonic() + seconds
    while not (reserved := pending(gateway)):
        assert time.monotonic() < deadline, "nothing is reserved"
        time.sleep(0.05)
    return reserved


def test_r3_a_hundred_at_once_on_two_instances_with_a_budget_for_ten(pair: list[Gateway], simulator: Simulator) -> None:
    one, two = pair
    rich = one.create_key("--budget-usd-per-month", "100", name="rich")
    body = speaker("openai", one.url, rich).body(MODELS["openai"], [User("words:20")], limit=200)
    simulator.fail("openai", "slow-head", ms=2000)
    asking = threading.Thread(target=raw, args=(one, rich, "openai", body))
    asking.start()
    reserved = wait_for_pending(two, 10)
    asking.join()

    poor = one.create_key("--budget-usd-per-month", f"{10 * reserved:f}", name="poor")
    while call(f"{two.url}/v1/models", headers={"authorization": f"Bearer {poor}"}).status == 401:
        time.sleep(0.02)
    # Nobody ends, and gives back what it did not need, before all have asked.
    slow = {"kind": "slow-head", "ms": 4000}
    simulator.control("openai", "faults", {"faults": [slow] * 100})
    statuses: list[int] = []
    asking_all = [
        threading.Thread(target=lambda gateway=gateway: statuses.append(raw(gateway, poor, "openai", body).status))
        for gateway in [one, two] * 50
    ]
    for thread in asking_all:
        thread.start()
    for thread in asking_all:
        thread.join()
    simulator.control("openai", "faults", method="DELETE")
    assert Counter(statuses) == {200: 10, 429: 90}
    found = books.assert_equal(two, simulator)
    assert len([entry for entry in found if entry["outcome"] == "success"]) == 11
    assert pending(one) == 0
    assert one.stop() == 0 and two.stop() == 0
    two.command("ledger", "verify")


def test_k2_a_revocation_binds_on_both_within_a_second(pair: list[Gateway]) -> None:
    key = pair[0].create_key(name="short-lived")
    bearer = {"authorization": f"Bearer {key}"}
    for gateway in pair:
        while call(f"{gateway.url}/v1/models", headers=bearer).status == 401:
            time.sleep(0.02)
    pair[0].command("keys", "revoke", key.split("-")[1])
    deadline = time.monotonic() + 1
    for gateway in pair:
        while call(f"{gateway.url}/v1/models", headers=bearer).status != 401:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_c6_what_a_killed_instance_had_open_ends_as_crashed(pair: list[Gateway], simulator: Simulator) -> None:
    one, two = pair
    key = one.create_key("--budget-usd-per-month", "100", name="owner")
    body = speaker("openai", one.url, key).body(MODELS["openai"], [User("hello")], limit=200)
    simulator.fail("openai", "stall-before-head")

    def ask() -> None:
        with pytest.raises(OSError):  # The connection ends with its gateway.
            raw(one, key, "openai", body)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for_pending(two, 10)
    one.kill()
    asking.join()
    # Another that comes up, or lives, ends it: after five seconds without a sign of life, within ten more.
    deadline = time.monotonic() + 30
    while pending(two):
        assert time.monotonic() < deadline, "a dead instance's intent stays open"
        time.sleep(0.2)
    [crashed] = books.entries(two)
    assert crashed["outcome"] == "crashed" and crashed["provenance"] == "estimated"
    assert books.nano_usd(crashed["charged_usd"]) == 0
    # The one that was killed comes back as a new one.
    one.start()
    for gateway in pair:
        assert raw(gateway, key, "openai", body).status == 200
    assert one.stop() == 0 and two.stop() == 0
    two.command("ledger", "verify")


def test_c2_c6_a_start_after_a_kill_takes_over_at_once(
    postgres: Postgres, simulator: Simulator, tmp_path: pathlib.Path
) -> None:
    simulator.forget()
    gateway = Gateway(tmp_path, simulator, storage=postgres.database()).start()
    key = gateway.create_key("--budget-usd-per-month", "100", name="owner")
    body = speaker("openai", gateway.url, key).body(MODELS["openai"], [User("hello")], limit=200)
    simulator.fail("openai", "stall-before-head")

    def ask() -> None:
        with pytest.raises(OSError):  # The connection ends with its gateway.
            raw(gateway, key, "openai", body)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for_pending(gateway, 10)
    gateway.kill()
    asking.join()
    begun = time.monotonic()
    gateway.start()
    took = time.monotonic() - begun
    print(f"ready {took:.2f} s after the start")
    # By its beats it would be dead after five seconds at the earliest.
    assert took < 5
    assert pending(gateway) == 0
    [crashed] = books.entries(gateway)
    assert crashed["outcome"] == "crashed" and crashed["provenance"] == "estimated"
    assert raw(gateway, key, "openai", body).status == 200
    assert gateway.stop() == 0
    gateway.command("ledger", "verify")


def test_p2_an_update_of_prices_is_in_force_on_both(pair: list[Gateway], tmp_path: pathlib.Path) -> None:
    one, two = pair
    offered = tmp_path / "map.json"
    fields = '"litellm_provider": "openai", "input_cost_per_token": 2e-07, "output_cost_per_token": 6e-07'
    offered.write_text('{"gpt-4o-mini": {' + fields + ', "cache_read_input_token_cost": 7.5e-08}}')
    key = one.create_key(name="owner")
    body = speaker("openai", one.url, key).body(MODELS["openai"], [User("hello")], limit=200)
    bearer = {"authorization": f"Bearer {key}"}

    def version(gateway: Gateway) -> str:
        """By which price book an attempt is priced there."""
        reply = call(f"{gateway.url}/v1/chat/completions", body, headers=bearer)
        if reply.status != 200:  # The key has yet to come there.
            return ""
        record = call(f"{gateway.url}/v1/requests/{reply.headers['x-request-id']}", headers=bearer).json()
        return record["attempts"][0]["price_version"]

    def wait_for_another(than: str) -> str:
        deadline = time.monotonic() + 30
        while (versions := {version(gateway) for gateway in pair}) & {than, ""} or len(versions) > 1:
            assert time.monotonic() < deadline, versions
            time.sleep(0.3)
        return versions.pop()

    before = wait_for_another("")
    assert two.command("prices", "update", str(offered)).returncode == 0
    assert "input 0.2" in one.command("prices", "show", "openai/gpt-4o-mini", "--at", "2100-01-01").stdout
    after = wait_for_another(before)
    # Who starts later has it, too.
    assert one.stop() == 0
    one.start()
    assert version(one) == after
    one.command("prices", "update", "--revert")
    assert wait_for_another(after) == before
    assert one.stop() == 0 and two.stop() == 0
    two.command("ledger", "verify")


@pytest.mark.slow
def test_c1_kills_under_load_while_another_instance_serves(pair: list[Gateway], simulator: Simulator) -> None:
    one, two = pair
    draw = random.Random(20261126)
    key = one.create_key()
    loads = [Load(one, key, 1), Load(two, key, 2)]
    try:
        for _ in range(4):
            time.sleep(draw.uniform(0.3, 1.2))
            one.kill()
            one.start()
    finally:
        for load in loads:
            load.stop()
    deadline = time.monotonic() + 30
    while pending(two):
        assert time.monotonic() < deadline, "something stays open"
        time.sleep(0.5)
    found = books.assert_equal(two, simulator)
    crashed = [entry for entry in found if entry["outcome"] == "crashed"]
    print(f"{len(found)} attempts, {len(crashed)} of them crashed")
    assert crashed and loads[1].complete > 50
    for entry in crashed:
        assert entry["provenance"] == "estimated" and books.nano_usd(entry["charged_usd"]) == 0
    assert one.stop() == 0 and two.stop() == 0
    two.command("ledger", "verify")
