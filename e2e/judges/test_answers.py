"""The simulator's own answers satisfy the SDKs' strict response models, whole and streamed."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from harness import strict
from harness.processes import Reply, Simulator, call
from judges import request_corpus
from judges.apis import APIS, CLAUDE_ON_BEDROCK, GENERATING

TEXTS = (
    "Hello",
    "echo:Grüße ⚖ 🚚",
    "call a tool",
    "call two tools in parallel, with a preface",
    "please refuse",
    "words:40",
)


def ask(simulator: Simulator, api: str, body: dict[str, Any], stream: bool = False) -> Reply:
    asked = APIS[api]
    target = simulator.urls[asked.vendor] + asked.target(body, stream)
    return call(target, asked.streamed(body) if stream else body, headers=asked.headers(body))


def bodies(api: str) -> list[dict[str, Any]]:
    """Every valid body of the corpus, with every text."""
    return [_saying(body, text) for body, text in itertools.product(request_corpus.valid(api), TEXTS)]


def _saying(body: dict[str, Any], text: str) -> dict[str, Any]:
    """The body with this as its last user text, where that is one text."""
    if "contents" in body and [*body["contents"][-1]["parts"][0]] == ["text"]:
        *before, last = body["contents"]
        return {**body, "contents": [*before, {**last, "parts": [{"text": text}, *last["parts"][1:]]}]}
    if "messages" in body and body["messages"][-1]["content"] == [{"text": "Hello"}]:
        return {**body, "messages": [*body["messages"][:-1], {"role": "user", "content": [{"text": text}]}]}
    for field in ("messages", "input"):
        said = body.get(field)
        if isinstance(said, str):
            return {**body, field: text}
        if isinstance(said, list) and said[-1].get("role") == "user" and isinstance(said[-1].get("content"), str):
            return {**body, field: [*said[:-1], {**said[-1], "content": text}]}
    return body


@pytest.mark.parametrize("api", GENERATING)
def test_whole_answers(simulator: Simulator, api: str) -> None:
    for body in bodies(api):
        reply = ask(simulator, api, {key: value for key, value in body.items() if not key.startswith("stream")})
        assert reply.status == 200, (body, reply.body)
        strict.WHOLE[api](reply.body)


@pytest.mark.parametrize("api", GENERATING)
def test_streamed_answers(simulator: Simulator, api: str) -> None:
    for body in bodies(api):
        reply = ask(simulator, api, body, stream=True)
        assert reply.status == 200, (body, reply.body)
        strict.STREAM[api](reply.body)


@pytest.mark.parametrize("api", GENERATING)
def test_running_usage_is_still_a_valid_stream(simulator: Simulator, api: str) -> None:
    simulator.fail(APIS[api].vendor, "running-usage")
    strict.STREAM[api](ask(simulator, api, bodies(api)[0], stream=True).body)


@pytest.mark.parametrize("api", GENERATING)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_errors_have_the_vendors_shape(simulator: Simulator, api: str, status: int) -> None:
    vendor = APIS[api].vendor
    simulator.fail(vendor, "status", code=status, retry_after=3)
    reply = ask(simulator, api, bodies(api)[0])
    assert reply.status == status
    assert strict.retry_after(vendor, reply.headers, reply.body) == 3
    strict.error(vendor, reply.body, reply.headers)


def test_gemini_without_server_sent_events(simulator: Simulator) -> None:
    for body in bodies("gemini"):
        target = simulator.urls["google"] + APIS["gemini"].target(body, True).removesuffix("?alt=sse")
        reply = call(target, body, headers=APIS["gemini"].headers(body))
        assert reply.status == 200, (body, reply.body)
        strict.content_pieces([json.dumps(piece) for piece in reply.json()])


def test_embeddings_and_counts_of_google(simulator: Simulator) -> None:
    from google.genai.types import CountTokensResponse, EmbedContentResponse

    headers = {"x-goog-api-key": "AIza-1"}
    url = f"{simulator.urls['google']}/v1beta/models"
    text = {"parts": [{"text": "Hello"}]}
    asked = {"requests": [{"model": "models/gemini-embedding-001", "content": text, "outputDimensionality": 8}]}
    embedded = call(f"{url}/gemini-embedding-001:batchEmbedContents", asked, headers=headers)
    assert len(EmbedContentResponse.model_validate_json(embedded.body).embeddings[0].values) == 8
    counted = call(f"{url}/gemini-2.5-flash:countTokens", {"contents": [text]}, headers=headers).json()
    # The SDK's class has no name for the details.
    assert counted.pop("promptTokensDetails")
    assert CountTokensResponse.model_validate(counted).total_tokens == 3


def test_model_lists(simulator: Simulator) -> None:
    from anthropic.types import ModelInfo
    from openai.types import Model

    headers = {"authorization": "Bearer sk-1", "x-api-key": "sk-1", "anthropic-version": "2023-06-01"}
    for vendor, kind in (("openai", Model), ("anthropic", ModelInfo)):
        listed = call(f"{simulator.urls[vendor]}/v1/models", headers=headers).json()
        assert listed["data"]
        for model in listed["data"]:
            kind.model_validate(model)


def google_client(simulator: Simulator, key: str = "AIza-1") -> Any:
    import google.genai

    options = google.genai.types.HttpOptions(base_url=simulator.urls["google"])
    return google.genai.Client(api_key=key, http_options=options)


def aws_client(simulator: Simulator, secret: str = "secret-of-AKIASIM") -> Any:
    import botocore.config
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials("AKIASIM", secret)
    options = botocore.config.Config(retries={"total_max_attempts": 1})
    url = simulator.urls["aws"]
    return session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=options)


def test_the_sdks_themselves_work_with_the_simulator(simulator: Simulator) -> None:
    import anthropic
    import botocore.exceptions
    import google.genai.errors
    import openai

    chat = openai.OpenAI(base_url=f"{simulator.urls['openai']}/v1", api_key="sk-1", max_retries=0)
    answer = chat.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "echo:Hi"}])
    assert answer.choices[0].message.content == "Hi"

    said = chat.responses.create(model="gpt-4o-mini", input="echo:Hi")
    assert said.output_text == "Hi"
    assert chat.responses.retrieve(said.id) == said
    with chat.responses.stream(model="gpt-4o-mini", input="echo:Hi", previous_response_id=said.id) as events:
        assert events.get_final_response().output_text == "Hi"
    for extra in ({"encoding_format": "float"}, {"dimensions": 8}):
        embedded = chat.embeddings.create(model="text-embedding-3-small", input=["a", "text"], **extra)
        assert {len(item.embedding) for item in embedded.data} == {extra.get("dimensions", 1536)}
    counted = chat.responses.input_tokens.count(model="gpt-4o-mini", input="echo:Hi")
    assert said.usage and counted.input_tokens == said.usage.input_tokens

    claude = anthropic.Anthropic(base_url=simulator.urls["anthropic"], api_key="sk-1", max_retries=0)
    with claude.messages.stream(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": "echo:Hi"}]
    ) as stream:
        assert stream.get_final_text() == "Hi"
    hello: Any = [{"role": "user", "content": "echo:Hi"}]
    counted_message = claude.messages.count_tokens(model="claude-haiku-4-5", messages=hello)
    billed = claude.messages.create(model="claude-haiku-4-5", max_tokens=10, messages=hello).usage.input_tokens
    assert counted_message.input_tokens == billed
    gemini = google_client(simulator)
    asked = gemini.models.generate_content(model="gemini-2.5-flash", contents="echo:Hi")
    assert asked.text == "Hi" and asked.usage_metadata.prompt_token_count == 3
    pieces = gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="echo:Hi")
    assert "".join(piece.text or "" for piece in pieces) == "Hi"
    assert gemini.models.count_tokens(model="gemini-2.5-flash", contents="echo:Hi").total_tokens == 3
    stranger = google_client(simulator, "invalid")
    with pytest.raises(google.genai.errors.ClientError, match="API key not valid"):
        stranger.models.generate_content(model="gemini-2.5-flash", contents="Hi")

    bedrock = aws_client(simulator)
    messages = [{"role": "user", "content": [{"text": "echo:Hi"}]}]
    conversed = bedrock.converse(modelId=CLAUDE_ON_BEDROCK, messages=messages)
    assert conversed["output"]["message"]["content"] == [{"text": "Hi"}]
    events = bedrock.converse_stream(modelId=CLAUDE_ON_BEDROCK, messages=messages)["stream"]
    assert "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events) == "Hi"
    counted = bedrock.count_tokens(modelId=CLAUDE_ON_BEDROCK, input={"converse": {"messages": messages}})
    assert counted["inputTokens"] == conversed["usage"]["inputTokens"]
    with pytest.raises(bedrock.exceptions.ValidationException, match="model identifier is invalid"):
        bedrock.converse(modelId="nobody", messages=messages)
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidSignatureException"):
        aws_client(simulator, "another secret").converse(modelId=CLAUDE_ON_BEDROCK, messages=messages)
    for exception in ("ThrottlingException", "ModelErrorException", "InternalServerException"):
        status = {"ThrottlingException": 429, "ModelErrorException": 424, "InternalServerException": 500}[exception]
        simulator.fail("aws", "status", code=status)
        with pytest.raises(getattr(bedrock.exceptions, exception)):
            bedrock.converse(modelId=CLAUDE_ON_BEDROCK, messages=messages)
    simulator.fail("aws", "error-mid-stream", after_frames=2)
    with pytest.raises(botocore.exceptions.EventStreamError):
        list(bedrock.converse_stream(modelId=CLAUDE_ON_BEDROCK, messages=messages)["stream"])

    with pytest.raises(openai.AuthenticationError):
        chat.with_options(api_key="sk-invalid").models.list()
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="sk-invalid").models.list()
