"""The binaries under test, each started on free ports and ended with its test."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

REPOSITORY = pathlib.Path(__file__).parents[2]
VENDORS = ("openai", "anthropic", "google", "aws")
# A certificate for localhost and 127.0.0.1, its key, and the authority that nobody else trusts.
TLS = REPOSITORY / "crates/upstream/tests/loopback/tls"


def binary(name: str, variable: str) -> pathlib.Path:
    """A built binary: named by the environment, or the newest in cargo's target directory."""
    if named := os.environ.get(variable):
        return pathlib.Path(named)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [path for profile in ("release", "debug") if (path := target / profile / name).exists()]
    if not built:
        raise FileNotFoundError(f"{name} is not built: run `cargo build` or set {variable}")
    return max(built, key=lambda path: path.stat().st_mtime)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(url: str, body: Any = None, method: str | None = None, headers: dict[str, str] | None = None) -> Reply:
    """One HTTP request; any status is a reply."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    if data is not None:
        request.add_header("content-type", "application/json")
    try:
        trust = ssl.create_default_context(cafile=TLS / "ca.pem") if url.startswith("https:") else None
        with urllib.request.urlopen(request, timeout=60, context=trust) as response:
            return Reply(response.status, dict(response.headers.items()), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers.items()), error.read())


class Reply:
    """Status, headers (names in lower case) and body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class Simulator:
    """All simulated providers, in one process; on demand over TLS, in HTTP/2 with whoever prefers it."""

    def __init__(self, tls: bool = False) -> None:
        program = binary("weighbridge-simulator", "WEIGHBRIDGE_SIMULATOR_BIN")
        arguments = [argument for vendor in VENDORS for argument in (f"--{vendor}", "127.0.0.1:0")]
        if tls:
            arguments += ["--tls-cert", TLS / "server.pem", "--tls-key", TLS / "server.key"]
        self.process = subprocess.Popen(
            [program, *arguments, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.urls: dict[str, str] = json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def control(self, vendor: str, route: str, body: Any = None, method: str | None = None) -> Any:
        """Calls a control route; see `crates/simulator/src/server.rs`."""
        reply = call(f"{self.urls[vendor]}/__sim/{route}", body, method)
        assert reply.status == 200, reply.body
        return reply.json()

    def fail(self, vendor: str, kind: str, **fields: Any) -> None:
        """Queues a fault."""
        self.control(vendor, "faults", {"faults": [{"kind": kind, **fields}]})

    def invoice(self) -> list[dict[str, Any]]:
        """All vendors' invoices."""
        return [line for vendor in VENDORS for line in self.control(vendor, "invoice")["lines"]]

    def requests(self, vendor: str) -> list[dict[str, Any]]:
        """What the vendor received."""
        return self.control(vendor, "requests")["requests"]

    def open_answers(self) -> int:
        """Answers that a vendor is still giving."""
        return sum(self.control(vendor, "state")["open"] for vendor in VENDORS)

    def forget(self) -> None:
        """Starts with an empty invoice and no faults."""
        for vendor in VENDORS:
            self.control(vendor, "faults", method="DELETE")
            self.control(vendor, "mix", {"faults": []})
            self.control(vendor, "forget", b"")


class Gateway:
    """`weighbridge serve` in front of a simulator, with a data folder of its own."""

    def __init__(
        self,
        folder: pathlib.Path,
        simulator: Simulator,
        timeouts: dict[str, str] | None = None,
        storage: str | None = None,
        shared: dict[str, str] | None = None,
    ) -> None:
        self.shared = shared or {}
        self.storage = storage or f"sqlite:{folder}/weighbridge.db"
        self.program = binary("weighbridge", "WEIGHBRIDGE_BIN")
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "weighbridge.toml"
        self.config.write_text(self._configuration(simulator, timeouts or {}, {}))
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, simulator: Simulator, server: dict[str, str], timeouts: dict[str, str] | None = None) -> None:
        """Adds keys to `[server]`, and changes the providers' limits of time, before the start."""
        self.config.write_text(self._configuration(simulator, timeouts or {}, server))

    def _configuration(self, simulator: Simulator, timeouts: dict[str, str], server: dict[str, str]) -> str:
        said = "\n".join(f'{name} = "{value}"' for name, value in {"drain_timeout": "5s", **server}.items())
        limits = {"connect": "2s", "first_byte": "5s", "idle": "5s", "total": "60s", **timeouts}
        shared = "\n".join(f'{name} = "{value}"' for name, value in self.shared.items())
        inline = ", ".join(f'{name} = "{value}"' for name, value in limits.items())
        return f"""
[server]
listen = "127.0.0.1:{self.port}"
key_pepper = "e2e-pepper-0123456789abcdef0123456789abcdef"
{said}

[storage]
url = "{self.storage}"
{shared}

[providers.openai]
base_url = "{simulator.urls["openai"]}/v1"
api_keys = ["sk-simulated-openai"]
timeouts = {{ {inline} }}

[providers.anthropic]
base_url = "{simulator.urls["anthropic"]}"
api_keys = ["sk-ant-simulated"]
timeouts = {{ {inline} }}

[providers.responses]
preset = "openai"
protocol = "openai-responses"
base_url = "{simulator.urls["openai"]}/v1"
api_keys = ["sk-simulated-responses"]
timeouts = {{ {inline} }}

[providers.gemini]
base_url = "{simulator.urls["google"]}/v1beta"
api_keys = ["AIza-simulated"]
timeouts = {{ {inline} }}

[providers.vertex]
base_url = "{simulator.urls["google"]}/v1/projects/scales/locations/europe-west4"
region = "europe-west4"
project = "scales"
# The simulator bills what the global endpoint does.
price_as = "vertex"
api_keys = ["ya29.simulated"]
timeouts = {{ {inline} }}

# Signed: the simulator checks each signature, with `secret-of-` and the id as the key.
[providers.bedrock]
protocol = "bedrock-converse"
base_url = "{simulator.urls["aws"]}"
region = "eu-central-1"
aws = {{ access_key_id = "AKIASIMULATED", secret_access_key = "secret-of-AKIASIMULATED" }}
timeouts = {{ {inline} }}

[models.failover-to-openai]
targets = ["anthropic/claude-haiku-4-5"]
fallbacks = ["openai/gpt-4o-mini"]

[models.failover-to-anthropic]
targets = ["openai/gpt-4o-mini"]
fallbacks = ["anthropic/claude-haiku-4-5"]

[log]
requests = false
"""

    def launch(self, **options: Any) -> Gateway:
        """Serves; it may die before it is ready. `options` are those of `Popen`."""
        with (self.folder / "gateway.log").open("ab") as log:
            arguments = [self.program, "serve", "--config", self.config]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, **options)
        return self

    def start(self, **options: Any) -> Gateway:
        """Serves, and waits until it is ready."""
        self.launch(**options)
        assert self.process
        deadline = time.monotonic() + 20
        while True:
            try:
                if call(f"{self.url}/readyz").status == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the gateway is not ready:\n{self.log()}")
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, then the exit status; it must drain and end by itself."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process
        self.process.kill()
        self.process.wait(timeout=10)

    def log(self) -> str:
        """Everything that it has written."""
        path = self.folder / "gateway.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def command(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a subcommand with the same configuration. `options` are those of `run`."""
        done = subprocess.run(
            [self.program, *arguments, "--config", self.config], capture_output=True, text=True, timeout=60, **options
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def create_key(self, *arguments: str, name: str = "e2e") -> str:
        """Makes a virtual key and returns its secret. A running gateway promises to know it in a second."""
        created = json.loads(self.command("keys", "create", "--name", name, "--json", *arguments).stdout)
        key = next(value for value in created.values() if isinstance(value, str) and value.startswith("wb-"))
        deadline = time.monotonic() + 2
        while self.process and call(f"{self.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status == 401:
            assert time.monotonic() < deadline, "the gateway does not learn of a new key"
            time.sleep(0.02)
        return key
