"""Answers of Responses that are kept, with the real SDK: read, gone on from, listed and deleted."""

from __future__ import annotations

import pathlib
import sqlite3

import openai
import pytest

from harness.processes import Gateway, Simulator

MODELS = pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"])
SECRET = "CANARY-0123456789"


def client_of(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def stored(gateway: Gateway) -> bytes:
    """Everything that lies in the gateway's folder, but for its log."""
    files = [path for path in pathlib.Path(gateway.folder).iterdir() if path.suffix != ".log"]
    return b"".join(path.read_bytes() for path in files)


@MODELS
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation(gateway: Gateway, session_key: str, simulator: Simulator, model: str, stream: bool) -> None:
    client = client_of(gateway, session_key)
    if stream:
        with client.responses.stream(model=model, input="echo:apples") as events:
            first = events.get_final_response()
    else:
        first = client.responses.create(model=model, input="echo:apples")
    # At once: nothing is waited for between the last byte and this.
    assert client.responses.retrieve(first.id).output_text == "apples"
    second = client.responses.create(model=model, input="echo:pears", previous_response_id=first.id)
    assert second.output_text == "pears"
    items = list(client.responses.input_items.list(second.id, order="asc", limit=2))
    assert [item.type for item in items] == ["message"] * 3
    elsewhere = client.responses.create(
        model="anthropic/claude-haiku-4-5", input="echo:plums", previous_response_id=second.id
    )
    assert elsewhere.output_text == "plums"
    said = [message["content"] for message in simulator.requests("anthropic")[-1]["body"]["messages"]]
    assert said == ["echo:apples", "apples", "echo:pears", "pears", "echo:plums"]

    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=model, input="echo:x", previous_response_id=first.id)
    assert raised.value.code == "previous_response_not_found"


@MODELS
def test_tenants_are_strangers(gateway: Gateway, session_key: str, model: str) -> None:
    kept = client_of(gateway, session_key).responses.create(model=model, input="echo:mine")
    stranger = client_of(gateway, gateway.create_key("--tenant", "stranger", name="stranger"))
    with pytest.raises(openai.NotFoundError):
        stranger.responses.retrieve(kept.id)
    with pytest.raises(openai.NotFoundError):
        stranger.responses.delete(kept.id)
    with pytest.raises(openai.BadRequestError):
        stranger.responses.create(model=model, input="echo:x", previous_response_id=kept.id)


@MODELS
def test_what_is_kept_outlives_the_process_and_lies_sealed(fresh_gateway: Gateway, fresh_key: str, model: str) -> None:
    client = client_of(fresh_gateway, fresh_key)
    kept = client.responses.create(model=model, input=f"echo:{SECRET}")
    assert fresh_gateway.stop() == 0, fresh_gateway.log()
    assert (fresh_gateway.folder / "weighbridge.kept.db").exists()
    assert SECRET.encode() not in stored(fresh_gateway) and SECRET not in fresh_gateway.log()
    fresh_gateway.start()
    assert client.responses.retrieve(kept.id).output_text == SECRET
    fresh_gateway.kill()
    fresh_gateway.start()
    again = client.responses.create(model=model, input="echo:on", previous_response_id=kept.id)
    assert again.output_text == "on"


def test_a_key_that_keeps_nothing(fresh_gateway: Gateway, simulator: Simulator) -> None:
    key = fresh_gateway.create_key("--no-store", name="forgetful")
    client = client_of(fresh_gateway, key)
    for model in ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]:
        answer = client.responses.create(model=model, input="echo:gone")
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(answer.id)
    assert simulator.requests("openai")[-1]["body"]["store"] is False
    assert fresh_gateway.stop() == 0, fresh_gateway.log()
    with sqlite3.connect(fresh_gateway.folder / "weighbridge.kept.db") as store:
        assert store.execute("SELECT count(*) FROM kept").fetchone() == (0,)
