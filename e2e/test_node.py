"""The SDKs for Node, and Vercel's AI SDK, against every provider: text, a stream, a tool call, an error."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from harness.processes import Gateway
from harness.speakers import MODELS

FOLDER = pathlib.Path(__file__).parent / "node"
ODD = 'Grüße ⚖ 🚚 "quoted" \\ back\tslash'
# By script and protocol, the error of a model that is not there.
WAYS = {
    ("openai.mjs", "openai"): "NotFoundError 404",
    ("openai.mjs", "openai-responses"): "NotFoundError 404",
    ("anthropic.mjs", "anthropic"): "NotFoundError 404",
    ("google.mjs", "gemini"): "ApiError 404",
    ("ai.mjs", "openai"): "APICallError 404",
    ("ai.mjs", "openai-responses"): "APICallError 404",
    ("ai.mjs", "anthropic"): "APICallError 404",
    ("ai.mjs", "gemini"): "APICallError 404",
}


def installed() -> pathlib.Path:
    """Where `npm ci` has put the packages."""
    return pathlib.Path(os.environ.get("WEIGHBRIDGE_NODE_MODULES") or FOLDER / "node_modules")


pytestmark = pytest.mark.skipif(
    not (installed() / "node/bin/node").exists(),
    reason="Node's packages are not installed: run `npm ci` in e2e/node, or set WEIGHBRIDGE_NODE_MODULES",
)


@pytest.fixture(scope="module")
def heard(served: Gateway, session_key: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a script hears from all providers; each script runs once."""
    folder = tmp_path_factory.mktemp("node")
    for script in FOLDER.glob("*.mjs"):
        (folder / script.name).symlink_to(script)
    (folder / "node_modules").symlink_to(installed())

    @functools.cache
    def run(script: str, way: str) -> dict[str, Any]:
        done = subprocess.run(
            [installed() / "node/bin/node", "--preserve-symlinks", "--preserve-symlinks-main", folder / script],
            input=json.dumps({"url": served.url, "key": session_key, "way": way, "models": MODELS}),
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize(("script", "way"), WAYS, ids=[f"{script[:-4]}-{way}" for script, way in WAYS])
def test_a_provider(gateway: Gateway, heard: Any, script: str, way: str, provider: str) -> None:
    told = heard(script, way)[provider]
    assert "failed" not in told, told["failed"]
    assert told["whole"] == told["streamed"] == ODD
    made = told["tool"]
    assert made["preface"] == "Let me look that up. ⚖" and made["name"] == "weigh"
    assert made["arguments"] == {"what": '"what" \\ é ⚖ 🚚\n\ttab', "grams": 7}
    # Vercel's package for Google wraps what a tool has returned.
    assert made["answer"].startswith("The tools answered: ") and "42 grams" in made["answer"]
    # Vercel's SDK goes on from its own account of what was said.
    assert made.get("next", ODD) == ODD and ("next" in made) == (script == "ai.mjs")
    assert told["missing"] == WAYS[script, way]
