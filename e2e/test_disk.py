"""Disks that are full, read-only, broken or slow (rule C4): nothing is sent that cannot be entered, what runs
finishes, and the gateway recovers alone."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from harness import books, failpoints
from harness.disk import BrokenCalls, FileSizeLimit, SmallDisk
from harness.processes import Gateway, Reply, Simulator, call
from harness.sockets import begin
from harness.speakers import MODELS, User, raw, speaker

Disk = FileSizeLimit | SmallDisk | BrokenCalls
KINDS = ("file-size-limit", "full", "read-only", "broken")
# A stream of two seconds.
PACED = "words:40 pace:50"


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Disk]:
    """A disk under `tmp_path` that can be made to fail."""
    made: Disk
    match request.param:
        case "file-size-limit":
            made = FileSizeLimit(tmp_path)
        case "full":
            made = SmallDisk(tmp_path)
        case "read-only":
            made = BrokenCalls("EROFS")
        case _:
            made = BrokenCalls("EIO")
    yield made
    made.close()


@pytest.fixture
def gateway(disk: Disk, simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[Gateway]:
    """A gateway on that disk, not started."""
    simulator.forget()
    gateway = Gateway(tmp_path, simulator)
    yield gateway
    if gateway.process and gateway.process.poll() is None:
        gateway.kill()


def hello(gateway: Gateway, key: str) -> Reply:
    """A short question."""
    body = speaker("openai", "http://unused.invalid", "unused").body(MODELS["openai"], [User("hello")], limit=50)
    return raw(gateway, key, "openai", body)


def streams(gateway: Gateway, key: str, count: int) -> list[socket.socket]:
    """Streams whose first bytes have come."""
    body = speaker("openai", "http://unused.invalid", "unused").body(MODELS["openai"], [User(PACED)], limit=200)
    running = [begin(gateway, key, "openai", body, True) for _ in range(count)]
    assert all(connection.recv(1) == b"H" for connection in running)
    return running


def read_out(connection: socket.socket) -> bytes:
    """The rest of an answer."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def assert_refused(reply: Reply) -> None:
    """Refused because the ledger cannot be written."""
    assert reply.status == 503, reply.body
    assert "ledger_unavailable" in reply.body.decode(), reply.body
    assert int(reply.headers["retry-after"]) > 0


@pytest.mark.parametrize("durability", ("process", "fsync"))
def test_c4_a_disk_that_cannot_be_written_and_then_can(
    gateway: Gateway, disk: Disk, simulator: Simulator, durability: str
) -> None:
    said = gateway.config.read_text()
    gateway.config.write_text(said.replace('.db"\n', f'.db"\ndurability = "{durability}"\n', 1))
    key = gateway.create_key()
    gateway.start(**disk.options)
    assert hello(gateway, key).status == 200
    running = streams(gateway, key, 5)

    disk.fail(gateway)
    refused = 0
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        asked = time.monotonic()
        reply = hello(gateway, key)
        assert time.monotonic() - asked < 5, "nobody waits long for a disk"
        # The page that was being written may have had room for one more.
        if reply.status != 200 or refused:
            assert_refused(reply)
            refused += 1
    assert refused > 2
    sent = len(simulator.requests("openai"))
    assert_refused(hello(gateway, key))
    assert len(simulator.requests("openai")) == sent, "nothing is sent without a committed intent"
    # What runs goes on to its end, which waits in memory.
    assert all(read_out(connection).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for connection in running)
    assert call(f"{gateway.url}/readyz").status == 503
    assert call(f"{gateway.url}/healthz").status == 200 and gateway.process and gateway.process.poll() is None

    disk.heal(gateway)
    deadline = time.monotonic() + 5
    while call(f"{gateway.url}/readyz").status != 200:
        assert time.monotonic() < deadline, "it does not recover alone"
        time.sleep(0.05)
    assert hello(gateway, key).status == 200
    found = books.assert_equal(gateway, simulator)
    assert {entry["outcome"] for entry in found} <= {"success", "failed-before-output"}
    assert len([entry for entry in found if entry["outcome"] == "success"]) >= 7
    books.assert_nothing_pending(gateway)
    assert gateway.stop() == 0, gateway.log()
    gateway.command("ledger", "verify")


def test_c4_killed_while_the_disk_was_full(gateway: Gateway, disk: Disk, simulator: Simulator) -> None:
    key = gateway.create_key()
    gateway.start(**disk.options)
    running = streams(gateway, key, 3)
    disk.fail(gateway)
    assert all(read_out(connection) for connection in running)
    gateway.kill()
    if not isinstance(disk, FileSizeLimit):
        disk.heal(gateway)
    gateway.start()
    # Their ends were only in memory: the crash is ours to pay.
    found = books.assert_equal(gateway, simulator)
    assert {entry["outcome"] for entry in found} <= {"crashed", "success"} and len(found) == 3
    books.assert_nothing_pending(gateway)


def test_a_read_only_folder_is_named_at_the_start(simulator: Simulator, tmp_path: pathlib.Path) -> None:
    disk = SmallDisk(tmp_path)
    try:
        gateway = Gateway(tmp_path, simulator)
        gateway.create_key()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        done = gateway.command("serve", check=False)
        assert done.returncode == 1
        assert "weighbridge.db" in done.stderr and "read" in done.stderr.lower(), done.stderr
        subprocess.run(["mount", "-o", "remount,rw", tmp_path], check=True)
        gateway.start()
        assert gateway.stop() == 0
    finally:
        disk.close()


def test_c4_a_slow_disk_makes_requests_wait_within_bounds_and_loses_nothing(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    own_gateway.program = failpoints.program()
    key = own_gateway.create_key()
    own_gateway.start(env=failpoints.armed("sqlite.written:10+=sleep:300"))
    replies: list[Reply] = []
    slowest = 0.0

    def ask() -> None:
        nonlocal slowest
        for _ in range(4):
            begun = time.monotonic()
            replies.append(hello(own_gateway, key))
            slowest = max(slowest, time.monotonic() - begun)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.status for reply in replies} == {200} and len(replies) == 32
    # A request waits for the commit that is being made, and for its own; and its thread for those of others.
    assert slowest < 10, slowest
    found = books.assert_equal(own_gateway, simulator)
    assert len(found) == 32 and {entry["outcome"] for entry in found} == {"success"}
    books.assert_nothing_pending(own_gateway)
    assert own_gateway.stop() == 0, own_gateway.log()
