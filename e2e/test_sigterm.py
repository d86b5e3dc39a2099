"""SIGTERM under many open streams (rule C8): no new work, streams drain to the deadline, everything is committed."""

from __future__ import annotations

import re
import socket
import threading
import time

import pytest

from harness import books
from harness.processes import Gateway, Simulator, call
from harness.sockets import begin
from harness.speakers import MODELS, SPEAKERS, User, speaker

STREAMS = 100
# A hundred streams at once, on a machine that may be busy with other tests.
PATIENT = {"first_byte": "30s", "idle": "30s"}


def open_streams(gateway: Gateway, key: str, text: str) -> list[tuple[str, socket.socket]]:
    """A hundred streams in every protocol, whose heads have come."""
    opened = []
    for number in range(STREAMS):
        speaks = list(SPEAKERS)[number % len(SPEAKERS)]
        model = list(MODELS.values())[number % len(MODELS)]
        body = speaker(speaks, "http://unused.invalid", "unused").body(model, [User(text)], limit=2_000)
        opened.append((speaks, begin(gateway, key, speaks, body, True)))
    for _, connection in opened:
        assert connection.recv(12) == b"HTTP/1.1 200"
    return opened


def read_all(opened: list[tuple[str, socket.socket]]) -> list[tuple[str, str]]:
    """What came of each, to the end of its connection."""
    texts: list[tuple[str, str]] = []

    def read(speaks: str, connection: socket.socket) -> None:
        with connection:
            try:
                text = b"".join(iter(lambda: connection.recv(65_536), b""))
            except OSError:
                text = b""
        # Without the framing of chunks, which stands anywhere.
        texts.append((speaks, re.sub("\r\n[0-9A-Fa-f]+\r\n", "", text.decode(errors="replace"))))

    threads = [threading.Thread(target=read, args=one) for one in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return texts


ENDS = {
    "openai": "data: [DONE]",
    "openai-responses": "event: response.completed",
    "anthropic": "event: message_stop",
    "gemini": '"finishReason"',
}


@pytest.mark.slow
def test_c8_a_hundred_streams_finish_and_are_settled(own_gateway: Gateway, simulator: Simulator) -> None:
    own_gateway.configure(simulator, {"drain_timeout": "20s"}, PATIENT)
    key = own_gateway.create_key()
    own_gateway.start()
    opened = open_streams(own_gateway, key, "words:60 pace:60")
    stopping = threading.Thread(target=lambda: statuses.append(own_gateway.stop()))
    statuses: list[int] = []
    stopping.start()
    texts = read_all(opened)
    stopping.join()
    assert statuses == [0], own_gateway.log()
    # The stores are closed in good order: no writer is left whom the next start would have to declare dead.
    assert not list(own_gateway.folder.glob("*-writer-*"))
    assert len(texts) == STREAMS
    assert not [(speaks, text[-500:]) for speaks, text in texts if ENDS[speaks] not in text]
    found = books.entries(own_gateway)
    assert not books.differences(found, simulator.invoice())
    assert len(found) == STREAMS and {entry["outcome"] for entry in found} == {"success"}
    books.assert_nothing_pending(own_gateway)
    own_gateway.command("ledger", "verify")
    # The request log has all of them too.
    own_gateway.start()
    for _, text in texts:
        found_id = re.search(r"x-request-id: (\S+)", text)
        assert found_id
        bearer = {"authorization": f"Bearer {key}"}
        assert call(f"{own_gateway.url}/v1/requests/{found_id[1]}", headers=bearer).status == 200
    assert own_gateway.stop() == 0


@pytest.mark.slow
def test_c8_streams_that_take_longer_are_cut_at_the_deadline_and_settled(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    own_gateway.configure(simulator, {"drain_timeout": "1s"}, PATIENT)
    key = own_gateway.create_key()
    own_gateway.start()
    opened = open_streams(own_gateway, key, "words:300 pace:400")
    begun = time.monotonic()
    stopping = threading.Thread(target=lambda: statuses.append(own_gateway.stop()))
    statuses: list[int] = []
    stopping.start()
    texts = read_all(opened)
    stopping.join()
    assert statuses == [0], own_gateway.log()
    # The deadline, and what a busy machine takes to see a hundred ends through.
    assert time.monotonic() - begun < 8
    assert not [text for speaks, text in texts if ENDS[speaks] in text], "nothing was complete"
    deadline = time.monotonic() + 5
    while simulator.open_answers():
        assert time.monotonic() < deadline, "a provider still generates"
        time.sleep(0.02)
    found = books.entries(own_gateway)
    assert not books.differences(found, simulator.invoice())
    assert len(found) == STREAMS and "success" not in {entry["outcome"] for entry in found}
    assert "crashed" not in {entry["outcome"] for entry in found}
    books.assert_nothing_pending(own_gateway)
    own_gateway.command("ledger", "verify")
