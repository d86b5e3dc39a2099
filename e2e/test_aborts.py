"""A client that leaves: the provider notices within a second, and the books agree."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from harness import books
from harness.processes import Gateway, Simulator
from harness.sockets import begin
from harness.speakers import MODELS, PROVIDERS, SPEAKERS, User, speaker

PAIRS = list(itertools.product(SPEAKERS, PROVIDERS))
EVERY_PAIR = pytest.mark.parametrize(
    ("speaks", "provider"), PAIRS, ids=[f"{speaks}-to-{provider}" for speaks, provider in PAIRS]
)


def cancelled(simulator: Simulator, since: float) -> None:
    """The provider must have stopped within a second."""
    while simulator.open_answers():
        assert time.monotonic() - since < 1, "the provider still generates"
        time.sleep(0.01)


@EVERY_PAIR
def test_in_mid_stream(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, provider: str
) -> None:
    # Its own client, which is closed with its stream.
    client = SPEAKERS[speaks](fresh_gateway.url, fresh_key)
    stream = client.begin(client.body(MODELS[provider], [User("words:5000 pace:20")], limit=8_000))
    for _ in range(10):
        next(iter(stream))
    assert simulator.open_answers() == 1
    left = time.monotonic()
    stream.close()
    if hasattr(client.client, "close"):
        client.client.close()
    cancelled(simulator, left)
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert entry["outcome"] == "client-left"
    assert books.nano_usd(entry["charged_usd"]) > 0
    [line] = simulator.invoice()
    assert line["usage"]["output"] < 2_000


def asked(speaks: str, provider: str, text: str) -> dict[str, Any]:
    """The body of a question."""
    return speaker(speaks, "http://unused.invalid", "unused").body(MODELS[provider], [User(text)])


def working(simulator: Simulator) -> None:
    """A provider has the request."""
    deadline = time.monotonic() + 5
    while not simulator.open_answers():
        assert time.monotonic() < deadline, "no provider was asked"
        time.sleep(0.01)


@EVERY_PAIR
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_before_the_first_byte(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, provider: str, stream: bool
) -> None:
    simulator.fail(PROVIDERS[provider].vendor, "stall-before-head")
    connection = begin(fresh_gateway, fresh_key, speaks, asked(speaks, provider, "hello"), stream)
    working(simulator)
    left = time.monotonic()
    connection.close()
    cancelled(simulator, left)
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert (entry["outcome"], entry["provenance"]) == ("client-left", "estimated")


@pytest.mark.parametrize("speaks", ("openai", "anthropic"))
def test_an_impatient_sdk(fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str) -> None:
    simulator.fail(PROVIDERS[speaks].vendor, "stall-before-head")
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    impatient = client.client.with_options(timeout=0.5)
    body = client.body(MODELS[speaks], [User("hello")])
    create = impatient.chat.completions.create if speaks == "openai" else impatient.messages.create
    with pytest.raises(client.errors.APITimeoutError):
        create(**body)
    impatient.close()
    cancelled(simulator, time.monotonic())
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert (entry["outcome"], entry["provenance"]) == ("client-left", "estimated")


@pytest.fixture
def draining(own_gateway: Gateway, simulator: Simulator) -> Gateway:
    """A gateway that reads on for the exact usage."""
    own_gateway.configure(simulator, {"on_disconnect": "drain"})
    return own_gateway.start()


@pytest.mark.parametrize("speaks", SPEAKERS)
def test_a_drained_answer_is_billed_as_invoiced(draining: Gateway, simulator: Simulator, speaks: str) -> None:
    key = draining.create_key()
    for provider in PROVIDERS:
        connection = begin(draining, key, speaks, asked(speaks, provider, "words:40 pace:10"), True)
        assert connection.recv(1).startswith(b"H")
        connection.close()
    # Before the head, and not streamed. What a provider works on then has to be this one.
    books.settled(draining, simulator, len(PROVIDERS))
    simulator.fail("openai", "slow-head", ms=500)
    connection = begin(draining, key, speaks, asked(speaks, "openai", "words:40"), False)
    working(simulator)
    connection.close()
    found = books.assert_equal(draining, simulator)
    assert {(entry["outcome"], entry["provenance"]) for entry in found} == {("client-left", "reported")}
    assert len(found) == len(PROVIDERS) + 1


def test_sigterm_waits_for_drained_answers(draining: Gateway, simulator: Simulator) -> None:
    key = draining.create_key()
    connection = begin(draining, key, "openai", asked("openai", "anthropic", "words:40 pace:20"), True)
    assert connection.recv(1) == b"H"
    connection.close()
    time.sleep(0.2)
    assert simulator.open_answers() == 1
    assert draining.stop() == 0, draining.log()
    [entry] = books.entries(draining)
    assert (entry["outcome"], entry["provenance"]) == ("client-left", "reported")
    assert not books.differences([entry], simulator.invoice())
