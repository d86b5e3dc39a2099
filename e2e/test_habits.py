"""What each SDK does beside plain answers: parsed output, function calling by itself, vectors, lists, async."""

from __future__ import annotations

import asyncio
from typing import Any

import pydantic
import pytest

from harness import books
from harness.processes import Gateway, Simulator, call
from harness.speakers import MODELS, PROVIDERS, User, speaker

EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)
STRUCTURED = pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "bedrock"])
VECTORS = {
    "openai": "openai/text-embedding-3-small",
    "gemini": "gemini/gemini-embedding-001",
    "bedrock": "bedrock/amazon.titan-embed-text-v2:0",
}


class Load(pydantic.BaseModel):
    """What an answer is parsed into."""

    grams: int
    unit: str


@STRUCTURED
def test_openai_parses_chats(gateway: Gateway, session_key: str, provider: str) -> None:
    client = speaker("openai", gateway.url, session_key).client
    user: Any = [{"role": "user", "content": "hello"}]
    parsed = client.chat.completions.parse(model=MODELS[provider], messages=user, response_format=Load)
    assert parsed.choices[0].message.parsed.grams == 7
    with client.chat.completions.stream(model=MODELS[provider], messages=user, response_format=Load) as events:
        assert events.get_final_completion().choices[0].message.parsed.grams == 7


@STRUCTURED
def test_openai_parses_responses(gateway: Gateway, session_key: str, provider: str) -> None:
    client = speaker("openai-responses", gateway.url, session_key).client
    parsed = client.responses.parse(model=MODELS[provider], input="hello", text_format=Load, store=False)
    assert parsed.output_parsed.grams == 7
    with client.responses.stream(model=MODELS[provider], input="hello", text_format=Load, store=False) as events:
        assert events.get_final_response().output_parsed.grams == 7


@STRUCTURED
def test_anthropic_parses(gateway: Gateway, session_key: str, provider: str) -> None:
    client = speaker("anthropic", gateway.url, session_key).client
    user: Any = [{"role": "user", "content": "hello"}]
    parsed = client.messages.parse(model=MODELS[provider], max_tokens=1000, messages=user, output_format=Load)
    assert parsed.parsed_output.grams == 7


@STRUCTURED
def test_google_parses(gateway: Gateway, session_key: str, provider: str) -> None:
    client = speaker("gemini", gateway.url, session_key).client
    config = {"response_mime_type": "application/json", "response_schema": Load}
    parsed = client.models.generate_content(model=MODELS[provider], contents="hello", config=config)
    assert parsed.parsed.grams == 7


@EVERY_PROVIDER
def test_google_calls_functions_by_itself(gateway: Gateway, session_key: str, provider: str) -> None:
    client = speaker("gemini", gateway.url, session_key).client
    weighed = []

    def weigh(what: str, grams: int) -> str:
        """Weighs something."""
        weighed.append((what, grams))
        return "42 grams"

    answer = client.models.generate_content(model=MODELS[provider], contents="use a tool", config={"tools": [weigh]})
    assert weighed == [('"what" \\ é ⚖ 🚚\n\ttab', 7)]
    # The SDK wraps what is no object into one.
    assert answer.text.startswith("The tools answered: ") and "42 grams" in answer.text
    chat = client.chats.create(model=MODELS[provider])
    assert chat.send_message("echo:one").text == "one" and chat.send_message("echo:two").text == "two"


@EVERY_PROVIDER
def test_asynchronous_clients(gateway: Gateway, session_key: str, provider: str) -> None:
    import anthropic
    import openai

    async def speak() -> None:
        model: str = MODELS[provider]
        user: Any = [{"role": "user", "content": "echo:Hi"}]
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=session_key, max_retries=0) as chat:
            said = await chat.responses.create(model=model, input="echo:Hi", store=False)
            assert said.output_text == "Hi"
            pieces = await chat.chat.completions.create(model=model, messages=user, stream=True)
            texts = [piece.choices[0].delta.content or "" async for piece in pieces if piece.choices]
            assert "".join(texts) == "Hi"
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=session_key, max_retries=0) as claude:
            async with claude.messages.stream(model=model, max_tokens=100, messages=user) as stream:
                assert await stream.get_final_text() == "Hi"
        google = speaker("gemini", gateway.url, session_key).client.aio
        streamed = await google.models.generate_content_stream(model=model, contents="echo:Hi")
        assert "".join([piece.text or "" async for piece in streamed]) == "Hi"

    asyncio.run(speak())


@pytest.mark.parametrize("provider", VECTORS)
def test_vectors(gateway: Gateway, session_key: str, provider: str) -> None:
    model = VECTORS[provider]
    chat = speaker("openai", gateway.url, session_key).client
    google = speaker("gemini", gateway.url, session_key).client
    # Titan takes one text at a time, and the gateway does not make several requests of one.
    texts = ["one"] if provider == "bedrock" else ["one", "another text"]
    sizes = [256] * len(texts)
    # The SDK asks for base64 by itself.
    made = chat.embeddings.create(model=model, input=texts, dimensions=256)
    assert [len(item.embedding) for item in made.data] == sizes and made.usage.prompt_tokens > 0
    plain = chat.embeddings.create(model=model, input="one", dimensions=256, encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(made.data[0].embedding, rel=1e-5)
    config = {"output_dimensionality": 256}
    googles = google.models.embed_content(model=model, contents=texts, config=config)
    assert [len(item.values) for item in googles.embeddings] == sizes
    assert googles.embeddings[0].values == pytest.approx(made.data[0].embedding, rel=1e-5)


def test_google_under_v1(gateway: Gateway, session_key: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "echo:Hi"}]}]}
    for root in ("v1", "v1beta"):
        # The key may be a query's, as in Google's own examples.
        url = f"{gateway.url}/{root}/models/{MODELS['anthropic']}:generateContent?key={session_key}"
        answer = call(url, body).json()
        assert answer["candidates"][0]["content"]["parts"] == [{"text": "Hi"}], root


def test_ledger_and_invoice_agree_over_all_vendors(
    fresh_gateway: Gateway, simulator: Simulator, fresh_key: str
) -> None:
    clients = [speaker(speaks, fresh_gateway.url, fresh_key) for speaks in ("openai-responses", "gemini")]
    for provider in PROVIDERS.values():
        for client in clients:
            for stream in (False, True):
                client.say(client.body(provider.thinking, [User("words:30 cached:3")], think=1024), stream)
    google = clients[1].client
    for model in VECTORS.values():
        google.models.embed_content(model=model, contents="a text")
    found = books.assert_equal(fresh_gateway, simulator)
    assert len(found) == 4 * len(PROVIDERS) + len(VECTORS)
    # Google tells no usage of vectors.
    answers = [entry for entry in found if "embed" not in entry["model"]]
    assert {entry["provenance"] for entry in answers} == {"reported"}
