"""Answers of Responses that are kept, with the real SDK: read, gone on from, named, listed and deleted."""

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
@pytest.mark.parametrize("elsewhere", ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"])
def test_items_are_named_by_their_ids(
    gateway: Gateway, session_key: str, simulator: Simulator, model: str, elsewhere: str
) -> None:
    client = client_of(gateway, session_key)
    first = client.responses.create(model=model, input="echo:apples")
    asked = client.responses.input_items.list(first.id).data[0]
    named = [{"type": "item_reference", "id": asked.id}, {"type": "item_reference", "id": first.output[-1].id}]
    second = client.responses.create(model=elsewhere, input=[*named, {"role": "user", "content": "echo:pears"}])
    assert second.output_text == "pears"
    if elsewhere.startswith("anthropic"):
        said = [message["content"] for message in simulator.requests("anthropic")[-1]["body"]["messages"]]
        assert said == ["echo:apples", "apples", "echo:pears"]
    items = list(client.responses.input_items.list(second.id, order="asc"))
    assert [item.id for item in items[:2]] == [asked.id, first.output[-1].id]
    size = client.responses.input_tokens.count(model=elsewhere, input=[*named, {"role": "user", "content": "?"}])
    assert size.input_tokens > 2

    stranger = client_of(gateway, gateway.create_key("--tenant", "stranger-of-items", name="stranger-of-items"))
    for other, id in [(stranger, first.output[-1].id), (client, "msg_made_up")]:
        with pytest.raises(openai.NotFoundError) as raised:
            other.responses.create(model=elsewhere, input=[{"type": "item_reference", "id": id}])
        assert f"Item with id '{id}' not found." in str(raised.value) and raised.value.param == "input"


@MODELS
def test_a_kept_answer_is_streamed_again(gateway: Gateway, session_key: str, model: str) -> None:
    client = client_of(gateway, session_key)
    tools: list[openai.types.responses.FunctionToolParam] = [
        {"type": "function", "name": "weigh", "strict": False, "parameters": {"type": "object", "properties": {}}}
    ]
    first = client.responses.create(model=model, input='call:weigh {"what": "a"}', tools=tools)
    events = list(client.responses.retrieve(first.id, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed" and last.response.to_dict() == first.to_dict()
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert done == [item.arguments for item in first.output if item.type == "function_call"] and done
    rest = list(client.responses.retrieve(first.id, stream=True, starting_after=3))
    assert rest == events[4:]
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(first.id)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_names_the_one_that_its_client_went_on_from(
    gateway: Gateway, session_key: str, simulator: Simulator, stream: bool
) -> None:
    client = client_of(gateway, session_key)
    first = client.responses.create(model="anthropic/claude-haiku-4-5", input="echo:apples")
    # To a provider that speaks Responses, and has never heard of it.
    asked = {"model": "openai/gpt-4o-mini", "input": "echo:pears", "previous_response_id": first.id}
    if stream:
        with client.responses.create(**asked, stream=True) as events:
            told = [event.response for event in events if hasattr(event, "response")]
        assert [answer.status for answer in told] == ["in_progress", "in_progress", "completed"]
    else:
        told = [client.responses.create(**asked)]
    assert simulator.requests("openai")[-1]["body"]["previous_response_id"] is None
    assert {answer.previous_response_id for answer in told} == {first.id}
    assert client.responses.retrieve(told[-1].id).previous_response_id == first.id


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
