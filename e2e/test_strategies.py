"""Each strategy sends requests where it says, over the wire, in a way that another one would not."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from typing import Any

from harness.processes import Gateway, Simulator
from harness.speakers import raw

OPENAI, ANTHROPIC, GEMINI = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash-lite"


def start(gateway: Gateway, strategy: str, targets: list[str], more: str = "") -> str:
    """Serves a model `many` with that strategy; a key."""
    listed = ", ".join(target if target.startswith("{") else f'"{target}"' for target in targets)
    model = f"\n[models.many]\nstrategy = {strategy}\ntargets = [{listed}]\n{more}"
    gateway.config.write_text(gateway.config.read_text() + model)
    gateway.start()
    return gateway.create_key()


def conversation(topic: str, turns: int = 1) -> list[dict[str, str]]:
    """So many turns about something."""
    messages = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": f"echo:{topic}"}]
    for turn in range(1, turns):
        messages += [{"role": "assistant", "content": f"{topic}, {turn}"}, {"role": "user", "content": f"echo:{turn}"}]
    return messages


def went(gateway: Gateway, key: str, messages: list[dict[str, str]] | None = None, **fields: Any) -> str:
    """Where a request went: `provider/model`."""
    body = {"model": "many", "max_tokens": 50, "messages": messages or conversation("hello"), **fields}
    reply = raw(gateway, key, "openai", body)
    assert reply.status == 200, reply.body
    assert reply.headers["x-gateway-attempts"] == "1", reply.headers
    return f"{reply.headers['x-gateway-provider']}/{reply.headers['x-gateway-model']}"


def slow(simulator: Simulator, vendor: str, millis: int) -> None:
    """From now on all heads of a vendor come so late; with 0 at once."""
    fault = {"kind": "slow-head", "ms": millis, "per_ten_thousand": 10_000}
    simulator.control(vendor, "mix", {"faults": [fault] if millis else []})


def test_weighted_round_robin_gives_exact_shares(own_gateway: Gateway) -> None:
    heavy = f'{{ model = "{OPENAI}", weight = 3 }}'
    key = start(own_gateway, '"weighted-round-robin"', [heavy, ANTHROPIC])
    shares = Counter(went(own_gateway, key) for _ in range(12))
    assert shares == {OPENAI: 9, ANTHROPIC: 3}


def test_random_gives_shares_that_follow_no_rhythm(own_gateway: Gateway) -> None:
    key = start(own_gateway, '"random"', [OPENAI, ANTHROPIC])
    sequence = [went(own_gateway, key) for _ in range(60)]
    # Fewer than ten of sixty, or strict turns, would happen once in many millions of runs.
    assert min(Counter(sequence).values()) >= 10, sequence
    assert any(one == next_one for one, next_one in zip(sequence, sequence[1:], strict=False))


def test_least_latency_moves_away_from_who_is_slow(own_gateway: Gateway, simulator: Simulator) -> None:
    slow(simulator, "anthropic", 250)
    key = start(own_gateway, '"least-latency"', [OPENAI, ANTHROPIC])
    first = [went(own_gateway, key) for _ in range(6)]
    assert Counter(first)[ANTHROPIC] == 1, f"asked once, to find out: {first}"
    # The other one becomes slower still: once its median has turned, the first is asked again.
    slow(simulator, "openai", 900)
    then = []
    while ANTHROPIC not in then:
        then.append(went(own_gateway, key))
        assert len(then) < 12, then
    slow(simulator, "anthropic", 0)
    assert [went(own_gateway, key) for _ in range(6)] == [ANTHROPIC] * 6


def test_least_busy_spares_who_has_something_to_do(own_gateway: Gateway, simulator: Simulator) -> None:
    slow(simulator, "anthropic", 3_000)
    key = start(own_gateway, '"least-busy"', [OPENAI, ANTHROPIC])
    with concurrent.futures.ThreadPoolExecutor(12) as clients:
        asked = []
        for _ in range(12):
            asked.append(clients.submit(went, own_gateway, key))
            time.sleep(0.1)
        shares = Counter(future.result() for future in asked)
    # In turns it would have been six each.
    assert shares[ANTHROPIC] <= 2, shares


def test_lowest_cost_takes_the_cheapest_wherever_it_stands(own_gateway: Gateway) -> None:
    key = start(own_gateway, '"lowest-cost"', [ANTHROPIC, OPENAI, "openai/gpt-4o"])
    assert {went(own_gateway, key) for _ in range(6)} == {OPENAI}


def test_headroom_takes_who_says_that_much_is_left(own_gateway: Gateway) -> None:
    # OpenAI's answers tell of limits that are hardly used; Google's tell nothing, which counts as half used.
    key = start(own_gateway, '"headroom"', [GEMINI, OPENAI])
    sequence = [went(own_gateway, key) for _ in range(10)]
    first = sequence.index(OPENAI)
    assert first <= 1, sequence
    assert set(sequence[first:]) == {OPENAI}, sequence


def test_sticky_keeps_conversations_together_over_a_restart(own_gateway: Gateway) -> None:
    key = start(own_gateway, '"sticky"', [OPENAI, ANTHROPIC, GEMINI])
    places = {}
    for topic in range(12):
        turns = {went(own_gateway, key, conversation(f"topic {topic}", turns)) for turns in range(1, 4)}
        assert len(turns) == 1, f"topic {topic}: {turns}"
        [places[topic]] = turns
    assert len(set(places.values())) > 1, "different conversations go apart"
    assert own_gateway.stop() == 0
    own_gateway.start()
    assert {topic: went(own_gateway, key, conversation(f"topic {topic}", 4)) for topic in range(12)} == places


def test_sticky_keeps_conversations_to_a_credential_while_it_is_accepted(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    told = own_gateway.config.read_text()
    own_gateway.config.write_text(
        told.replace('["sk-simulated-openai"]', '["sk-sticky-one", "sk-sticky-two", "sk-sticky-three"]')
    )
    key = start(own_gateway, '"sticky"', [OPENAI])

    def credential(topic: int, turns: int) -> str:
        assert went(own_gateway, key, conversation(f"topic {topic}", turns)) == OPENAI
        return str(simulator.requests("openai")[-1]["headers"]["authorization"])

    places = {}
    for topic in range(12):
        used = {credential(topic, turns) for turns in range(1, 4)}
        assert len(used) == 1, f"topic {topic}: {used}"
        [places[topic]] = used
    assert len(set(places.values())) > 1, "different conversations go apart"
    assert own_gateway.stop() == 0
    own_gateway.start()
    assert {topic: credential(topic, 4) for topic in range(12)} == places

    # A credential that is refused rests for ten seconds: its own conversations move, and nobody else's.
    refused = places[0]
    simulator.fail("openai", "status", code=401)
    reply = raw(own_gateway, key, "openai", {"model": "many", "messages": conversation("topic 0", 5)})
    assert (reply.status, reply.headers["x-gateway-attempts"]) == (200, "2"), reply.body
    moved = {topic: credential(topic, 5) for topic in range(12)}
    assert refused not in moved.values()
    assert {topic: it for topic, it in moved.items() if places[topic] != refused} == {
        topic: it for topic, it in places.items() if it != refused
    }


def test_split_gives_each_caller_one_side_by_a_stable_hash(own_gateway: Gateway) -> None:
    small = f'{{ model = "{ANTHROPIC}", weight = 1 }}'
    key = start(own_gateway, '"split"', [f'{{ model = "{OPENAI}", weight = 3 }}', small], 'affinity = "user"')

    def sides() -> dict[str, str]:
        return {user: went(own_gateway, key, user=user) for user in (f"user-{number}" for number in range(80))}

    first = sides()
    shares = Counter(first.values())
    # A quarter of eighty is twenty; eight is more than three standard deviations away.
    assert 8 <= shares[ANTHROPIC] <= 34, shares
    assert own_gateway.stop() == 0
    own_gateway.start()
    assert sides() == first
