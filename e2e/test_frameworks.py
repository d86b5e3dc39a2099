"""LangChain and pydantic-ai, over each protocol that they speak, against every provider."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from harness.processes import Gateway
from harness.speakers import MODELS, SPEAKERS

pytest.importorskip("langchain_openai", reason="not installed: see requirements-frameworks.txt")
pytest.importorskip("pydantic_ai", reason="not installed: see requirements-frameworks.txt")

ODD = 'Grüße ⚖ 🚚 "quoted" \\ back\tslash'
ARGUMENTS = {"what": '"what" \\ é ⚖ 🚚\n\ttab', "grams": 7}
EVERY_PAIR = pytest.mark.parametrize("provider", MODELS)
SPEAKS = pytest.mark.parametrize("speaks", SPEAKERS)


def langchain(speaks: str, url: str, key: str, model: str) -> Any:
    """LangChain's chat model of a protocol."""
    from langchain_anthropic import ChatAnthropic
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_openai import ChatOpenAI

    common: dict[str, Any] = {"model": model, "max_retries": 0, "timeout": 30}
    match speaks:
        case "openai":
            return ChatOpenAI(base_url=f"{url}/v1", api_key=key, use_responses_api=False, **common)
        case "openai-responses":
            return ChatOpenAI(base_url=f"{url}/v1", api_key=key, use_responses_api=True, **common)
        case "anthropic":
            return ChatAnthropic(base_url=url, api_key=key, **common)
        case _:
            return ChatGoogleGenerativeAI(base_url=url, google_api_key=key, vertexai=False, **common)


@functools.cache
def pydantic_ai_model(speaks: str, url: str, key: str, model: str) -> Any:
    """pydantic-ai's model of a protocol."""
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.google import GoogleProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    match speaks:
        case "openai":
            return OpenAIChatModel(model, provider=OpenAIProvider(base_url=f"{url}/v1", api_key=key))
        case "openai-responses":
            return OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=f"{url}/v1", api_key=key))
        case "anthropic":
            return AnthropicModel(model, provider=AnthropicProvider(base_url=url, api_key=key))
        case _:
            return GoogleModel(model, provider=GoogleProvider(base_url=url, api_key=key))


@EVERY_PAIR
@SPEAKS
def test_langchain(gateway: Gateway, session_key: str, speaks: str, provider: str) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def weigh(what: str, grams: int) -> str:
        """Weighs something."""
        return "42 grams"

    model = langchain(speaks, gateway.url, session_key, MODELS[provider])
    assert "".join(piece.text for piece in model.stream(f"echo:{ODD}")) == ODD
    assert model.invoke(f"echo:{ODD}").usage_metadata["output_tokens"] > 0

    with_tools = model.bind_tools([weigh])
    asked = HumanMessage("use a tool, with a preface")
    # Streamed, and folded by the framework.
    pieces = list(with_tools.stream([asked]))
    said = functools.reduce(lambda before, piece: before + piece, pieces)
    assert said.text == "Let me look that up. ⚖"
    [call] = said.tool_calls
    assert (call["name"], call["args"]) == ("weigh", ARGUMENTS)
    answer = with_tools.invoke([asked, said, ToolMessage("42 grams", tool_call_id=call["id"])])
    assert answer.text == "The tools answered: 42 grams"


@EVERY_PAIR
@SPEAKS
def test_pydantic_ai(gateway: Gateway, session_key: str, speaks: str, provider: str) -> None:
    from pydantic_ai import Agent

    agent = Agent(pydantic_ai_model(speaks, gateway.url, session_key, MODELS[provider]), retries=0)
    weighed = []

    @agent.tool_plain
    def weigh(what: str, grams: int) -> str:
        """Weighs something."""
        weighed.append({"what": what, "grams": grams})
        return "42 grams"

    run = agent.run_sync("use a tool, with a preface")
    # For Google, it wraps what a tool has returned.
    assert run.output.startswith("The tools answered: ") and "42 grams" in run.output
    assert weighed == [ARGUMENTS]
    assert run.usage.requests == 2
    streamed = agent.run_stream_sync(f"echo:{ODD}")
    assert streamed.get_output() == ODD
