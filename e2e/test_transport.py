"""Over TLS and HTTP/2, as real providers speak: what goes wrong there, and what client, ledger and metrics say."""

from __future__ import annotations

import concurrent.futures
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness import books, metrics, strict
from harness.processes import TLS, Gateway, Reply, Simulator, free_port
from harness.speakers import SPEAKERS, User, raw, speaker

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
# Providers that no request reaches.
UNREACHABLE = ("outage", "nowhere", "untrusted")


class SecureGateway(Gateway):
    """In front of providers that speak TLS; with `openai` and `anthropic` it speaks HTTP/2 and nothing else."""

    def _configuration(self, simulator: Simulator, timeouts: dict[str, str], server: dict[str, str]) -> str:
        openai = simulator.urls["openai"].replace("127.0.0.1", "localhost")
        trusted = f'ca = "{TLS}/ca.pem"\nhttp = "2"'
        addresses = {
            "openai": (f"{openai}/v1", trusted),
            # Nobody listens there.
            "outage": (f"https://localhost:{free_port()}/v1", trusted),
            # The name is reserved for having no address.
            "nowhere": ("https://provider.invalid/v1", trusted),
            # The same server by another name: its certificate is by nobody whom this one trusts.
            "untrusted": (f"{simulator.urls['openai']}/v1", 'http = "2"'),
        }
        providers = "".join(
            f"""
[providers.{name}]
preset = "openai"
base_url = "{url}"
api_keys = ["sk-simulated-{name}-1", "sk-simulated-{name}-2"]
timeouts = {{ connect = "2s", first_byte = "700ms", idle = "700ms", total = "20s" }}
{trust}

[models.over-{name}]
targets = ["{name}/gpt-4o-mini"]
fallbacks = ["anthropic/claude-haiku-4-5"]
"""
            for name, (url, trust) in addresses.items()
        )
        return f"""
[server]
listen = "127.0.0.1:{self.port}"
key_pepper = "e2e-pepper-0123456789abcdef0123456789abcdef"
metrics = "/metrics"

[storage]
url = "{self.storage}"

[providers.anthropic]
base_url = "{simulator.urls["anthropic"]}"
api_keys = ["sk-ant-simulated"]
{trusted}
{providers}
[log]
requests = false
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Simulated providers that speak TLS, and HTTP/2 with whoever prefers it."""
    running = Simulator(tls=True)
    yield running
    running.close()


@pytest.fixture
def secure(simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[SecureGateway]:
    """A gateway of the test's own. Whatever was asked of it, nothing stays reserved, and books and chains hold."""
    simulator.forget()
    gateway = SecureGateway(tmp_path, simulator)
    gateway.start()
    yield gateway
    books.assert_equal(gateway, simulator)
    books.assert_nothing_pending(gateway)
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture
def key(secure: SecureGateway) -> str:
    """A key without limits."""
    return secure.create_key()


def ask(gateway: Gateway, key: str, model: str, text: str = "echo:still here", stream: bool = False) -> Reply:
    """A question in Chat Completions."""
    body = speaker("openai", gateway.url, key).body(model, [User(text)])
    return raw(gateway, key, "openai", {**body, "stream": stream})


def assert_answered(reply: Reply, stream: bool, provider: str, attempts: int) -> None:
    """A strict answer, and who gave it after how many attempts."""
    assert reply.status == 200, reply.body
    if stream:
        chunks = strict.chat_stream(reply.body)
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    else:
        text = strict.chat_completion(reply.body).choices[0].message.content
    assert text == "still here"
    told = (reply.headers["x-gateway-provider"], reply.headers["x-gateway-attempts"])
    assert told == (provider, str(attempts))


def attempts(gateway: Gateway) -> dict[tuple[str, str], int]:
    """What the metrics say: attempts by provider and outcome."""
    counted: dict[tuple[str, str], int] = {}
    for line in metrics.lines(gateway):
        if line.startswith("weighbridge_attempts_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            counted[labels["provider"], labels["outcome"]] = int(float(line.rsplit(" ", 1)[1]))
    return counted


def assert_free(entry: dict[str, Any], outcome: str) -> None:
    """An attempt that failed like this, for which nobody pays."""
    assert entry["outcome"] == outcome, entry
    assert books.nano_usd(entry["charged_usd"]) == 0


@STREAMED
@pytest.mark.parametrize("provider", UNREACHABLE)
def test_who_cannot_be_reached_costs_nothing_and_the_next_one_answers(
    secure: SecureGateway, simulator: Simulator, key: str, provider: str, stream: bool
) -> None:
    begun = time.monotonic()
    reply = ask(secure, key, f"over-{provider}", stream=stream)
    assert time.monotonic() - begun < 2
    assert_answered(reply, stream, "anthropic", 2)
    failed, answered = books.assert_equal(secure, simulator)
    assert_free(failed, "failed-before-output")
    assert books.nano_usd(failed["cost_usd"]) == 0
    assert answered["outcome"] == "success"
    assert attempts(secure) == {(provider, "failed-before-output"): 1, ("anthropic", "success"): 1}
    # Not a byte of it, not even behind a certificate that nobody has checked.
    assert not simulator.requests("openai")


@pytest.mark.parametrize("provider", UNREACHABLE)
def test_alone_who_cannot_be_reached_is_a_bad_gateway(
    secure: SecureGateway, simulator: Simulator, key: str, provider: str
) -> None:
    reply = ask(secure, key, f"{provider}/gpt-4o-mini")
    assert reply.status == 502, reply.body
    strict.error("openai", reply.body)
    # What is wrong is the operator's to know, not the client's.
    assert b"localhost" not in reply.body and b"certificate" not in reply.body
    for entry in books.assert_equal(secure, simulator):
        assert_free(entry, "failed-before-output")


@pytest.mark.parametrize(("kind", "stream"), [("reset", False), ("reset", True), ("cut-body", False)])
def test_a_stream_that_breaks_before_the_answer_is_tried_elsewhere(
    secure: SecureGateway, simulator: Simulator, key: str, kind: str, stream: bool
) -> None:
    simulator.fail("openai", kind)
    assert_answered(ask(secure, key, "over-openai", stream=stream), stream, "anthropic", 2)
    failed, _ = books.assert_equal(secure, simulator)
    assert failed["outcome"] != "success" and books.nano_usd(failed["charged_usd"]) == 0


def test_a_revoked_key_gives_way_to_the_next(secure: SecureGateway, simulator: Simulator, key: str) -> None:
    simulator.fail("openai", "status", code=401)
    assert_answered(ask(secure, key, "over-openai"), False, "openai", 2)
    used = {request["headers"]["authorization"] for request in simulator.requests("openai")}
    assert len(used) == 2, "the other key is tried"
    # The key is benched, and not the target.
    assert_answered(ask(secure, key, "over-openai"), False, "openai", 1)
    failed, *answered = books.assert_equal(secure, simulator)
    assert_free(failed, "failed-before-output")
    assert [entry["outcome"] for entry in answered] == ["success"] * 2
    assert attempts(secure) == {("openai", "failed-before-output"): 1, ("openai", "success"): 2}


def test_all_keys_revoked_is_the_gateways_failure_and_not_the_clients(
    secure: SecureGateway, simulator: Simulator, key: str
) -> None:
    simulator.fail("openai", "status", code=401, times=2)
    reply = ask(secure, key, "openai/gpt-4o-mini")
    assert reply.status == 502, reply.body
    strict.error("openai", reply.body)
    assert b"sk-simulated" not in reply.body
    for entry in books.assert_equal(secure, simulator):
        assert_free(entry, "failed-before-output")


def test_a_storm_of_429(secure: SecureGateway, simulator: Simulator, key: str) -> None:
    simulator.fail("openai", "status", code=429, retry_after=30, times=100)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask(secure, key, "over-openai"), range(40)))
    for reply in replies:
        assert_answered(reply, False, "anthropic", int(reply.headers["x-gateway-attempts"]))
    # Who asked to be left alone is: only those that were under way have met it, once with each key.
    refused = attempts(secure)["openai", "failed-before-output"]
    assert refused <= 16, refused
    found = books.assert_equal(secure, simulator)
    assert [entry["outcome"] for entry in found].count("success") == 40
    # Alone, it is the provider's limit that the client meets, with its time.
    reply = ask(secure, key, "openai/gpt-4o-mini")
    assert reply.status == 429, reply.body
    assert reply.headers["x-gateway-limit-kind"] == "upstream"
    assert 0 < int(reply.headers["retry-after"]) <= 30


@STREAMED
@pytest.mark.parametrize("fault", [{"kind": "slow-head", "ms": 3000}, {"kind": "stall-before-head"}])
def test_a_slow_first_byte(
    secure: SecureGateway, simulator: Simulator, key: str, fault: dict[str, Any], stream: bool
) -> None:
    simulator.fail("openai", **fault)
    begun = time.monotonic()
    assert_answered(ask(secure, key, "over-openai", stream=stream), stream, "anthropic", 2)
    # The limit, and little more: the stream is reset and the next target asked at once.
    assert 0.7 <= time.monotonic() - begun < 2
    failed, answered = books.assert_equal(secure, simulator)
    assert_free(failed, "timed-out")
    assert failed["provenance"] == "estimated" and books.nano_usd(failed["cost_usd"]) > 0
    assert answered["outcome"] == "success"
    assert attempts(secure) == {("openai", "timed-out"): 1, ("anthropic", "success"): 1}


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("stall-mid-stream", "timed-out"),
        ("reset-mid-stream", "failed-mid-stream"),
        ("cut-mid-stream", "failed-mid-stream"),
    ],
)
def test_what_breaks_in_mid_stream_ends_with_an_error_and_is_not_tried_again(
    secure: SecureGateway, simulator: Simulator, key: str, kind: str, outcome: str
) -> None:
    simulator.fail("openai", kind, after_frames=20)
    reply = ask(secure, key, "over-openai", "words:200 pace:2", stream=True)
    assert reply.status == 200 and b"word" in reply.body
    assert b"[DONE]" not in reply.body and b'"finish_reason":"stop"' not in reply.body
    strict.error("openai", list(strict.events(reply.body))[-1][1])
    [entry] = books.assert_equal(secure, simulator)
    assert_free(entry, outcome)
    assert attempts(secure) == {("openai", outcome): 1}


def test_who_leaves_cancels_a_stream_and_no_other(secure: SecureGateway, simulator: Simulator, key: str) -> None:
    clients = [SPEAKERS["openai"](secure.url, key) for _ in range(2)]
    streams = [client.begin(client.body("openai/gpt-4o-mini", [User("words:400 pace:5")])) for client in clients]
    for stream in streams:
        next(iter(stream))
    assert simulator.open_answers() == 2
    left = time.monotonic()
    streams[0].close()
    clients[0].client.close()
    while simulator.open_answers() > 1:
        assert time.monotonic() - left < 1, "the provider still generates"
        time.sleep(0.01)
    heard = "".join(choice.delta.content or "" for chunk in streams[1] for choice in chunk.choices)
    assert heard.count("word") > 300
    found = books.assert_equal(secure, simulator)
    assert sorted(entry["outcome"] for entry in found) == ["client-left", "success"]
    assert all(books.nano_usd(entry["charged_usd"]) > 0 for entry in found)


def test_many_at_once(secure: SecureGateway, simulator: Simulator, key: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda n: ask(secure, key, "over-openai", stream=n % 2 == 1), range(100)))
    for number, reply in enumerate(replies):
        assert_answered(reply, number % 2 == 1, "openai", 1)
    assert len(books.assert_equal(secure, simulator)) == 100
