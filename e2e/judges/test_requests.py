"""The simulator refuses what the vendors' published request types refuse, in the vendor's own shape.

The judges are in `published.py`. Where the simulator is stricter,
its reason must be one of those listed here: ranges, combinations, and fields that no type names.
"""

from __future__ import annotations

import http.client
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

from harness import strict
from harness.processes import Simulator
from judges import published, request_corpus
from judges.apis import APIS

SEED = 20261121

# Refusals that mean "the published types say otherwise": here both must agree.
BY_TYPE = {
    "openai": re.compile(r"^(Invalid type for|Missing required parameter|Invalid value: )"),
    "openai-responses": re.compile(r"^(Invalid type for|Missing required parameter|Invalid value: )"),
    "bedrock": re.compile(r"^1 validation error|can not be converted|extraneous key \[(?!thinking|top_k)|must set"),
    "gemini": re.compile(r"^Invalid (JSON payload|value at)"),
    "vertex": re.compile(r"^Invalid (JSON payload|value at)"),
    "openai-embeddings": re.compile(r"^(Invalid type for|Missing required parameter|Invalid value: )"),
    "anthropic-count": re.compile(r": (Field required|Input should be (?!(greater|less) than))"),
    "anthropic": re.compile(r": (Field required|Input should be (?!(greater|less) than))"),
}
# Where the API is known to be stricter than its published types.
STRICTER = {
    "openai": [re.compile(r"^Missing required parameter: 'response_format\.json_schema\.schema'")],
    "openai-responses": [
        # The types let every field be absent, since a stored prompt may have it.
        re.compile(r"^Missing required parameter: 'model'"),
    ],
    # The validator checks neither the most nor the patterns nor how many entries a map has, takes any text
    # for bytes, and truth for a number.
    "bedrock": [
        re.compile(r"less than or equal|regular expression|Member must be base64|enum value set|Extra inputs"),
        re.compile(r"^BOOLEAN_VALUE can not be converted to an? (integer|decimal)|at 'requestMetadata'"),
    ],
    # The parser in Python is more lenient than Google's servers: base64 may be any text, truth is a number,
    # an empty list an empty message, and a name of an enumeration a fraction.
    "gemini": [re.compile(r"Base64 decoding failed|\(TYPE_FLOAT\), true|\), \[\]$|v1beta\.\S+\), (-?\d+\.\d+|true)$")],
    "vertex": [re.compile(r"Base64 decoding failed")],
    "anthropic": [re.compile(r"input_schema\.\w*")],
    "anthropic-count": [re.compile(r"input_schema\.\w*")],
    "openai-embeddings": [],
}


class Bench:
    """Puts bodies to a simulated vendor, one after another on one connection."""

    def __init__(self, simulator: Simulator, api: str) -> None:
        self.api = APIS[api]
        self.connection = http.client.HTTPConnection(simulator.urls[self.api.vendor].removeprefix("http://"))

    def verdict(self, body: dict[str, Any]) -> str | None:
        """The reason to refuse, if it is refused; shape and status of the refusal are checked."""
        headers = {"content-type": "application/json", **self.api.headers(body)}
        self.connection.request("POST", self.api.target(body, False), json.dumps(body), headers)
        reply = self.connection.getresponse()
        payload = reply.read()
        if reply.status == 200:
            return None
        assert reply.status in (400, 404), (reply.status, payload)
        message: str = strict.error(self.api.vendor, payload, dict(reply.getheaders()))["message"]
        return message


def judge(simulator: Simulator, api: str, bodies: list[dict[str, Any]]) -> dict[str, int]:
    """Compares every verdict, and counts them."""
    bench = Bench(simulator, api)
    counts = {"both accept": 0, "both refuse": 0, "only the simulator refuses": 0}
    for body in bodies:
        reason = bench.verdict(body)
        if published.refuses(api, body):
            assert reason is not None, f"the published types refuse this, the simulator does not: {json.dumps(body)}"
            counts["both refuse"] += 1
        elif reason is None:
            counts["both accept"] += 1
        else:
            documented = any(pattern.search(reason) for pattern in STRICTER[api])
            by_type = BY_TYPE[api].search(reason) and not documented
            assert not by_type, f"the published types accept this: {reason}\n{json.dumps(body)}"
            counts["only the simulator refuses"] += 1
    return counts


def test_the_simulators_schemas_are_those_of_the_pinned_packages() -> None:
    # In a process of its own: what `typing` has cached before changes the order of alternatives.
    command = [sys.executable, "-m", "judges.published_schema"]
    done = subprocess.run(command, cwd=pathlib.Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("api", APIS)
def test_valid_bodies_are_accepted(simulator: Simulator, api: str) -> None:
    bench = Bench(simulator, api)
    for body in request_corpus.valid(api):
        assert not published.refuses(api, body), body
        assert bench.verdict(body) is None, body


@pytest.mark.parametrize("api", APIS)
def test_every_single_change_is_judged_alike(simulator: Simulator, api: str) -> None:
    bodies = [broken for body in request_corpus.valid(api) for broken in request_corpus.broken(body)]
    counts = judge(simulator, api, bodies)
    print(api, counts)
    few = api == "openai-embeddings"
    assert counts["both refuse"] > (50 if few else 900) and counts["both accept"] > (5 if few else 100)


@pytest.mark.parametrize("api", APIS)
def test_random_changes_are_judged_alike(simulator: Simulator, api: str) -> None:
    print(api, f"seed {SEED}", judge(simulator, api, list(request_corpus.shuffled(api, SEED, 1_000))))
