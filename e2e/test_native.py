"""Calls that the gateway passes on as they are: files, batches and realtime sessions, as the SDK makes them."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from harness import books
from harness.processes import Gateway, Simulator, call

TASKS = b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/native/openai/v1", api_key=key, max_retries=0)


def test_files_and_batches(gateway: Gateway, simulator: Simulator) -> None:
    key = gateway.create_key("--native", name="native")
    sdk = client(gateway, key)
    file = sdk.files.create(file=("tasks.jsonl", io.BytesIO(TASKS)), purpose="batch")
    assert file.bytes == len(TASKS) and file.purpose == "batch"
    assert file.id in {listed.id for listed in sdk.files.list()}
    assert sdk.files.content(file.id).read() == TASKS
    batch = sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert sdk.batches.retrieve(batch.id).status == "validating"
    assert batch.id in {listed.id for listed in sdk.batches.list()}
    assert sdk.batches.cancel(batch.id).status == "cancelling"
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such file"):
        sdk.files.retrieve(file.id)
    assert not any(key in str(request) for request in simulator.requests("openai"))


def test_a_large_file_passes_piece_by_piece(gateway: Gateway) -> None:
    sdk = client(gateway, gateway.create_key("--native", name="large"))
    content = bytes(range(256)) * 4096 * 40  # 40 MiB, more than a body may have elsewhere
    file = sdk.files.create(file=("large.bin", io.BytesIO(content)), purpose="user_data")
    assert file.bytes == len(content)
    assert sdk.files.content(file.id).read() == content
    sdk.files.delete(file.id)


def test_only_keys_that_were_told_so(gateway: Gateway, session_key: str) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="no native calls"):
        client(gateway, session_key).files.list()
    poor = gateway.create_key("--native", "--budget-usd-per-month", "5", name="poor-native")
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client(gateway, poor).batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert refused.value.code == "native_unpriced"
    headers = {"authorization": f"Bearer {poor}"}
    for path in ("/native/openai/%2e%2e/v1/files", "/native/openai//example.com/v1/files"):
        assert call(gateway.url + path, headers=headers).status == 400


def test_what_is_known_is_in_the_books(fresh_gateway: Gateway, simulator: Simulator) -> None:
    sdk = client(fresh_gateway, fresh_gateway.create_key("--native", name="native"))
    messages = [{"role": "user", "content": "echo:weighed"}]
    answer = sdk.chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert answer.choices[0].message.content == "weighed"
    stream = sdk.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "weighed"
    assert len(books.assert_equal(fresh_gateway, simulator)) == 2


class Realtime:
    """A provider of websockets that sends back what it is told, and keeps the heads of the requests."""

    def __init__(self) -> None:
        self.heads: list[dict[str, str]] = []
        self.server = serve(self._talk, "127.0.0.1", 0, select_subprotocol=self._select, max_size=None)
        self.url = f"http://127.0.0.1:{self.server.socket.getsockname()[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def _select(_: ServerConnection, offered: Any) -> Any:
        return "realtime" if "realtime" in offered else None

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request
        head = dict(connection.request.headers.raw_items())
        self.heads.append({":path": connection.request.path, **{name.lower(): value for name, value in head.items()}})
        for message in connection:
            connection.send(message)


@pytest.fixture
def realtime() -> Iterator[Realtime]:
    """A provider of websockets."""
    provider = Realtime()
    yield provider
    provider.server.shutdown()


@pytest.fixture
def talking(own_gateway: Gateway, realtime: Realtime) -> Gateway:
    """A gateway in front of it, started, that is patient for a second when it ends."""
    own_gateway.config.write_text(
        own_gateway.config.read_text().replace('drain_timeout = "5s"', 'drain_timeout = "1s"')
        + f"""
[providers.realtime]
preset = "openai"
base_url = "{realtime.url}"
api_keys = ["sk-simulated-realtime"]
"""
    )
    return own_gateway.start()


def outcome(gateway: Gateway, key: str, request: str) -> str:
    """How the request's one attempt ended, once it has."""
    deadline = time.monotonic() + 5
    while True:
        reply = call(f"{gateway.url}/v1/requests/{request}", headers={"authorization": f"Bearer {key}"})
        if reply.status == 200:
            return reply.json()["attempts"][0]["outcome"]
        assert time.monotonic() < deadline, reply.body
        time.sleep(0.02)


def test_a_realtime_session_of_the_sdk(talking: Gateway, realtime: Realtime) -> None:
    key = talking.create_key("--native", name="talks")
    sdk = openai.OpenAI(base_url=f"{talking.url}/native/realtime/v1", api_key=key, max_retries=0)
    with sdk.realtime.connect(model="gpt-realtime") as session:
        for number in range(20):
            session.send({"type": "response.create", "event_id": str(number)})
            assert json.loads(session.recv_bytes())["event_id"] == str(number)
    assert realtime.heads[0][":path"] == "/v1/realtime?model=gpt-realtime"
    assert realtime.heads[0]["authorization"] == "Bearer sk-simulated-realtime"
    assert key not in str(realtime.heads)


def test_a_session_of_a_browser(talking: Gateway, realtime: Realtime) -> None:
    key = talking.create_key("--native", name="browser")
    url = talking.url.replace("http:", "ws:") + "/native/realtime/v1/realtime?model=gpt-realtime"
    offered: Any = ["realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1"]
    with connect(url, subprotocols=offered, max_size=None) as session:
        assert session.subprotocol == "realtime"
        sound = bytes(range(256)) * 4096 * 8  # 8 MiB
        session.send(sound)
        assert session.recv() == sound
        assert session.response
        request = session.response.headers["x-request-id"]
    assert outcome(talking, key, request) == "success"
    assert realtime.heads[0]["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
    assert key not in str(realtime.heads)


def test_who_may_not_talk(talking: Gateway, realtime: Realtime) -> None:
    url = talking.url.replace("http:", "ws:") + "/native/realtime/v1/realtime"
    poor = talking.create_key("--native", "--budget-usd-per-month", "5", name="poor")
    for key, status in [("wb-nobody", 401), (talking.create_key(), 403), (poor, 403)]:
        headers = {"authorization": f"Bearer {key}"}
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            pass
        assert refused.value.response.status_code == status
    assert not realtime.heads


def test_sessions_are_cut_when_the_gateway_has_waited(talking: Gateway) -> None:
    key = talking.create_key("--native", name="cut")
    url = talking.url.replace("http:", "ws:") + "/native/realtime/v1/realtime"
    with connect(url, additional_headers={"authorization": f"Bearer {key}"}) as session:
        session.send("still here")
        assert session.recv() == "still here"
        assert talking.stop() == 0, talking.log()
        with pytest.raises(ConnectionClosed):
            session.recv()
        assert session.response
        request = session.response.headers["x-request-id"]
    talking.command("ledger", "verify")
    assert outcome(talking.start(), key, request) == "client-left"
