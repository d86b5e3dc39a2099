"""Alerts of budgets by webhook: signed, soon, and again until they are taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.metrics import metric
from harness.processes import Gateway, Simulator, call

SECRET = "a secret of the receiver's"
QUESTION = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "words:30"}]}


class Receiver:
    """A webhook on loopback that answers with the statuses it is given, then with 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.came: list[tuple[float, dict[str, str], bytes]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.came.append(
                    (time.monotonic(), {name.lower(): value for name, value in self.headers.items()}, body)
                )
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("location", f"{receiver.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count: int, seconds: float) -> list[tuple[float, dict[str, str], bytes]]:
        deadline = time.monotonic() + seconds
        while len(self.came) < count:
            assert time.monotonic() < deadline, f"{len(self.came)} of {count} came"
            time.sleep(0.01)
        return self.came


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()


def configure(gateway: Gateway, receiver: Receiver, allowed: str = '["127.0.0.0/8"]') -> None:
    gateway.config.write_text(
        gateway.config.read_text().replace("[server]", '[server]\nmetrics = "/metrics"')
        + f'\n[alerts]\nwebhooks = ["{receiver.url}/hook?token=CANARY-HOOK"]\n'
        + f'secret = "{SECRET}"\nallowed_networks = {allowed}\n'
    )


def ask(gateway: Gateway, key: str) -> float:
    """Asks, and says when it was answered."""
    reply = call(f"{gateway.url}/v1/chat/completions", QUESTION, headers={"authorization": f"Bearer {key}"})
    assert reply.status == 200, reply.body
    return time.monotonic()


def test_an_alert_is_signed_and_comes_within_a_second(
    own_gateway: Gateway, simulator: Simulator, receiver: Receiver
) -> None:
    configure(own_gateway, receiver)
    gateway = own_gateway.start()
    key = gateway.create_key("--budget", "requests=4 period=day thresholds=50,75")
    ask(gateway, key)
    time.sleep(0.8)
    assert receiver.came == []
    late = []
    for count in (1, 2):
        answered = ask(gateway, key)
        late.append(receiver.wait(count, 5)[-1][0] - answered)
    print(f"alerts came {late} s behind their answers")
    assert max(late) < 1.3, "noticed within a second, and then delivered"
    for (_, headers, body), percent in zip(receiver.came, (50, 75), strict=True):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{right}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
        told = json.loads(body)
        assert told["id"] == headers["webhook-id"] and told["type"] == "budget.threshold"
        assert told["threshold"] == percent and told["unit"] == "requests" and told["limit"] == "4"
        assert told["owner"] == f"key {key.split('-')[1]}" and told["window_ends"]
    assert [json.loads(body)["posted"] for _, _, body in receiver.came] == ["2", "3"]
    assert metric(gateway, "weighbridge_alert_deliveries_total") == 2
    # What was told is not told again after a restart, also where the budget is used.
    assert gateway.stop() == 0
    gateway.start()
    ask(gateway, key)
    time.sleep(2)
    assert len(receiver.came) == 2
    assert SECRET not in gateway.log() and "CANARY-HOOK" not in gateway.log()
    assert gateway.stop() == 0


def test_a_webhook_that_fails_is_tried_again(own_gateway: Gateway, simulator: Simulator, receiver: Receiver) -> None:
    receiver.statuses = [500, 302]
    configure(own_gateway, receiver)
    gateway = own_gateway.start()
    ask(gateway, gateway.create_key("--budget", "requests=1 period=day thresholds=100"))
    came = receiver.wait(3, 10)
    assert len({headers["webhook-id"] for _, headers, _ in came}) == 1
    assert came[1][0] - came[0][0] > 0.9 and came[2][0] - came[1][0] > 1.8
    time.sleep(0.2)
    assert metric(gateway, "weighbridge_alert_deliveries_total") == 1, "a redirect is not followed, and is no success"
    assert metric(gateway, "weighbridge_alert_delivery_failures_total") == 0
    assert gateway.stop() == 0


def test_what_waits_when_a_gateway_is_killed_is_delivered_by_the_next_start(
    own_gateway: Gateway, simulator: Simulator, receiver: Receiver
) -> None:
    receiver.statuses = [503] * 100
    configure(own_gateway, receiver)
    gateway = own_gateway.start()
    ask(gateway, gateway.create_key("--budget", "requests=1 period=day thresholds=100"))
    told = receiver.wait(1, 5)[0][1]["webhook-id"]
    gateway.kill()
    receiver.statuses = []
    tried = len(receiver.came)
    gateway.start()
    # Nobody asks for anything.
    again = receiver.wait(tried + 1, 5)[-1]
    assert again[1]["webhook-id"] == told == json.loads(again[2])["id"]
    deadline = time.monotonic() + 5
    while metric(gateway, "weighbridge_alert_deliveries_total") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert gateway.stop() == 0
    gateway.start()
    time.sleep(1.5)
    assert len(receiver.came) == tried + 1, "what was taken waits no more"
    assert gateway.stop() == 0


def test_a_private_address_is_not_called_unless_allowed(
    own_gateway: Gateway, simulator: Simulator, receiver: Receiver
) -> None:
    configure(own_gateway, receiver, allowed="[]")
    gateway = own_gateway.start()
    ask(gateway, gateway.create_key("--budget", "requests=1 period=day thresholds=100"))
    deadline = time.monotonic() + 5
    while "an alert could not be delivered" not in gateway.log():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert receiver.came == [] and "CANARY-HOOK" not in gateway.log()
    assert gateway.stop() == 0
