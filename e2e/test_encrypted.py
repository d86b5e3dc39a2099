"""The stores over TLS: who is trusted is spoken to by nothing else, and who is not is refused in words that help."""

from __future__ import annotations

import pathlib
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from harness import books
from harness.metrics import metric, wait_for
from harness.postgres import Postgres
from harness.processes import REPOSITORY, TLS, Gateway, Reply, Simulator, call
from harness.redis import Redis
from harness.speakers import MODELS, User, raw, speaker

OURS = TLS / "ca.pem"
# A certificate that has signed nothing of what is spoken to here.
ANOTHER = REPOSITORY / "crates/upstream/tests/loopback/credentials/keys/rsa.pem"
PASSWORD = "canary-password-0123456789"

# How many connections of the gateways there are, and whether all of them are encrypted.
CONNECTIONS = (
    "SELECT count(*), bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
    " WHERE application_name = 'weighbridge' AND datname = '{}'"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server that nobody reaches over TCP who does not encrypt."""
    server = Postgres(tls=True)
    yield server
    server.close()


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A server that speaks nothing but TLS."""
    server = Redis(tls=True).start()
    yield server
    server.close()


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    """Those that a test starts; they end with it."""
    started: list[Gateway] = []
    yield started
    for gateway in started:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()


def ask(gateway: Gateway, key: str) -> Reply:
    body = speaker("openai", gateway.url, key).body(MODELS["openai"], [User("hello")], limit=20)
    return raw(gateway, key, "openai", body)


def refused(gateway: Gateway) -> str:
    """What a gateway says that does not come up."""
    process = gateway.launch().process
    assert process and process.wait(timeout=30) != 0
    assert PASSWORD not in gateway.log()
    return gateway.log()


def test_the_books_are_kept_over_verified_connections_alone(
    postgres: Postgres, simulator: Simulator, tmp_path: pathlib.Path, gateways: list[Gateway]
) -> None:
    simulator.forget()
    (tmp_path / "own roots").mkdir()
    root = tmp_path / "own roots" / "ca.pem"
    root.write_text(OURS.read_text())
    storage = postgres.encrypted_database(PASSWORD, sslmode="verify-full", sslrootcert=root)
    gateway = Gateway(tmp_path, simulator, storage=storage)
    gateways.append(gateway)
    gateway.start()
    key = gateway.create_key("--budget-usd-per-month", "1")
    assert [ask(gateway, key).status for _ in range(5)] == [200] * 5
    assert len(books.assert_equal(gateway, simulator)) == 5
    name = storage.split("/")[3].split("?")[0]
    count, all_encrypted = postgres.sql("postgres", CONNECTIONS.format(name)).split("|")
    assert int(count) > 1 and all_encrypted == "t"
    assert gateway.stop() == 0
    assert PASSWORD not in gateway.log()


@pytest.mark.parametrize(
    ("host", "mode", "root", "why", "advice"),
    [
        ("127.0.0.1", "verify-full", ANOTHER, "UnknownIssuer", "sslrootcert=FILE"),
        ("127.0.0.1", "verify-full", None, "UnknownIssuer", "sslrootcert=FILE"),
        ("127.0.0.1", "prefer", ANOTHER, "UnknownIssuer", "sslrootcert=FILE"),
        ("127.0.0.2", "verify-full", OURS, "not valid for name", "by a name that stands in its certificate"),
    ],
    ids=["another authority", "the usual authorities", "preferred", "another name"],
)
def test_a_database_that_is_not_trusted_keeps_the_gateway_from_starting(
    postgres: Postgres,
    simulator: Simulator,
    tmp_path: pathlib.Path,
    host: str,
    mode: str,
    root: pathlib.Path | None,
    why: str,
    advice: str,
) -> None:
    trusted = {"sslrootcert": root} if root else {}
    storage = postgres.encrypted_database(PASSWORD, host, sslmode=mode, **trusted)
    gateway = Gateway(tmp_path, simulator, storage=storage)
    said = refused(gateway)
    assert why in said and advice in said, said
    # Nor does a command ask it.
    done = gateway.command("keys", "list", check=False)
    assert done.returncode != 0 and advice in done.stderr and PASSWORD not in done.stdout + done.stderr, done


def test_a_database_that_does_not_encrypt_is_told_nothing(simulator: Simulator, tmp_path: pathlib.Path) -> None:
    server = Redis().start()  # Whoever answers, and knows of no TLS.
    try:
        storage = f"postgres://weighbridge:{PASSWORD}@127.0.0.1:{server.port}/x?sslmode=verify-full&sslrootcert={OURS}"
        refused(Gateway(tmp_path, simulator, storage=storage))
    finally:
        server.close()


def counting(folder: pathlib.Path, simulator: Simulator, storage: str, shared: dict[str, str]) -> Gateway:
    folder.mkdir()
    # A patience that a busy machine does not use up.
    gateway = Gateway(folder, simulator, storage=storage, shared={"redis_timeout": "2s", **shared})
    gateway.configure(simulator, {"metrics": "/metrics"})
    return gateway


def test_limits_are_counted_together_over_tls_alone(
    postgres: Postgres, redis: Redis, simulator: Simulator, tmp_path: pathlib.Path, gateways: list[Gateway]
) -> None:
    storage = postgres.encrypted_database(PASSWORD, sslmode="verify-full", sslrootcert=OURS)
    for name in ("one", "two"):
        shared = {"redis": redis.url, "redis_ca": str(OURS)}
        gateways.append(counting(tmp_path / name, simulator, storage, shared))
        gateways[-1].start()
    for gateway in gateways:
        wait_for(gateway, 'weighbridge_limits_fleet{state="shared"}', 1)
        wait_for(gateway, "weighbridge_limits_fleet_instances", 2)
    one, two = gateways
    key = one.create_key("--rpm", "6")
    while call(f"{two.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status == 401:
        time.sleep(0.02)
    begun = time.monotonic()
    statuses = Counter(ask(gateway, key).status for gateway in gateways * 8)
    # A rate refills while it is asked for: one every ten seconds.
    assert 6 <= statuses[200] <= 7 + int((time.monotonic() - begun) / 10), statuses
    assert statuses[200] + statuses[429] == 16
    assert one.stop() == 0 and two.stop() == 0


@pytest.mark.parametrize("trusted", [{"redis_ca": str(ANOTHER)}, {}], ids=["another authority", "the usual ones"])
def test_a_redis_that_is_not_trusted_is_not_asked_and_the_log_says_so(
    redis: Redis, simulator: Simulator, tmp_path: pathlib.Path, gateways: list[Gateway], trusted: dict[str, str]
) -> None:
    url = redis.url.replace("127.0.0.1", f":{PASSWORD}@127.0.0.1")
    gateway = counting(tmp_path / "one", simulator, f"sqlite:{tmp_path}/own.db", {"redis": url, **trusted})
    gateways.append(gateway)
    gateway.start()
    deadline = time.monotonic() + 10
    while "UnknownIssuer" not in gateway.log():
        assert time.monotonic() < deadline, gateway.log()
        time.sleep(0.02)
    assert "give the authority's own as `redis_ca`" in gateway.log()
    assert metric(gateway, 'weighbridge_limits_fleet{state="shared"}') == 0
    # Limits hold by its own count.
    key = gateway.create_key("--rpm", "2")
    assert [ask(gateway, key).status for _ in range(3)] == [200, 200, 429]
    assert gateway.stop() == 0
    assert PASSWORD not in gateway.log()


def test_authorities_that_cannot_be_read_keep_the_gateway_from_starting(
    simulator: Simulator, tmp_path: pathlib.Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for number, path in enumerate((empty, tmp_path / "missing.pem")):
        storage = f"postgres://weighbridge:{PASSWORD}@127.0.0.1:1/x?sslmode=verify-full&sslrootcert={path}"
        folder = tmp_path / f"database-{number}"
        folder.mkdir()
        assert str(path) in refused(Gateway(folder, simulator, storage=storage))
        shared = {"redis": f"rediss://:{PASSWORD}@127.0.0.1:1", "redis_ca": str(path)}
        gateway = counting(tmp_path / f"limits-{number}", simulator, f"sqlite:{tmp_path}/own.db", shared)
        assert "certificates for Redis" in (said := refused(gateway)) or str(path) in said
