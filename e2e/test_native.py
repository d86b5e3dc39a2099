"""Calls that the gateway passes on as they are: files and batches, as the SDK makes them."""

from __future__ import annotations

import io

import openai
import pytest

from harness import books
from harness.processes import Gateway, Simulator, call

TASKS = b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/native/openai/v1", api_key=key, max_retries=0)


def test_files_and_batches(gateway: Gateway, simulator: Simulator) -> None:
    key = gateway.create_key("--native", name="native")
    sdk = client(gateway, key)
    file = sdk.files.create(file=("tasks.jsonl", io.BytesIO(TASKS)), purpose="batch")
    assert file.bytes == len(TASKS) and file.purpose == "batch"
    assert file.id in {listed.id for listed in sdk.files.list()}
    assert sdk.files.content(file.id).read() == TASKS
    batch = sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert sdk.batches.retrieve(batch.id).status == "validating"
    assert batch.id in {listed.id for listed in sdk.batches.list()}
    assert sdk.batches.cancel(batch.id).status == "cancelling"
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such file"):
        sdk.files.retrieve(file.id)
    assert not any(key in str(request) for request in simulator.requests("openai"))


def test_a_large_file_passes_piece_by_piece(gateway: Gateway) -> None:
    sdk = client(gateway, gateway.create_key("--native", name="large"))
    content = bytes(range(256)) * 4096 * 40  # 40 MiB, more than a body may have elsewhere
    file = sdk.files.create(file=("large.bin", io.BytesIO(content)), purpose="user_data")
    assert file.bytes == len(content)
    assert sdk.files.content(file.id).read() == content
    sdk.files.delete(file.id)


def test_only_keys_that_were_told_so(gateway: Gateway, session_key: str) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="no native calls"):
        client(gateway, session_key).files.list()
    poor = gateway.create_key("--native", "--budget-usd-per-month", "5", name="poor-native")
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client(gateway, poor).batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert refused.value.code == "native_unpriced"
    headers = {"authorization": f"Bearer {poor}"}
    for path in ("/native/openai/%2e%2e/v1/files", "/native/openai//example.com/v1/files"):
        assert call(gateway.url + path, headers=headers).status == 400


def test_what_is_known_is_in_the_books(fresh_gateway: Gateway, simulator: Simulator) -> None:
    sdk = client(fresh_gateway, fresh_gateway.create_key("--native", name="native"))
    messages = [{"role": "user", "content": "echo:weighed"}]
    answer = sdk.chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert answer.choices[0].message.content == "weighed"
    stream = sdk.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "weighed"
    assert len(books.assert_equal(fresh_gateway, simulator)) == 2
