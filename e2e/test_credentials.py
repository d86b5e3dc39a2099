"""Credentials that are issued: asked for once, renewed when a provider refuses them, and never in a log."""

from __future__ import annotations

import concurrent.futures
import http.server
import json
import pathlib
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from harness.processes import REPOSITORY, Gateway, Reply, Simulator, call

KEY = REPOSITORY / "crates/upstream/tests/loopback/credentials/keys/rsa.key"
SECRET = "canary-secret-0123456789"


class Issuer:
    """Issues keys of AWS and access tokens; what it is asked for is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        # What the next credentials have in their names. The simulator refuses `invalid`.
        self.names: list[str] = []
        self.down = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, b"")

            def do_POST(self) -> None:
                outer.answer(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        self.asked.append((handler.path, dict(urllib.parse.parse_qsl(body.decode()))))
        name = self.names.pop(0) if self.names else "FINE"
        if handler.path == "/keys":
            keys = {"AccessKeyId": f"ASIA{name}", "SecretAccessKey": f"secret-of-ASIA{name}", "Token": SECRET}
            said: dict[str, Any] = {**keys, "Expiration": "2126-11-26T12:00:00Z"}
        else:
            said = {"access_token": f"{SECRET}-{name}", "expires_in": 3599, "token_type": "Bearer"}
        if self.down:
            said = {"error": "temporarily_unavailable", "error_description": SECRET}
        text = json.dumps(said).encode()
        handler.send_response(503 if self.down else 200)
        handler.send_header("content-length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()


@pytest.fixture
def issued(own_gateway: Gateway, simulator: Simulator, issuer: Issuer, tmp_path: pathlib.Path) -> Gateway:
    """A gateway, started, whose providers are shown what the issuer gives."""
    account = tmp_path / "account.json"
    email = "models@p.iam.gserviceaccount.com"
    said = {"type": "service_account", "client_email": email, "private_key": KEY.read_text()}
    account.write_text(json.dumps(said))
    added = f"""
[providers.container]
preset = "bedrock"
protocol = "bedrock-converse"
base_url = "{simulator.urls["aws"]}"
region = "eu-central-1"
aws = {{ from = "container", metadata_url = "{issuer.url}/keys" }}

[providers.entra]
preset = "openai"
protocol = "openai-chat"
base_url = "{simulator.urls["openai"]}/v1"
azure = {{ tenant_id = "t", client_id = "c", client_secret = "{SECRET}", authority = "{issuer.url}" }}

[providers.account]
preset = "vertex"
base_url = "{simulator.urls["google"]}/v1/projects/scales/locations/europe-west4"
region = "europe-west4"
project = "scales"
price_as = "vertex"
gcp = {{ credentials = "${{file:{account}}}", token_url = "{issuer.url}/token" }}

[providers.query]
preset = "gemini"
base_url = "{simulator.urls["google"]}/v1beta"
auth = "query"
api_keys = ["{SECRET}"]

[models.entra-or-other]
targets = ["entra/gpt-4o-mini"]
fallbacks = ["openai/gpt-4o-mini"]
"""
    own_gateway.config.write_text(own_gateway.config.read_text() + added)
    return own_gateway.start()


def say(gateway: Gateway, key: str, model: str) -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": "echo:yes"}]}
    return call(f"{gateway.url}/v1/chat/completions", body, headers={"authorization": f"Bearer {key}"})


MODELS = {
    "container": "container/amazon.nova-lite-v1:0",
    "entra": "entra/gpt-4o-mini",
    "account": "account/gemini-2.5-flash-lite",
}


@pytest.mark.parametrize("kind", MODELS)
def test_issued_credentials_are_asked_for_once(issued: Gateway, issuer: Issuer, kind: str) -> None:
    key = issued.create_key()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: say(issued, key, MODELS[kind]), range(40)))
    assert [reply.status for reply in replies] == [200] * 40, replies[0].body
    assert len(issuer.asked) == 1, issuer.asked
    assert SECRET not in issued.log()


@pytest.mark.parametrize("kind", MODELS)
def test_a_rotation_at_the_provider_fails_no_request(issued: Gateway, issuer: Issuer, kind: str) -> None:
    issuer.names = ["invalid"]
    reply = say(issued, issued.create_key(), MODELS[kind])
    assert reply.status == 200, reply.body
    assert (reply.headers["x-gateway-attempts"], len(issuer.asked)) == ("2", 2)
    assert SECRET not in issued.log()


def test_without_a_credential_the_fallback_serves(issued: Gateway, issuer: Issuer) -> None:
    issuer.down = True
    key = issued.create_key()
    reply = say(issued, key, MODELS["entra"])
    assert (reply.status, "provider `entra`" in reply.json()["error"]["message"]) == (502, True), reply.body
    assert say(issued, key, "entra-or-other").status == 200
    log = issued.log()
    assert "temporarily_unavailable" in log and SECRET not in log, log
    assert SECRET not in str(reply.body)


def test_a_key_in_the_query_is_in_no_log(issued: Gateway, simulator: Simulator) -> None:
    key = issued.create_key()
    assert say(issued, key, "query/gemini-2.5-flash-lite").status == 200
    assert f"key={SECRET}" in json.dumps(simulator.requests("google"))
    simulator.fail("google", "status", code=400)
    reply = say(issued, key, "query/gemini-2.5-flash-lite")
    assert reply.status == 400 and SECRET not in str(reply.body)
    assert SECRET not in issued.log()
