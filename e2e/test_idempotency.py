"""Idempotency keys, with real SDKs and real processes: carried out once, billed once, answered as often as asked."""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from harness import books
from harness.postgres import Postgres
from harness.processes import Gateway, Reply, Simulator, call

CHAT = "/v1/chat/completions"
QUESTION = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "words:30"}]}
SECRET = "KEPT-FOR-A-RETRY"
ROUTES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, QUESTION),
    (CHAT, {**QUESTION, "stream": True}),
    ("/openai/deployments/openai%2Fgpt-4o-mini/chat/completions?api-version=2024-10-21", QUESTION),
    ("/v1/messages", {**QUESTION, "model": "anthropic/claude-haiku-4-5", "max_tokens": 99}),
    ("/v1/messages", {**QUESTION, "max_tokens": 99, "stream": True}),
    ("/v1/responses", {"model": "responses/gpt-4o-mini", "input": "words:30"}),
    ("/v1/responses", {"model": "anthropic/claude-haiku-4-5", "input": "words:30", "stream": True}),
    ("/v1beta/models/gemini/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "words:30"}]}]}),
    (
        "/v1beta/models/openai/gpt-4o-mini:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "words:30"}]}]},
    ),
    (
        "/v1beta/models/gemini/gemini-2.5-flash:streamGenerateContent",
        {"contents": [{"parts": [{"text": "words:30"}]}]},
    ),
    ("/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "hello"}),
]


def ask(gateway: Gateway, key: str, idempotency: str, path: str = CHAT, body: Any = QUESTION) -> Reply:
    headers = {"authorization": f"Bearer {key}", "idempotency-key": idempotency}
    return call(f"{gateway.url}{path}", body, headers=headers)


def is_replay(reply: Reply) -> bool:
    return reply.headers.get("x-gateway-cache") == "idempotent"


@pytest.mark.parametrize(("path", "body"), ROUTES, ids=[f"{path}-{body.get('stream')}" for path, body in ROUTES])
def test_every_route_replays_its_bytes(
    gateway: Gateway, simulator: Simulator, session_key: str, path: str, body: dict[str, Any]
) -> None:
    before = len(simulator.invoice())
    idempotency = f"{path} {body.get('stream')}"
    first = ask(gateway, session_key, idempotency, path, body)
    assert first.status == 200 and not is_replay(first), first.body
    again = ask(gateway, session_key, idempotency, path, body)
    assert again.status == 200 and is_replay(again), again.body
    assert again.body == first.body
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-gateway-replay-of"] == first.headers["x-request-id"]
    assert again.headers["x-gateway-cost-usd"] == "0"
    assert len(simulator.invoice()) == before + 1
    record = call(
        f"{gateway.url}/v1/requests/{again.headers['x-request-id']}", headers={"authorization": f"Bearer {session_key}"}
    ).json()
    assert record["replay_of"] == first.headers["x-request-id"] and record["attempts"] == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_concurrent_duplicates_are_billed_once(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str, stream: bool
) -> None:
    simulator.fail("openai", "slow-head", ms=500)
    body = {**QUESTION, "stream": stream}
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        replies = list(pool.map(lambda _: ask(fresh_gateway, fresh_key, "k", body=body), range(30)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert sum(not is_replay(reply) for reply in replies) == 1
    assert len(books.assert_equal(fresh_gateway, simulator)) == 1


def test_the_sdks_read_replays_and_conflicts(gateway: Gateway, session_key: str) -> None:
    chat = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=session_key, max_retries=2)
    header = {"Idempotency-Key": "sdk-chat"}
    asked = {"model": "openai/gpt-4o-mini", "extra_headers": header}
    said = [chat.chat.completions.create(messages=[{"role": "user", "content": "words:9"}], **asked) for _ in range(2)]
    assert said[0].id == said[1].id and said[0].usage == said[1].usage
    with pytest.raises(openai.ConflictError) as conflict:
        chat.chat.completions.create(messages=[{"role": "user", "content": "words:8"}], **asked)
    assert conflict.value.code == "idempotency_key_reused"

    claude = anthropic.Anthropic(base_url=gateway.url, api_key=session_key)
    header = {"Idempotency-Key": "sdk-messages"}
    told = []
    for _ in range(2):
        with claude.messages.stream(
            model="anthropic/claude-haiku-4-5",
            max_tokens=99,
            messages=[{"role": "user", "content": "words:9"}],
            extra_headers=header,
        ) as stream:
            told.append(stream.get_final_message())
    assert told[0] == told[1]
    with pytest.raises(anthropic.ConflictError):
        claude.messages.create(
            model="anthropic/claude-haiku-4-5",
            max_tokens=98,
            messages=[{"role": "user", "content": "words:9"}],
            extra_headers=header,
        )


def test_a_client_that_times_out_and_tries_again_is_billed_once(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str
) -> None:
    simulator.fail("openai", "slow-head", ms=2500)
    client = openai.OpenAI(base_url=f"{fresh_gateway.url}/v1", api_key=fresh_key, max_retries=4, timeout=1)
    answer = client.chat.completions.create(
        model="openai/gpt-4o-mini",
        messages=[{"role": "user", "content": "echo:once"}],
        extra_headers={"Idempotency-Key": "k"},
    )
    assert answer.choices[0].message.content == "once"
    [entry] = books.assert_equal(fresh_gateway, simulator)
    assert entry["outcome"] == "success" and books.nano_usd(entry["charged_usd"]) > 0


def test_c1_a_kill_between_costs_nobody_twice(fresh_gateway: Gateway, simulator: Simulator, fresh_key: str) -> None:
    gateway = fresh_gateway
    # Killed while it is carried out: the retry is carried out anew, and paid for once.
    simulator.fail("openai", "stall-before-head")

    def hangs() -> None:
        with pytest.raises(OSError):
            ask(gateway, fresh_key, "killed")

    asking = threading.Thread(target=hangs)
    asking.start()
    while not simulator.open_answers():
        time.sleep(0.02)
    gateway.kill()
    asking.join()
    gateway.start()
    retry = ask(gateway, fresh_key, "killed")
    assert retry.status == 200 and not is_replay(retry), retry.body
    outcomes = [entry["outcome"] for entry in books.entries(gateway)]
    assert sorted(outcomes) == ["crashed", "success"]
    # Killed behind it: what was kept is still there, sealed.
    body = {**QUESTION, "messages": [{"role": "user", "content": f"echo:{SECRET}"}]}
    first = ask(gateway, fresh_key, "kept", body=body)
    assert SECRET.encode() in first.body
    # Whoever is answered finds it kept: this asks, and waits for it.
    assert is_replay(ask(gateway, fresh_key, "kept", body=body))
    time.sleep(0.3)
    gateway.kill()
    kept = b"".join(path.read_bytes() for path in gateway.folder.glob("weighbridge.kept.db*"))
    assert kept and SECRET.encode() not in kept
    gateway.start()
    again = ask(gateway, fresh_key, "kept", body=body)
    assert is_replay(again) and again.body == first.body
    assert ask(gateway, fresh_key, "kept").status == 409
    charged = [entry for entry in books.entries(gateway) if books.nano_usd(entry["charged_usd"])]
    assert len(charged) == 2
    assert gateway.stop() == 0
    gateway.command("ledger", "verify")


@pytest.fixture
def pair(simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[list[Gateway]]:
    """Two gateways over one PostgreSQL database, started."""
    simulator.forget()
    server = Postgres()
    storage = server.database()
    gateways = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        gateways.append(Gateway(tmp_path / name, simulator, storage=storage).start())
    yield gateways
    for gateway in gateways:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()
    server.close()


def test_l4_two_instances_carry_it_out_once(pair: list[Gateway], simulator: Simulator) -> None:
    one, two = pair
    key = one.create_key()
    while call(f"{two.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status == 401:
        time.sleep(0.02)
    for stream in (False, True):
        simulator.fail("openai", "slow-head", ms=1500)
        body = {**QUESTION, "stream": stream}
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            replies = list(
                pool.map(functools.partial(ask, key=key, idempotency=f"k{stream}", body=body), [one, two] * 5)
            )
        assert {reply.status for reply in replies} == {200}, [reply.body for reply in replies]
        assert len({reply.body for reply in replies}) == 1
        assert sum(not is_replay(reply) for reply in replies) == 1
    assert len(books.assert_equal(two, simulator)) == 2

    # One dies while it carries a request out; the other, which waits, does it then.
    simulator.fail("openai", "stall-before-head")

    def hangs() -> None:
        with pytest.raises(OSError):
            ask(one, key, "dies")

    asking = threading.Thread(target=hangs)
    asking.start()
    while not simulator.open_answers():
        time.sleep(0.02)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(ask, two, key, "dies")
        time.sleep(0.5)
        one.kill()
        asking.join()
        answered = waits.result()
    assert answered.status == 200 and not is_replay(answered), answered.body
    one.start()
    assert is_replay(ask(one, key, "dies"))
    assert one.stop() == 0 and two.stop() == 0
    two.command("ledger", "verify")
