"""A binary that was built with the feature `failpoints`, and dies where a test says."""

from __future__ import annotations

import os
import pathlib
import re
import signal

import pytest

from harness.processes import REPOSITORY, Gateway

VARIABLE = "WEIGHBRIDGE_FAILPOINT"
SOURCE = REPOSITORY / "crates/units/src/failpoint.rs"


def names() -> list[str]:
    """Every failpoint that there is, as the source declares them."""
    return re.findall(r'^    \w+ = "([a-z.-]+)",$', SOURCE.read_text(), re.MULTILINE)


def program() -> pathlib.Path:
    """The binary; without it a test is skipped, or fails where it is required."""
    if named := os.environ.get("WEIGHBRIDGE_FAILPOINTS_BIN"):
        return pathlib.Path(named)
    why = "WEIGHBRIDGE_FAILPOINTS_BIN names no binary built with `cargo build -p weighbridge --features failpoints`"
    if os.environ.get("CI") == "true" or os.environ.get("WEIGHBRIDGE_REQUIRE_FAILPOINTS") == "1":
        pytest.fail(why)
    pytest.skip(why)


def armed(said: str) -> dict[str, str]:
    """An environment in which this happens, as `gateway-bin/src/failpoints.rs` reads it."""
    return {**os.environ, VARIABLE: said}


def assert_died(gateway: Gateway, name: str, seconds: float = 20) -> None:
    """It has killed itself at that place, within so long."""
    assert gateway.process
    status = gateway.process.wait(timeout=seconds)
    assert status == -signal.SIGKILL and f"failpoint {name}" in gateway.log(), f"{status}\n{gateway.log()}"
