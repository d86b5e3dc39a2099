"""Rules, labels and what cannot fit, with the real SDK; and the same asked with `weighbridge route explain`."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from harness.processes import Gateway, Simulator, free_port
from harness.speakers import raw

ROUTES = """
[models.helper]
targets = ["anthropic/claude-haiku-4-5"]
aliases = ["helper-2024"]
rules = [
  { name = "closed", when = { tags = { env = "closed" } }, refuse = "Closed for now." },
  { name = "easy", when = { difficulty_below = 400 }, use = "small" },
]

[models.small]
targets = ["openai/gpt-4o-mini"]
"""

EASY = "What is the capital of Peru?"
HARD = "Prove that every bounded sequence has a convergent subsequence, and justify each step."


def asked(text: str, model: str = "helper-2024") -> dict[str, Any]:
    """A request of a few tokens."""
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}


def explained(gateway: Gateway, body: dict[str, Any], *arguments: str) -> tuple[int, dict[str, Any]]:
    """What `weighbridge route explain` says of a request, and its exit code."""
    done = gateway.command("route", "explain", "--json", *arguments, check=False, input=json.dumps(body))
    return done.returncode, json.loads(done.stdout)


def test_requests_go_where_they_are_said_to_go(own_gateway: Gateway, simulator: Simulator) -> None:
    gateway = own_gateway
    gateway.config.write_text(gateway.config.read_text() + ROUTES)
    gateway.start()
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.create_key(), max_retries=0)

    for text, target in [(EASY, "openai/gpt-4o-mini"), (HARD, "anthropic/claude-haiku-4-5")]:
        code, told = explained(gateway, asked(text))
        assert (code, [planned["target"] for planned in told["order"]]) == (0, [target]), told
        raw = client.chat.completions.with_raw_response.create(**asked(text))
        assert f"{raw.headers['x-gateway-provider']}/{raw.headers['x-gateway-model']}" == target

    closed = {"x-gateway-tags": "env=closed"}
    with pytest.raises(openai.PermissionDeniedError, match=r"Closed for now\."):
        client.chat.completions.create(**asked(EASY), extra_headers=closed)
    code, told = explained(gateway, asked(EASY), "--header", "x-gateway-tags: env=closed")
    assert (code, told["refused"]["message"]) == (3, "Closed for now.")

    # No provider of this gateway says where it is: what demands it is not served by any.
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(**asked(EASY), extra_headers={"x-gateway-require": "region=eu"})
    assert refused.value.code == "residency"
    code, told = explained(gateway, asked(EASY), "--header", "x-gateway-require: region=eu")
    assert (code, [over["reason"] for over in told["excluded"]]) == (3, ["residency"])

    # What certainly has no room is refused before anybody is asked.
    with pytest.raises(openai.BadRequestError) as misfit:
        client.chat.completions.create(**asked("Prove it. " * 130_000, model="openai/gpt-4o-mini"))
    assert misfit.value.code == "context_length_exceeded"


MANY = """
[models.many]
targets = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", { model = "gemini/gemini-2.5-flash-lite", weight = 2 }]
strategy = "STRATEGY"

[providers.anthropic.health]
cool_down = "60s"
"""
OPENAI, ANTHROPIC, GEMINI = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash-lite"


def administered(gateway: Gateway, strategy: str) -> str:
    """Serves a model `many`; the address of the admin API."""
    address = f"127.0.0.1:{free_port()}"
    server = f'[server]\nadmin_listen = "{address}"\nadmin_token = "e2e-admin-0123456789abcdef"'
    told = gateway.config.read_text().replace("[server]", server)
    gateway.config.write_text(told + MANY.replace("STRATEGY", strategy))
    gateway.start()
    return address


def lines(gateway: Gateway, body: dict[str, Any], *arguments: str) -> list[str]:
    """What `weighbridge route explain` says as text."""
    return gateway.command("route", "explain", *arguments, input=json.dumps(body)).stdout.splitlines()


def test_what_the_file_says_of_a_request_is_told_as_text(own_gateway: Gateway, simulator: Simulator) -> None:
    own_gateway.config.write_text(own_gateway.config.read_text() + ROUTES + MANY.replace("STRATEGY", "lowest-cost"))
    told = lines(own_gateway, asked(EASY, "many"), "--seed", "7")
    assert told[0] == "told by      the configuration, as of a gateway that has just started"
    assert told[1].startswith("asked for    many, a prompt of about ")
    assert "served as    many, lowest-cost, weighted-round-robin" in told
    [chosen] = [line for line in told if line.startswith("chosen by ")]
    assert ", of 3 candidates, seed " in chosen and chosen.endswith("7"), chosen
    scores = [line.split() for line in told if line.startswith("  score ")]
    assert {words[2] for words in scores} == {OPENAI, ANTHROPIC, GEMINI}, told
    costs = {words[2]: int(words[1]) for words in scores}
    # It says what it will do: the cheapest first, by the cost that each target is listed with.
    order = [words[1] for line in told if (words := line.split()) and words[0] in ("1", "2", "3")]
    assert order == sorted(costs, key=lambda target: costs[target]), told
    [standing] = [line for line in told if line.startswith(f"target       {GEMINI}: ")]
    assert "weight 2, about 0.0000" in standing and standing.endswith(" USD"), standing
    # Rules, and who is left out.
    told = lines(own_gateway, asked(HARD))
    assert any(line.startswith("rule         none of helper matches (difficulty ") for line in told), told
    refused = own_gateway.command(
        "route", "explain", "--header", "x-gateway-require: region=eu", check=False, input=json.dumps(asked(EASY))
    )
    assert refused.returncode == 3
    assert "left out     openai/gpt-4o-mini: residency" in refused.stdout.splitlines(), refused.stdout
    assert "refused      403: " in refused.stdout, refused.stdout
    assert not [line for vendor in simulator.urls for line in simulator.requests(vendor)], "nothing is sent"


def test_the_running_gateway_tells_what_it_has_seen_and_does_what_it_says(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    address = administered(own_gateway, "least-latency")
    body, key = asked(EASY, "many"), own_gateway.create_key()
    slow = [{"kind": "slow-head", "ms": 1_000, "per_ten_thousand": 10_000}]
    for vendor in ("openai", "google"):
        simulator.control(vendor, "mix", {"faults": slow})

    def went() -> str:
        reply = raw(own_gateway, key, "openai", body)
        assert (reply.status, reply.headers["x-gateway-attempts"]) == (200, "1"), reply.body
        return f"{reply.headers['x-gateway-provider']}/{reply.headers['x-gateway-model']}"

    # Each is tried once, to find out.
    assert {went() for _ in range(3)} == {OPENAI, ANTHROPIC, GEMINI}
    sent = {vendor: len(simulator.requests(vendor)) for vendor in simulator.urls}
    for _ in range(3):
        code, told = explained(own_gateway, body, "--admin", address)
        assert (code, told["told_by"], told["order"][0]["target"]) == (0, "running-gateway", ANTHROPIC), told
        assert told["choice"]["by"] == "least-latency" and told["choice"]["candidates"] == 3, told
        scores = {one["target"]: one["score"] for one in told["choice"]["scores"]}
        assert scores[ANTHROPIC] < 1_000_000 <= min(scores[OPENAI], scores[GEMINI]), told
        seen = {standing["target"]: standing["seen"] for standing in told["targets"]}
        assert {one["availability"] for one in seen.values()} == {"ready"}
        assert all(one["in_flight"] == 0 for one in seen.values())
        assert seen[ANTHROPIC]["latency_us"] < 1_000_000 <= seen[OPENAI]["latency_us"], told
        # OpenAI's answers tell of limits, Google's of none.
        assert seen[OPENAI]["headroom_millionths"] > 900_000 and "headroom_millionths" not in seen[GEMINI], told
    assert {vendor: len(simulator.requests(vendor)) for vendor in simulator.urls} == sent, "nothing is sent"
    # Of the file, nothing is known of that: whoever's turn it is.
    code, told = explained(own_gateway, body)
    assert (code, told["told_by"], told["order"][0]["target"]) == (0, "configuration", GEMINI), told
    assert {one["by"] for one in told["choice"]["scores"]} == {"weighted-round-robin"}, told
    assert not [standing for standing in told["targets"] if "seen" in standing], told
    assert went() == ANTHROPIC

    # Five failures in a row bench it, whoever asked.
    for _ in range(5):
        simulator.fail("anthropic", "status", code=500)
        reply = raw(own_gateway, key, "openai", {**body, "model": ANTHROPIC})
        assert reply.status == 502, reply.body
    text = lines(own_gateway, body, "--admin", address)
    assert text[0] == "told by      the running gateway, at this moment"
    [standing] = [line for line in text if line.startswith(f"target       {ANTHROPIC}: ")]
    assert ", benched for " in standing and ", 0 in flight, answers in " in standing, standing
    assert f"left out     {ANTHROPIC}: benched" in text, text
    assert [line for line in text if line.startswith("  score ")], text
    assert went() != ANTHROPIC


def test_whoever_has_no_admin_token_is_told_nothing(
    own_gateway: Gateway, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = administered(own_gateway, "random")
    monkeypatch.setenv("WEIGHBRIDGE_ADMIN_TOKEN", "e2e-another-0123456789abcdef")
    body = json.dumps(asked(EASY, "many"))
    done = own_gateway.command("route", "explain", "--admin", address, check=False, input=body)
    assert done.returncode == 1 and " answers 401: " in done.stderr and not done.stdout, (done.stdout, done.stderr)
    # The token is sent to this machine only.
    done = own_gateway.command("route", "explain", "--admin", "192.0.2.1:8081", check=False, input=body)
    assert done.returncode == 1 and "is no loopback address" in done.stderr, done.stderr


LABELLED = """
[providers.europe]
preset = "openai"
base_url = "{url}/v1"
api_keys = ["sk-simulated-europe"]
labels = {{ region = "eu" }}

[models.anywhere]
targets = ["openai/gpt-4o-mini"]
fallbacks = ["europe/gpt-4o-mini"]
"""


def test_keys_and_tenants_demand_where_their_requests_go(own_gateway: Gateway, simulator: Simulator) -> None:
    gateway = own_gateway
    labelled = LABELLED.format(url=simulator.urls["openai"])
    gateway.config.write_text(gateway.config.read_text() + labelled)
    gateway.start()

    def served_by(key: str) -> str:
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)
        try:
            raw = client.chat.completions.with_raw_response.create(**asked(EASY, "anywhere"))
        except openai.PermissionDeniedError as refused:
            assert refused.code == "residency"
            return "nobody"
        return raw.headers["x-gateway-provider"]

    def become(key: str, provider: str) -> None:
        deadline = time.monotonic() + 2
        while (served := served_by(key)) != provider:
            assert time.monotonic() < deadline, served
            time.sleep(0.05)

    plain, bound = gateway.create_key(name="plain"), gateway.create_key("--require", "region=eu", name="bound")
    assert (served_by(plain), served_by(bound)) == ("openai", "europe")
    twice = gateway.create_key("--require", "region=eu", "--require", "law=hipaa", name="twice")
    assert served_by(twice) == "nobody"
    team = gateway.create_key("--tenant", "acme/clinic", name="team")
    assert served_by(team) == "openai"
    # Running gateways hold to it within a second.
    gateway.command("tenants", "create", "acme", "--require", "region=eu")
    become(team, "europe")
    gateway.command("tenants", "create", "acme/clinic", "--require", "law=hipaa")
    become(team, "nobody")
    gateway.command("tenants", "update", "acme/clinic", "--require", "none")
    become(team, "europe")
    gateway.command("keys", "update", bound.split("-")[1], "--require", "none")
    become(bound, "openai")
    code, told = explained(gateway, asked(EASY, "anywhere"), "--key", team.split("-")[1])
    assert (code, [over["reason"] for over in told["excluded"]]) == (0, ["residency"]), told
    refused = gateway.command("keys", "create", "--name", "wrong", "--require", "region", check=False)
    assert refused.returncode != 0 and "name=value" in refused.stderr
    # It survives a restart.
    assert gateway.stop() == 0
    gateway.start()
    assert served_by(team) == "europe"
