"""What a gateway counts, as its metrics tell."""

from __future__ import annotations

import time

from harness.processes import Gateway, call


def lines(gateway: Gateway) -> list[str]:
    """Everything, line by line."""
    return call(f"{gateway.url}/metrics").body.decode().splitlines()


def metric(gateway: Gateway, name: str) -> float:
    """The value under a name with all its labels, which is there once."""
    [value] = [value for named, _, value in (line.rpartition(" ") for line in lines(gateway)) if named == name]
    return float(value)


def wait_for(gateway: Gateway, name: str, value: float) -> None:
    """Waits until a metric has a value, for 20 seconds at most."""
    deadline = time.monotonic() + 20
    while metric(gateway, name) != value:
        assert time.monotonic() < deadline, f"{name} is {metric(gateway, name)}\n{gateway.log()}"
        time.sleep(0.02)
