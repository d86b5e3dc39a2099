"""The simulator's own answers satisfy the SDKs' strict response models, whole and streamed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from harness import strict
from harness.processes import Reply, Simulator, call
from judges import request_corpus

TEXTS = (
    "Hello",
    "echo:Grüße ⚖ 🚚",
    "call a tool",
    "call two tools in parallel, with a preface",
    "please refuse",
    "words:40",
)
VENDORS = ("openai", "anthropic")


def ask(simulator: Simulator, vendor: str, body: dict[str, Any]) -> Reply:
    path, headers = {
        "openai": ("/v1/chat/completions", {"authorization": "Bearer sk-1"}),
        "anthropic": ("/v1/messages", {"x-api-key": "sk-ant-1", "anthropic-version": request_corpus.api_version(body)}),
    }[vendor]
    return call(simulator.urls[vendor] + path, body, headers=headers)


def bodies(vendor: str) -> list[dict[str, Any]]:
    """Every valid body of the corpus, with every text."""
    found = []
    for body, text in itertools.product(request_corpus.valid(vendor), TEXTS):
        messages = [*body["messages"]]
        if messages[-1]["role"] == "user" and isinstance(messages[-1]["content"], str):
            messages[-1] = {**messages[-1], "content": text}
        found.append({**body, "messages": messages})
    return found


@pytest.mark.parametrize("vendor", VENDORS)
def test_whole_answers(simulator: Simulator, vendor: str) -> None:
    for body in bodies(vendor):
        reply = ask(simulator, vendor, {key: value for key, value in body.items() if not key.startswith("stream")})
        assert reply.status == 200, (body, reply.body)
        judge = strict.chat_completion if vendor == "openai" else strict.message
        judge(reply.body)


@pytest.mark.parametrize("vendor", VENDORS)
def test_streamed_answers(simulator: Simulator, vendor: str) -> None:
    for body in bodies(vendor):
        reply = ask(simulator, vendor, {**body, "stream": True})
        assert reply.status == 200, (body, reply.body)
        judge = strict.chat_stream if vendor == "openai" else strict.message_stream
        judge(reply.body)


@pytest.mark.parametrize("vendor", VENDORS)
def test_running_usage_is_still_a_valid_stream(simulator: Simulator, vendor: str) -> None:
    simulator.fail(vendor, "running-usage")
    reply = ask(simulator, vendor, {**bodies(vendor)[0], "stream": True})
    judge = strict.chat_stream if vendor == "openai" else strict.message_stream
    judge(reply.body)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_errors_have_the_vendors_shape(simulator: Simulator, vendor: str, status: int) -> None:
    simulator.fail(vendor, "status", code=status, retry_after=3)
    reply = ask(simulator, vendor, bodies(vendor)[0])
    assert reply.status == status and reply.headers["retry-after"] == "3"
    strict.error(vendor, reply.body)


def test_model_lists(simulator: Simulator) -> None:
    from anthropic.types import ModelInfo
    from openai.types import Model

    headers = {"authorization": "Bearer sk-1", "x-api-key": "sk-1", "anthropic-version": "2023-06-01"}
    for vendor, kind in (("openai", Model), ("anthropic", ModelInfo)):
        listed = call(f"{simulator.urls[vendor]}/v1/models", headers=headers).json()
        assert listed["data"]
        for model in listed["data"]:
            kind.model_validate(model)


def test_the_sdks_themselves_work_with_the_simulator(simulator: Simulator) -> None:
    import anthropic
    import openai

    chat = openai.OpenAI(base_url=f"{simulator.urls['openai']}/v1", api_key="sk-1", max_retries=0)
    answer = chat.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "echo:Hi"}])
    assert answer.choices[0].message.content == "Hi"

    claude = anthropic.Anthropic(base_url=simulator.urls["anthropic"], api_key="sk-1", max_retries=0)
    with claude.messages.stream(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": "echo:Hi"}]
    ) as stream:
        assert stream.get_final_text() == "Hi"
    with pytest.raises(openai.AuthenticationError):
        chat.with_options(api_key="sk-invalid").models.list()
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="sk-invalid").models.list()
