"""Killed at every boundary of the money path, under load: the books still equal the invoice (rules C1, C2)."""

from __future__ import annotations

import json
import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from harness import books, failpoints
from harness.load import Load
from harness.postgres import Postgres
from harness.processes import Gateway, Simulator

SEED = 20261126

# The how manieth time that a serving process passes there is its last.
UNDER_LOAD = {
    "pipeline.reserved": 15,
    "pipeline.sending": 25,
    "pipeline.head-came": 15,
    "pipeline.metered": 15,
    "pipeline.handed-over": 15,
    "pipeline.settling": 10,
    "sqlite.begun": 40,
    "sqlite.written": 20,
    "sqlite.committed": 40,
    "sqlite.folded": 2,
    "sqlite.carrying": 3,
    "sqlite.carried": 3,
    "postgres.begun": 40,
    "postgres.written": 30,
    "postgres.committed": 40,
}
# What a process passes that starts after another was killed under load: epoch, recovery, the first seal.
AT_A_RESTART = {
    name: 1
    for store in ("sqlite", "postgres")
    for name in (f"{store}.epoch", f"{store}.dead-closed", f"{store}.recovered", f"{store}.sealed")
}
ON_SQLITE = [name for name in failpoints.names() if not name.startswith("postgres.")]
ON_POSTGRES = [name for name in failpoints.names() if name.startswith("postgres.")]


def test_no_failpoint_is_left_out() -> None:
    assert sorted(failpoints.names()) == sorted([*UNDER_LOAD, *AT_A_RESTART]) and len(failpoints.names()) > 20


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    failpoints.program()
    server = Postgres()
    yield server
    server.close()


def provider_is_done(simulator: Simulator) -> None:
    """Whatever was under way is over for the provider as well."""
    deadline = time.monotonic() + 5
    while simulator.open_answers():
        assert time.monotonic() < deadline, "a dead gateway's answers go on"
        time.sleep(0.02)


def killed_and_restarted(gateway: Gateway, simulator: Simulator, name: str) -> None:
    """Under load it dies there, comes back, and the books agree."""
    gateway.program = failpoints.program()
    simulator.forget()
    key = gateway.create_key()
    if name in UNDER_LOAD:
        gateway.start(env=failpoints.armed(f"{name}:{UNDER_LOAD[name]}"))
        load = Load(gateway, key, SEED)
        try:
            failpoints.assert_died(gateway, name, 30)
        except BaseException:
            load.stop()
            raise
    else:
        gateway.start()
        load = Load(gateway, key, SEED)
        time.sleep(0.7)
        gateway.kill()
        # Twice: recovery that was killed begins again, and may be killed again (rule C2).
        for _ in range(2 if "postgres" not in name else 1):
            gateway.launch(env=failpoints.armed(f"{name}:{AT_A_RESTART[name]}"))
            failpoints.assert_died(gateway, name)
    try:
        # The load goes on meanwhile.
        gateway.start()
        time.sleep(0.7)
    finally:
        load.stop()
    provider_is_done(simulator)
    found = books.assert_equal(gateway, simulator)
    books.assert_nothing_pending(gateway)
    # Whoever has an answer has an entry, and the crash costs nobody but us.
    assert load.complete <= len(found)
    for entry in found:
        if entry["outcome"] == "crashed":
            assert entry["provenance"] == "estimated" and books.nano_usd(entry["charged_usd"]) == 0
    assert {entry["outcome"] for entry in found} >= {"success"}
    assert gateway.stop() == 0, gateway.log()
    assert not books.differences(books.entries(gateway), simulator.invoice())
    gateway.command("ledger", "verify")


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_SQLITE)
def test_c1_c2_killed_there_on_sqlite(simulator: Simulator, tmp_path: pathlib.Path, name: str) -> None:
    gateway = Gateway(tmp_path, simulator)
    try:
        killed_and_restarted(gateway, simulator, name)
    finally:
        end(gateway)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_c1_c2_killed_there_on_postgres(
    simulator: Simulator, tmp_path: pathlib.Path, postgres: Postgres, name: str
) -> None:
    gateway = Gateway(tmp_path, simulator, storage=postgres.database())
    try:
        killed_and_restarted(gateway, simulator, name)
    finally:
        end(gateway)


def end(gateway: Gateway) -> None:
    """Nothing outlives its test."""
    if gateway.process and gateway.process.poll() is None:
        gateway.kill()


@pytest.mark.parametrize("point", ("sqlite.epoch", "sqlite.begun", "sqlite.written", "sqlite.committed"))
def test_l4_a_top_up_that_is_killed_and_repeated_counts_once(own_gateway: Gateway, point: str) -> None:
    own_gateway.program = failpoints.program()
    said = ("--tenant", "acme", "--amount-usd", "25", "--reason", "invoice 17")
    killed = 0
    for number in range(1, 6):
        fund = ("ledger", "fund", *said, "--id", f"019a0000-0000-7000-8000-{number:012}")
        first = own_gateway.command(*fund, check=False, env=failpoints.armed(f"{point}:{number}"))
        assert first.returncode in (0, -signal.SIGKILL), first.stderr
        killed += first.returncode != 0
        own_gateway.command(*fund)
    assert killed
    balances = json.loads(own_gateway.command("ledger", "balances", "--json").stdout)
    assert [float(it["posted"]) for it in balances if it["kind"] == "receivable"] == [-125.0], balances
    books_are_sound = own_gateway.command("ledger", "verify")
    assert books_are_sound.returncode == 0
