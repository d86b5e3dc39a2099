"""A private Redis server: in a temporary folder, on a port of its own, gone with the tests.

On demand it takes encrypted connections there, and no others.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import pytest

from harness.processes import TLS, free_port


class Redis:
    """A server, with a few words of its protocol for an onlooker."""

    def __init__(self, tls: bool = False) -> None:
        if not shutil.which("redis-server"):
            if os.environ.get("WEIGHBRIDGE_REQUIRE_REDIS") == "1":
                pytest.fail("Redis is required and not installed: `apt-get install redis-server`")
            pytest.skip("Redis is not installed (Debian: `apt-get install redis-server`)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weighbridge-redis-"))
        self.port = free_port()
        self.tls = ssl.create_default_context(cafile=TLS / "ca.pem") if tls else None
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Redis:
        """Serves, with nothing of what it had."""
        # However the tests end, the server must not outlive them.
        command = ["setpriv", "--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        if self.tls:
            command += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            command += ["--tls-cert-file", str(TLS / "server.pem"), "--tls-key-file", str(TLS / "server.key")]
            command += ["--tls-ca-cert-file", str(TLS / "ca.pem")]
        else:
            command += ["--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.say("PING") == "+PONG":
                    return self
            except OSError:
                pass
            assert time.monotonic() < deadline and self.process.poll() is None, "Redis does not answer"
            time.sleep(0.02)

    def say(self, *words: str) -> str:
        """Sends a command; the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            connection = self.tls.wrap_socket(plain, server_hostname="127.0.0.1") if self.tls else plain
            parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return connection.makefile("r").readline().strip()

    def freeze(self) -> None:
        """It keeps its connections and answers nobody."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)

    def close(self) -> None:
        """Ends it and deletes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
