"""A client that leaves: the provider notices within a second, and the books agree."""

from __future__ import annotations

import itertools
import time

import pytest

from harness import books
from harness.processes import Gateway, Simulator
from harness.speakers import MODELS, User, speaker

PAIRS = list(itertools.product(("openai", "anthropic"), ("openai", "anthropic")))


@pytest.mark.parametrize(("speaks", "provider"), PAIRS)
def test_in_mid_stream(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, provider: str
) -> None:
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    stream = client.begin(client.body(MODELS[provider], [User("words:5000 pace:20")], limit=16_000))
    for _ in range(10):
        next(iter(stream))
    assert simulator.open_answers() == 1
    left = time.monotonic()
    stream.close()
    client.client.close()
    while simulator.open_answers():
        assert time.monotonic() - left < 1, "the provider still generates"
        time.sleep(0.01)
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert entry["outcome"] == "client-left"
    assert books.nano_usd(entry["charged_usd"]) > 0
    [line] = simulator.invoice()
    assert line["usage"]["output"] < 2_000


@pytest.mark.parametrize(("speaks", "provider"), PAIRS)
def test_before_the_first_byte(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, speaks: str, provider: str
) -> None:
    simulator.fail(provider, "stall-before-head")
    client = speaker(speaks, fresh_gateway.url, fresh_key)
    impatient = client.client.with_options(timeout=0.5)
    body = client.body(MODELS[provider], [User("hello")])
    create = impatient.chat.completions.create if speaks == "openai" else impatient.messages.create
    with pytest.raises(client.errors.APITimeoutError):
        create(**body)
    impatient.close()
    left = time.monotonic()
    while simulator.open_answers():
        assert time.monotonic() - left < 1, "the provider still works"
        time.sleep(0.01)
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert (entry["outcome"], entry["provenance"]) == ("client-left", "estimated")
