"""Agents that people run all day finish a prompt with a tool call, over protocols that they do not know."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from harness.processes import Gateway
from harness.speakers import MODELS

SECRET = "weighed: 42 grams"
# What the simulated model is told to do; see `crates/simulator/src/script.rs`.
ASKED = "Please call:{tool} {arguments} and tell me what is in the note."


def installed() -> pathlib.Path:
    """Where `npm ci` has put the agents."""
    named = os.environ.get("WEIGHBRIDGE_AGENT_MODULES")
    return pathlib.Path(named or pathlib.Path(__file__).parent / "agents/node_modules")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (installed() / ".bin/codex").exists(),
        reason="the agents are not installed: run `npm ci` in e2e/agents, or set WEIGHBRIDGE_AGENT_MODULES",
    ),
]


class Desk:
    """A home and a working folder of the agent's own, with a note in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self.note = self.work / "note.txt"
        self.note.write_text(f"{SECRET}\n")

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """What the agent prints. It reaches nothing but this machine: everything else goes to a dead proxy."""
        nowhere = "http://127.0.0.1:9"
        done = subprocess.run(
            [installed() / ".bin" / program, *arguments],
            cwd=self.work,
            env={
                "PATH": f"{installed()}/node/bin:{os.environ['PATH']}",
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                "NO_PROXY": "127.0.0.1",
                **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> Desk:
    return Desk(tmp_path)


def asked(tool: str, **arguments: Any) -> str:
    return ASKED.format(tool=tool, arguments=json.dumps(arguments))


@pytest.mark.parametrize("provider", [name for name in MODELS if name != "anthropic"])
def test_claude_code(gateway: Gateway, session_key: str, desk: Desk, provider: str) -> None:
    told = desk.run(
        "claude",
        *("-p", asked("Read", file_path=str(desk.note)), "--output-format", "json"),
        *("--tools", "Read", "--allowed-tools", "Read"),
        ANTHROPIC_BASE_URL=gateway.url,
        ANTHROPIC_API_KEY=session_key,
        ANTHROPIC_MODEL=MODELS[provider],
        ANTHROPIC_SMALL_FAST_MODEL=MODELS[provider],
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        DISABLE_ERROR_REPORTING="1",
        DISABLE_TELEMETRY="1",
    )
    result = json.loads(told)
    assert result["subtype"] == "success" and not result["is_error"], told
    assert result["num_turns"] == 2 and SECRET in result["result"], told


@pytest.mark.parametrize("provider", [name for name in MODELS if not name.startswith("openai")])
def test_codex(gateway: Gateway, session_key: str, desk: Desk, provider: str) -> None:
    settings = desk.home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(f"""
model = "{MODELS[provider]}"
model_provider = "weighbridge"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[model_providers.weighbridge]
name = "Weighbridge"
base_url = "{gateway.url}/v1"
env_key = "WEIGHBRIDGE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
""")
    told = desk.run(
        "codex",
        *("exec", "--skip-git-repo-check", "--json", asked("exec_command", cmd="cat note.txt")),
        WEIGHBRIDGE_KEY=session_key,
    )
    events = [json.loads(line) for line in told.splitlines()]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    assert any(item["type"] == "command_execution" and SECRET in item["aggregated_output"] for item in items), told
    assert any(item["type"] == "agent_message" and SECRET in item["text"] for item in items), told
    assert events[-1]["type"] == "turn.completed", told


@pytest.mark.parametrize("provider", [name for name in MODELS if name not in ("gemini", "vertex")])
def test_gemini_cli(gateway: Gateway, session_key: str, desk: Desk, provider: str) -> None:
    settings = desk.home / ".gemini"
    settings.mkdir()
    chosen = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
    }
    (settings / "settings.json").write_text(json.dumps(chosen))
    told = desk.run(
        "gemini",
        *("-p", asked("read_file", file_path=str(desk.note)), "-m", MODELS[provider]),
        *("--output-format", "json", "--approval-mode", "yolo"),
        GOOGLE_GEMINI_BASE_URL=gateway.url,
        GEMINI_API_KEY=session_key,
    )
    result = json.loads(told[told.index("{") :])
    assert SECRET in result["response"], told
    assert result["stats"]["tools"]["totalSuccess"] == 1, told
