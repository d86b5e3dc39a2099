"""Clients that keep a gateway busy with requests of every kind, without an SDK in the way."""

from __future__ import annotations

import http.client
import json
import random
import threading
from typing import Any

from harness.gemini_speaker import Gemini
from harness.processes import Gateway
from harness.speakers import MODELS, SPEAKERS, TARE, WEIGH, User, speaker

# Only to build bodies: constructing an SDK client takes longer than a request.
BUILDERS = {protocol: speaker(protocol, "http://unused.invalid", "unused") for protocol in SPEAKERS}
PATHS = {
    "openai": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:{method}",
}
ROUTES = [*MODELS.values(), "failover-to-openai", "failover-to-anthropic"]


class Load:
    """`threads` clients, each sending one request after another until they are stopped."""

    def __init__(self, gateway: Gateway, key: str, seed: int, threads: int = 8) -> None:
        self.gateway, self.key = gateway, key
        self.stopped = threading.Event()
        # Requests that were answered to their last byte with 200.
        self.complete = 0
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed} {number}"),)) for number in range(threads)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Ends after the requests under way."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a request hangs"

    def _run(self, draw: random.Random) -> None:
        while not self.stopped.is_set():
            try:
                self._one(draw)
            except (OSError, http.client.HTTPException):
                # The gateway is dead or dying; the books will tell what that cost.
                self.stopped.wait(0.01)

    def _one(self, draw: random.Random) -> None:
        speaks = draw.choice(list(BUILDERS))
        text = draw.choice(("hello", f"words:{draw.randint(1, 60)} pace:{draw.randint(0, 5)}", "use a tool"))
        body: dict[str, Any] = BUILDERS[speaks].body(draw.choice(ROUTES), [User(text)], tools=[WEIGH, TARE], limit=300)
        stream = draw.random() < 0.6
        path = PATHS[speaks]
        if speaks == "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            path, body = path.format(model=body["model"], method=method), Gemini.wire(body)
        else:
            body["stream"] = stream
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        try:
            headers = {
                "authorization": f"Bearer {self.key}",
                "anthropic-version": "2023-06-01",
                "content-type": "application/json",
            }
            connection.request("POST", path, json.dumps(body), headers)
            reply = connection.getresponse()
            if draw.random() < 0.1:
                reply.read(draw.randint(0, 200))
                return
            reply.read()
            with self.lock:
                self.complete += reply.status == 200
        finally:
            connection.close()
