"""Something panics in the middle of the money path: an error for one request, and an ended attempt within 5 s."""

from __future__ import annotations

import json
import pathlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from harness import books, failpoints, metrics
from harness.postgres import Postgres
from harness.processes import Gateway, Reply, Simulator
from harness.speakers import MODELS, User, raw, speaker

# What ends a stream well in each protocol, and what tells an error.
ENDS = {"openai": ("[DONE]", '"error"'), "anthropic": ("message_stop", "event: error")}
# Those of the way of a request itself.
OF_A_REQUEST = [name for name in failpoints.names() if name.startswith("pipeline.")]
# Behind the answer: nobody is there to hear of it.
UNHEARD = "pipeline.settling"


def asked(speaks: str, stream: bool) -> dict[str, Any]:
    """A question, at a pace that keeps several under way."""
    body = speaker(speaks, "http://unused.invalid", "unused").body(MODELS[speaks], [User("words:8 pace:5")], limit=50)
    return {**body, "stream": stream}


def all_at_once(gateway: Gateway, key: str, speaks: str, stream: bool, requests: int = 12) -> list[Reply]:
    """So many requests, from several clients."""
    replies: list[Reply] = []

    def ask() -> None:
        for _ in range(requests // 4):
            replies.append(raw(gateway, key, speaks, asked(speaks, stream)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == requests, "a connection broke"
    return replies


def is_well(speaks: str, stream: bool, reply: Reply) -> bool:
    """Whether an answer ended as one that is complete."""
    end, error = ENDS[speaks]
    text = reply.body.decode()
    well = reply.status == 200 and (end in text or not stream)
    assert well != (reply.status == 500 or error in text), text
    return well


def ended_within_five_seconds(gateway: Gateway, attempts: int) -> list[dict[str, Any]]:
    """Every attempt has its end, and nothing is reserved."""
    deadline = time.monotonic() + 5
    while True:
        found = books.entries(gateway)
        if len(found) == attempts:
            books.assert_nothing_pending(gateway)
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {attempts} attempts have ended"
        time.sleep(0.1)


@pytest.mark.parametrize("name", OF_A_REQUEST)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("speaks", ENDS)
def test_r2_a_panic_is_one_request_s_error(
    own_gateway: Gateway, simulator: Simulator, speaks: str, stream: bool, name: str
) -> None:
    own_gateway.program = failpoints.program()
    key = own_gateway.create_key()
    own_gateway.start(env=failpoints.armed(f"{name}:5=panic"))
    replies = all_at_once(own_gateway, key, speaks, stream)
    assert f"failpoint {name}" in own_gateway.log()
    well = Counter(is_well(speaks, stream, reply) for reply in replies)
    assert well == ({True: 12} if name == UNHEARD else {True: 11, False: 1})
    found = ended_within_five_seconds(own_gateway, 12)
    outcomes = Counter(entry["outcome"] for entry in found)
    # The end of a request that panics behind it was right already.
    was_right = name in (UNHEARD, "pipeline.handed-over")
    assert outcomes == ({"success": 12} if was_right else {"success": 11, "crashed": 1})
    books.assert_equal(own_gateway, simulator)
    # The next one is served as if nothing had been.
    assert all(is_well(speaks, stream, reply) for reply in all_at_once(own_gateway, key, speaks, stream, 4))
    assert own_gateway.stop() == 0, own_gateway.log()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    failpoints.program()
    server = Postgres()
    yield server
    server.close()


@pytest.mark.parametrize("action", ("panic", "error"))
@pytest.mark.parametrize("point", ("begun", "written", "committed"))
@pytest.mark.parametrize("store", ("sqlite", "postgres"))
def test_c3_a_writer_that_fails_once_loses_nothing(
    simulator: Simulator, tmp_path: pathlib.Path, request: pytest.FixtureRequest, store: str, point: str, action: str
) -> None:
    simulator.forget()
    storage = request.getfixturevalue("postgres").database() if store == "postgres" else None
    gateway = Gateway(tmp_path, simulator, storage=storage)
    gateway.program = failpoints.program()
    key = gateway.create_key()
    try:
        gateway.start(env=failpoints.armed(f"{store}.{point}:25={action}"))
        replies = all_at_once(gateway, key, "openai", False, 20)
        replies += all_at_once(gateway, key, "openai", False, 8)
        assert f"failpoint {store}.{point}" in gateway.log()
        statuses = Counter(reply.status for reply in replies)
        # Whoever waited for that commit is refused once, and told to come again; an end is committed later.
        assert set(statuses) <= {200, 503} and statuses[503] <= 4, statuses
        for reply in replies:
            if reply.status == 503:
                assert "ledger_unavailable" in reply.body.decode() and int(reply.headers["retry-after"]) > 0
        books.assert_equal(gateway, simulator)
        found = books.entries(gateway)
        assert len([entry for entry in found if entry["outcome"] == "success"]) == statuses[200]
        books.assert_nothing_pending(gateway)
        assert gateway.stop() == 0, gateway.log()
        gateway.command("ledger", "verify")
    finally:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()


def test_c4_a_panic_and_an_error_leave_the_write_ahead_log_to_the_next_round(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    own_gateway.program = failpoints.program()
    own_gateway.configure(simulator, {"metrics": "/metrics"})
    key = own_gateway.create_key()
    # What panics keeps the second from being asked: it fails at its first time, which is the second of all.
    said = "sqlite.carrying:1=panic,sqlite.carrying:1=error,sqlite.carried:1=sleep:1"
    own_gateway.start(env=failpoints.armed(said))
    deadline = time.monotonic() + 20
    while "failpoint sqlite.carried" not in own_gateway.log():
        assert all(is_well("openai", False, it) for it in all_at_once(own_gateway, key, "openai", False))
        assert time.monotonic() < deadline, own_gateway.log()
    failed = [line for line in metrics.lines(own_gateway) if line.startswith("weighbridge_ledger_failed_checkpoints")]
    assert [line.split()[-1] for line in failed] == ["2"], failed
    books.assert_equal(own_gateway, simulator)
    assert own_gateway.stop() == 0, own_gateway.log()
    own_gateway.command("ledger", "verify")


def test_the_log_has_no_prompt_of_a_panic(own_gateway: Gateway) -> None:
    own_gateway.program = failpoints.program()
    key = own_gateway.create_key()
    own_gateway.start(env=failpoints.armed("sqlite.written:1+=panic"))
    body = asked("openai", False)
    body["messages"][0]["content"] = "canary-4711"
    statuses = {raw(own_gateway, key, "openai", body).status for _ in range(4)}
    assert statuses == {503}, statuses
    assert "canary-4711" not in own_gateway.log() and key not in own_gateway.log()
    assert json.loads(raw(own_gateway, key, "openai", body).body)["error"]
