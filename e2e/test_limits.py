"""Two gateways on one PostgreSQL and one Redis: one count of limits, also while Redis is away or has lost it."""

from __future__ import annotations

import pathlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from harness.metrics import wait_for
from harness.postgres import Postgres
from harness.processes import Gateway, Reply, Simulator, call
from harness.redis import Redis
from harness.speakers import MODELS, User, raw, speaker


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis().start()
    yield server
    server.close()


@pytest.fixture
def pair(postgres: Postgres, redis: Redis, simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[list[Gateway]]:
    """Two gateways that count together."""
    simulator.forget()
    storage = postgres.database()
    gateways = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        # A patience that a busy machine does not use up.
        shared = {"redis": redis.url, "redis_timeout": "1s"}
        gateway = Gateway(tmp_path / name, simulator, storage=storage, shared=shared)
        gateway.configure(simulator, {"metrics": "/metrics"})
        gateways.append(gateway.start())
    for gateway in gateways:
        wait_until(gateway, "shared")
        wait_for(gateway, "weighbridge_limits_fleet_instances", 2)
    yield gateways
    for gateway in gateways:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()


def wait_until(gateway: Gateway, state: str) -> None:
    wait_for(gateway, f'weighbridge_limits_fleet{{state="{state}"}}', 1)


def learn(gateway: Gateway, key: str) -> None:
    deadline = time.monotonic() + 2
    while call(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status == 401:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(gateway: Gateway, key: str) -> Reply:
    body = speaker("openai", gateway.url, key).body(MODELS["openai"], [User("hello")], limit=20)
    return raw(gateway, key, "openai", body)


def at_once(gateways: list[Gateway], key: str) -> list[Reply]:
    """Asks once for each gateway that is named, all at the same time."""
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda gateway=gateway: replies.append(ask(gateway, key))) for gateway in gateways
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_r8_requests_per_minute_are_shared(pair: list[Gateway]) -> None:
    key = pair[0].create_key("--rpm", "20", name="shared")
    learn(pair[1], key)
    begun = time.monotonic()
    replies = at_once(pair * 30, key)
    statuses = Counter(reply.status for reply in replies)
    # A rate refills while it is asked for: one every three seconds.
    most = 20 + 1 + int((time.monotonic() - begun) / 3)
    assert 20 <= statuses[200] <= most and statuses[200] + statuses[429] == 60, statuses
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.headers["x-gateway-limit-kind"] == "rpm" and int(refused.headers["retry-after"]) <= 60
    assert pair[0].stop() == 0 and pair[1].stop() == 0


def test_r8_places_are_shared_and_a_killed_instance_gives_its_back(pair: list[Gateway], simulator: Simulator) -> None:
    one, two = pair
    key = one.create_key("--concurrency", "3", name="places")
    learn(two, key)
    simulator.control("openai", "faults", {"faults": [{"kind": "stall-before-head"}] * 2})

    def hang() -> None:
        with pytest.raises(OSError):  # The connection ends with its gateway.
            ask(one, key)

    hanging = [threading.Thread(target=hang) for _ in range(2)]
    for thread in hanging:
        thread.start()
    deadline = time.monotonic() + 5
    while simulator.open_answers() < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    simulator.fail("openai", "slow-head", ms=3000)
    slow = threading.Thread(target=ask, args=(two, key))
    slow.start()
    while simulator.open_answers() < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refused = ask(two, key)
    assert refused.status == 429 and refused.headers["x-gateway-limit-kind"] == "concurrency"
    one.kill()
    for thread in [*hanging, slow]:
        thread.join()
    # Two of the three are a dead instance's until its lease is over.
    deadline = time.monotonic() + 15
    while True:
        slow_heads = [{"kind": "slow-head", "ms": 1000}] * 3
        simulator.control("openai", "faults", method="DELETE")
        simulator.control("openai", "faults", {"faults": slow_heads})
        statuses = Counter(reply.status for reply in at_once([two] * 3, key))
        simulator.control("openai", "faults", method="DELETE")
        if statuses[200] == 3:
            break
        assert time.monotonic() < deadline, statuses
    assert two.stop() == 0


def test_c5_redis_is_killed_and_comes_back(pair: list[Gateway], redis: Redis) -> None:
    key = pair[0].create_key("--rpm", "20", name="shares")
    learn(pair[1], key)
    redis.kill()
    for gateway in pair:
        wait_until(gateway, "local")
        begun = time.monotonic()
        statuses = Counter(ask(gateway, key).status for _ in range(15))
        assert 10 <= statuses[200] <= 10 + 1 + int((time.monotonic() - begun) / 3), "half of it"
        assert statuses[200] + statuses[429] == 15
    begun = time.monotonic()
    redis.start()
    for gateway in pair:
        wait_until(gateway, "shared")
    admitted = Counter(reply.status for reply in at_once(pair * 10, key))[200]
    assert admitted <= 2 + int((time.monotonic() - begun) / 3), "all of it was used meanwhile"
    assert "redis" in pair[0].log().lower()
    assert pair[0].stop() == 0 and pair[1].stop() == 0


def test_c5_a_flushed_redis_gives_no_fresh_minute(pair: list[Gateway], redis: Redis) -> None:
    key = pair[0].create_key("--rpm", "20", name="flushed")
    learn(pair[1], key)
    begun = time.monotonic()
    admitted = Counter(reply.status for reply in at_once(pair * 10, key))[200]
    assert admitted >= 20
    redis.say("FLUSHALL")
    while time.monotonic() - begun < 6:
        admitted += Counter(reply.status for reply in at_once(pair, key))[200]
        assert admitted <= 20 + 2 + 2 * int((time.monotonic() - begun) / 3 + 1), "a fresh minute"
        time.sleep(0.1)
    for gateway in pair:
        wait_until(gateway, "shared")
    assert pair[0].stop() == 0 and pair[1].stop() == 0


def test_c5_a_frozen_redis_stops_nobody(pair: list[Gateway], redis: Redis) -> None:
    key = pair[0].create_key("--rpm", "600", name="frozen")
    redis.freeze()
    begun = time.monotonic()
    assert ask(pair[0], key).status == 200
    assert time.monotonic() - begun < 3
    wait_until(pair[0], "local")
    begun = time.monotonic()
    for _ in range(10):
        assert ask(pair[0], key).status == 200
    assert time.monotonic() - begun < 3
    redis.thaw()
    wait_until(pair[0], "shared")
    assert ask(pair[0], key).status == 200
    assert pair[0].stop() == 0 and pair[1].stop() == 0
