"""The simulated APIs: where each is called, and with which headers."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Api:
    """One API of a simulated vendor."""

    name: str
    vendor: str
    # Path and query, by the body and by whether its answer is to be streamed.
    target: Callable[[Body, bool], str]
    headers: Callable[[Body], dict[str, str]]
    # The body that asks for a streamed answer, where the body decides.
    streamed: Callable[[Body], Body]
    # The smallest body that says a text.
    saying: Callable[[str], Body]
    # Whether it answers with text, whole or streamed.
    generates: bool = True


def _anthropic_headers(body: Body) -> dict[str, str]:
    # The version of the API that has the body's fields: the packages' own, if possible.
    old = {"temperature", "top_p", "top_k"} & body.keys()
    return {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01" if old else "2026-10-21"}


def _user(text: str) -> list[Body]:
    return [{"role": "user", "content": text}]


def _method(stream: bool) -> str:
    return "streamGenerateContent?alt=sse" if stream else "generateContent"


def _gemini(body: Body, stream: bool) -> str:
    return f"/v1beta/models/gemini-2.5-flash:{_method(stream)}"


def _vertex(body: Body, stream: bool) -> str:
    return f"/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:{_method(stream)}"


CLAUDE_ON_BEDROCK = "global.anthropic.claude-haiku-4-5-20251001-v1:0"


def _bedrock(body: Body, stream: bool) -> str:
    return f"/model/{urllib.parse.quote(CLAUDE_ON_BEDROCK, safe='')}/converse{'-stream' if stream else ''}"


def _converse(text: str) -> Body:
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


def _content(text: str) -> Body:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


APIS = {
    api.name: api
    for api in (
        Api(
            "openai",
            "openai",
            lambda body, stream: "/v1/chat/completions",
            lambda body: {"authorization": "Bearer sk-1"},
            lambda body: {**body, "stream": True},
            lambda text: {"model": "gpt-4o-mini", "messages": _user(text)},
        ),
        Api(
            "openai-responses",
            "openai",
            lambda body, stream: "/v1/responses",
            lambda body: {"authorization": "Bearer sk-1"},
            lambda body: {**body, "stream": True},
            lambda text: {"model": "gpt-4o-mini", "input": text},
        ),
        Api(
            "anthropic",
            "anthropic",
            lambda body, stream: "/v1/messages",
            _anthropic_headers,
            lambda body: {**body, "stream": True},
            lambda text: {"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": _user(text)},
        ),
        Api(
            "openai-embeddings",
            "openai",
            lambda body, stream: "/v1/embeddings",
            lambda body: {"authorization": "Bearer sk-1"},
            lambda body: body,
            lambda text: {"model": "text-embedding-3-small", "input": text},
            generates=False,
        ),
        Api(
            "anthropic-count",
            "anthropic",
            lambda body, stream: "/v1/messages/count_tokens",
            _anthropic_headers,
            lambda body: body,
            lambda text: {"model": "claude-haiku-4-5", "messages": _user(text)},
            generates=False,
        ),
        Api("bedrock", "aws", _bedrock, lambda body: {"authorization": "Bearer absk-1"}, lambda body: body, _converse),
        Api("gemini", "google", _gemini, lambda body: {"x-goog-api-key": "AIza-1"}, lambda body: body, _content),
        Api("vertex", "google", _vertex, lambda body: {"authorization": "Bearer ya29"}, lambda body: body, _content),
    )
}

GENERATING = [name for name, api in APIS.items() if api.generates]
