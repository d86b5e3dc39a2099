"""Whoever issues credentials in a cloud, all of them in one server on loopback; what it is asked for is kept."""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import json
import threading
import urllib.parse
from typing import Any

# In every credential; in no log.
SECRET = "canary-secret-0123456789"
ROLE = "arn:aws:iam::123456789012:role/models"
INSTANCE = "/latest/meta-data/iam/security-credentials/"

STS = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
<AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey>
<SessionToken>{Token}</SessionToken><Expiration>{Expiration}</Expiration>
</Credentials></{action}Result></{action}Response>"""


@dataclasses.dataclass(frozen=True)
class Question:
    """What an issuer was asked. Names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a form."""
        return dict(urllib.parse.parse_qsl(self.body))


class Issuer:
    """Issues keys of AWS, and access tokens of Google Cloud and Entra."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        # How many credentials were given that a provider is shown.
        self.given = 0
        # What the next credentials have in their names. The simulator refuses `invalid`.
        self.names: list[str] = []
        # How long they live. Google Cloud and Entra count in seconds.
        self.life = datetime.timedelta(hours=1)
        self.down = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in handler.headers.items()}
        question = Question(handler.command, handler.path, headers, body)
        self.asked.append(question)
        if self.down:
            status, text = 503, json.dumps({"error": "temporarily_unavailable", "error_description": SECRET})
        else:
            status, text = 200, self._said(question)
        handler.send_response(status)
        handler.send_header("content-length", str(len(text.encode())))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def _said(self, question: Question) -> str:
        """What the issuer that this address is of has to say."""
        match question.path:
            case "/latest/api/token":
                return "instance-session"
            case path if path == INSTANCE:
                return "models-role\n"
            case "/" if question.fields["Action"].startswith("AssumeRole"):
                return STS.format(action=question.fields["Action"], **self._keys())
            case "/keys":
                return json.dumps(self._keys())
            case path if path == f"{INSTANCE}models-role":
                return json.dumps({"Code": "Success", **self._keys()})
            case "/federated":
                return self._token("federated")
            case "/account:generateAccessToken":
                return json.dumps({"accessToken": f"{SECRET}-{self._name()}", "expireTime": self._end()})
            case _:
                return self._token(self._name())

    def _name(self) -> str:
        self.given += 1
        return self.names.pop(0) if self.names else "FINE"

    def _end(self) -> str:
        return (datetime.datetime.now(datetime.UTC) + self.life).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _keys(self) -> dict[str, str]:
        name = self._name()
        keys = {"AccessKeyId": f"ASIA{name}", "SecretAccessKey": f"secret-of-ASIA{name}", "Token": SECRET}
        return {**keys, "Expiration": self._end()}

    def _token(self, name: str) -> str:
        life = int(self.life.total_seconds())
        return json.dumps({"access_token": f"{SECRET}-{name}", "expires_in": life, "token_type": "Bearer"})
