"""The simulator refuses what the vendors' published request types refuse, in the vendor's own shape.

The judge is pydantic over the `TypedDict`s that the SDK packages ship. Where the simulator is stricter,
its reason must be one of those listed here: ranges, combinations, and fields that no type names.
"""

from __future__ import annotations

import functools
import http.client
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import pydantic_core
import pytest

from harness import strict
from harness.processes import Simulator
from judges import published_schema, request_corpus

VENDORS = published_schema.VENDORS
SEED = 20261121

# Refusals that mean "the published types say otherwise": here both must agree.
BY_TYPE = {
    "openai": re.compile(r"^(Invalid type for|Missing required parameter|Invalid value: )"),
    "anthropic": re.compile(r": (Field required|Input should be (?!(greater|less) than))"),
}
# Where the API is known to be stricter than its published types.
STRICTER = {
    "openai": [re.compile(r"^Missing required parameter: 'response_format\.json_schema\.schema'")],
    "anthropic": [
        re.compile(r"input_schema\.\w*"),
        # Fields that the package no longer names; see published_schema.AMENDMENTS.
        re.compile(r"^(temperature|top_p|top_k): "),
    ],
}


@functools.cache
def published(vendor: str) -> pydantic_core.SchemaValidator:
    return published_schema.validator(vendor)


def refused_by_types(vendor: str, body: dict[str, Any]) -> bool:
    try:
        published(vendor).validate_json(json.dumps(body), strict=True)
    except pydantic_core.ValidationError:
        return True
    return False


class Bench:
    """Puts bodies to a simulated vendor, one after another on one connection."""

    def __init__(self, simulator: Simulator, vendor: str) -> None:
        self.vendor = vendor
        self.connection = http.client.HTTPConnection(simulator.urls[vendor].removeprefix("http://"))

    def verdict(self, body: dict[str, Any]) -> str | None:
        """The reason to refuse, if it is refused; shape and status of the refusal are checked."""
        path, headers = {
            "openai": ("/v1/chat/completions", {"authorization": "Bearer sk-1"}),
            "anthropic": (
                "/v1/messages",
                {"x-api-key": "sk-ant-1", "anthropic-version": request_corpus.api_version(body)},
            ),
        }[self.vendor]
        self.connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
        reply = self.connection.getresponse()
        payload = reply.read()
        if reply.status == 200:
            return None
        assert reply.status in (400, 404), (reply.status, payload)
        message: str = strict.error(self.vendor, payload)["message"]
        return message


def judge(simulator: Simulator, vendor: str, bodies: list[dict[str, Any]]) -> dict[str, int]:
    """Compares every verdict, and counts them."""
    bench = Bench(simulator, vendor)
    counts = {"both accept": 0, "both refuse": 0, "only the simulator refuses": 0}
    for body in bodies:
        reason = bench.verdict(body)
        if refused_by_types(vendor, body):
            assert reason is not None, f"the published types refuse this, the simulator does not: {json.dumps(body)}"
            counts["both refuse"] += 1
        elif reason is None:
            counts["both accept"] += 1
        else:
            documented = any(pattern.search(reason) for pattern in STRICTER[vendor])
            by_type = BY_TYPE[vendor].search(reason) and not documented
            assert not by_type, f"the published types accept this: {reason}\n{json.dumps(body)}"
            counts["only the simulator refuses"] += 1
    return counts


def test_the_simulators_schemas_are_those_of_the_pinned_packages() -> None:
    # In a process of its own: what `typing` has cached before changes the order of alternatives.
    command = [sys.executable, "-m", "judges.published_schema"]
    done = subprocess.run(command, cwd=pathlib.Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("vendor", VENDORS)
def test_valid_bodies_are_accepted(simulator: Simulator, vendor: str) -> None:
    bench = Bench(simulator, vendor)
    for body in request_corpus.valid(vendor):
        assert not refused_by_types(vendor, body), body
        assert bench.verdict(body) is None, body


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_single_change_is_judged_alike(simulator: Simulator, vendor: str) -> None:
    bodies = [broken for body in request_corpus.valid(vendor) for broken in request_corpus.broken(body)]
    counts = judge(simulator, vendor, bodies)
    print(vendor, counts)
    assert counts["both refuse"] > 1_000 and counts["both accept"] > 100


@pytest.mark.parametrize("vendor", VENDORS)
def test_random_changes_are_judged_alike(simulator: Simulator, vendor: str) -> None:
    print(vendor, f"seed {SEED}", judge(simulator, vendor, list(request_corpus.shuffled(vendor, SEED, 1_000))))
