"""Tokens are counted and models listed as each SDK asks for it, whatever the provider has to say to that."""

from __future__ import annotations

import pytest

from harness.processes import Gateway
from harness.speakers import MODELS, PROVIDERS, Assistant, User, speaker

EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)
TURNS = [User("How much does it weigh?"), Assistant("What do you mean?"), User("words:3 of a longer question")]


@EVERY_PROVIDER
def test_messages(gateway: Gateway, session_key: str, provider: str) -> None:
    claude = speaker("anthropic", gateway.url, session_key)
    body = claude.body(MODELS[provider], TURNS, system="Be exact.")
    asked = {name: value for name, value in body.items() if name != "max_tokens"}
    counted = claude.client.messages.count_tokens(**asked).input_tokens
    assert 10 < counted < 100
    if provider in ("anthropic", "gemini", "vertex"):
        # The provider itself has counted.
        assert counted == pytest.approx(claude.say(body, stream=False).input_tokens, abs=3)


@EVERY_PROVIDER
def test_gemini(gateway: Gateway, session_key: str, provider: str) -> None:
    google = speaker("gemini", gateway.url, session_key)
    contents = google.body(MODELS[provider], TURNS)["contents"]
    counted = google.client.models.count_tokens(model=MODELS[provider], contents=contents)
    assert 10 < counted.total_tokens < 100


@EVERY_PROVIDER
def test_responses(gateway: Gateway, session_key: str, provider: str) -> None:
    chat = speaker("openai-responses", gateway.url, session_key)
    items = chat.body(MODELS[provider], TURNS)["input"]
    counted = chat.client.responses.input_tokens.count(model=MODELS[provider], input=items)
    assert 10 < counted.input_tokens < 100


def test_models_for_google(gateway: Gateway, session_key: str) -> None:
    client = speaker("gemini", gateway.url, session_key).client
    listed = {model.name.removeprefix("models/"): model for model in client.models.list(config={"page_size": 50})}
    assert set(MODELS.values()) <= set(listed)
    flash = listed[MODELS["gemini"]]
    assert flash.input_token_limit and flash.output_token_limit
    assert "generateContent" in flash.supported_actions
    assert client.models.get(model=MODELS["anthropic"]).name == f"models/{MODELS['anthropic']}"
