"""Requests on bare connections: for clients that leave, or that read as slowly as they like."""

from __future__ import annotations

import json
import socket
from typing import Any

from harness.gemini_speaker import Gemini
from harness.load import PATHS
from harness.processes import Gateway


def begin(
    gateway: Gateway, key: str, speaks: str, body: dict[str, Any], stream: bool, receive_buffer: int | None = None
) -> socket.socket:
    """A request of a speaker's body on a connection of its own, sent and not answered."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = PATHS[speaks].format(model=body["model"], method=method)
    sent = json.dumps(Gemini.wire(body) if speaks == "gemini" else {**body, "stream": stream}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nauthorization: Bearer {key}\r\n"
    head += "anthropic-version: 2023-06-01\r\n" if speaks == "anthropic" else ""
    head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", gateway.port))
    connection.sendall(head.encode() + sent)
    return connection
