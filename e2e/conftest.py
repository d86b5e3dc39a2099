"""Fixtures: the simulated providers, and the gateway in front of them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from harness.processes import Gateway, Simulator


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """All simulated providers, for the whole session."""
    running = Simulator()
    yield running
    running.close()


@pytest.fixture(scope="session")
def served(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for the whole session."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), simulator).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture(scope="session")
def session_key(served: Gateway) -> str:
    """A key without limits."""
    return served.create_key()


@pytest.fixture
def gateway(served: Gateway, simulator: Simulator) -> Iterator[Gateway]:
    """The session's gateway, with no faults queued before and no answer open after the test."""
    for vendor in simulator.urls:
        simulator.control(vendor, "faults", method="DELETE")
    yield served
    deadline = time.monotonic() + 5
    while simulator.open_answers():
        assert time.monotonic() < deadline, "an answer is still under way"
        time.sleep(0.02)


@pytest.fixture
def own_gateway(simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[Gateway]:
    """A gateway of the test's own, with empty books on both sides; not yet started."""
    simulator.forget()
    gateway = Gateway(tmp_path, simulator)
    yield gateway
    if gateway.process and gateway.process.poll() is None:
        gateway.kill()


@pytest.fixture
def fresh_gateway(own_gateway: Gateway) -> Gateway:
    """A gateway of the test's own, started: no target is benched by earlier faults."""
    return own_gateway.start()


@pytest.fixture
def fresh_key(fresh_gateway: Gateway) -> str:
    """A key without limits at the test's own gateway."""
    return fresh_gateway.create_key()
