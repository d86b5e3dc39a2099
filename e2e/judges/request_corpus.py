"""Request bodies to judge by: valid ones, and every way to break each in one place."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

# What takes the place of a value, to see whether its type is checked.
STRANGERS: tuple[Any, ...] = (None, True, -7, 1.5, "stranger", [], {}, [None])


def valid(api: str) -> list[dict[str, Any]]:
    """Bodies that the API accepts."""
    corpora = {"openai": _openai, "openai-responses": _responses, "anthropic": _anthropic}
    corpora |= {"openai-embeddings": _embeddings, "anthropic-count": _counts}
    corpora |= {"gemini": _gemini, "vertex": _vertex, "bedrock": _bedrock}
    return corpora[api]()


def _openai() -> list[dict[str, Any]]:
    base = {"model": "gpt-4o-mini"}
    user = {"role": "user", "content": "Hello"}
    function = {"name": "weather", "description": "Tells the weather.", "parameters": WEATHER}
    tools = [{"type": "function", "function": function}]
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    }
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}
    return [
        {**base, "messages": [user]},
        {**base, "messages": [{"role": "system", "content": "Be brief."}, {**user, "name": "ann"}]},
        {**base, "messages": [{"role": "developer", "content": [{"type": "text", "text": "x"}]}, user]},
        {**base, "messages": [user], "temperature": 0.5, "top_p": 0.9, "frequency_penalty": -1, "presence_penalty": 1},
        {**base, "messages": [user], "max_tokens": 5, "stop": ["a", "b"], "n": 2, "seed": 7, "user": "u"},
        {**base, "messages": [user], "max_completion_tokens": 5, "stop": "a", "logit_bias": {"50": -100}},
        {**base, "messages": [user], "stream": True, "stream_options": {"include_usage": True}},
        {**base, "messages": [user], "logprobs": True, "top_logprobs": 2, "service_tier": "auto"},
        {**base, "messages": [user], "metadata": {"a": "b"}, "store": True, "safety_identifier": "s"},
        {**base, "messages": [user], "response_format": {"type": "text"}, "verbosity": "low", "modalities": ["text"]},
        {
            **base,
            "messages": [user],
            "response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER, "strict": True}},
        },
        {**base, "messages": [user], "tools": tools, "tool_choice": "auto", "parallel_tool_calls": False},
        {
            **base,
            "messages": [user, called, result, {"role": "assistant", "content": "It is sunny."}, user],
            "tools": tools,
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        },
        {**base, "messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, image]}]},
        {**base, "messages": [user, {"role": "assistant", "content": None, "refusal": "No."}, user]},
        {"model": "gpt-5-mini", "messages": [user], "reasoning_effort": "low", "max_completion_tokens": 100},
    ]


def _responses() -> list[dict[str, Any]]:
    base = {"model": "gpt-4o-mini"}
    user = {"role": "user", "content": "Hello"}
    tools = [
        {"type": "function", "name": "weather", "description": "w", "parameters": WEATHER, "strict": False},
        {"type": "custom", "name": "note"},
    ]
    called = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
    noted = {"type": "custom_tool_call", "call_id": "call_2", "name": "note", "input": "x"}
    noted_result = {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"}
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"}
    strict = {**WEATHER, "additionalProperties": False}
    said = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "It is sunny.", "annotations": []}],
    }
    return [
        {**base, "input": "Hello"},
        {**base, "input": [user], "instructions": "Be brief.", "temperature": 0.5, "top_p": 0.9},
        {**base, "input": [{"role": "developer", "content": "x"}, {**user, "type": "message"}], "store": False},
        {**base, "input": [user], "max_output_tokens": 50, "metadata": {"a": "b"}, "user": "u", "truncation": "auto"},
        {**base, "input": [user], "stream": True, "stream_options": {"include_obfuscation": False}},
        {**base, "input": [user], "include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {**base, "input": [user], "service_tier": "auto", "safety_identifier": "s", "prompt_cache_key": "k"},
        {**base, "input": [user], "text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {
            **base,
            "input": [user],
            "text": {"format": {"type": "json_schema", "name": "w", "schema": strict, "strict": True}},
        },
        {**base, "input": [user], "tools": tools, "tool_choice": "auto", "parallel_tool_calls": False},
        {
            **base,
            "input": [user, called, result, said, noted, noted_result],
            "tools": tools,
            "tool_choice": {"type": "function", "name": "weather"},
        },
        {**base, "input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, image]}]},
        {
            **base,
            "input": [user],
            "tools": tools,
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "note"}]},
        },
        {
            "model": "gpt-5-mini",
            "input": [user],
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": 100,
        },
    ]


def _anthropic() -> list[dict[str, Any]]:
    base = {"model": "claude-haiku-4-5", "max_tokens": 100}
    user = {"role": "user", "content": "Hello"}
    tools = [{"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER}]
    text = {"type": "text", "text": "Look"}
    marked = {"type": "text", "text": "Long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    called = {
        "role": "assistant",
        "content": [text, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}],
    }
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text], "is_error": False}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    return [
        {**base, "messages": [user]},
        {**base, "messages": [user], "system": "Be brief.", "stop_sequences": ["a", "b"], "stream": True},
        {**base, "messages": [user], "system": [marked, text], "metadata": {"user_id": "u"}},
        {**base, "messages": [user, {"role": "assistant", "content": "Yes, and"}], "temperature": 0.5, "top_k": 5},
        {**base, "messages": [user], "top_p": 0.9, "service_tier": "auto"},
        {
            **base,
            "messages": [user],
            "tools": tools,
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        {
            **base,
            "messages": [user, called, {"role": "user", "content": [result, text]}],
            "tools": tools,
            "tool_choice": {"type": "tool", "name": "weather"},
        },
        {**base, "messages": [{"role": "user", "content": [image, text]}]},
        {**base, "messages": [{"role": "user", "content": [{**text, "citations": None}]}], "tools": tools},
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 2000,
            "messages": [user],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        },
        {
            **base,
            "messages": [user],
            "output_config": {"format": {"type": "json_schema", "schema": WEATHER}},
        },
    ]


def _embeddings() -> list[dict[str, Any]]:
    base = {"model": "text-embedding-3-small"}
    return [
        {**base, "input": "Hello"},
        {**base, "input": ["Hello", "there"], "encoding_format": "base64", "user": "u"},
        {**base, "input": [1, 2, 3], "dimensions": 8, "encoding_format": "float"},
        {**base, "input": [[1, 2], [3]]},
    ]


def _counts() -> list[dict[str, Any]]:
    left_out = ("max_tokens", "stream", "stop_sequences", "metadata", "service_tier", "temperature", "top_p", "top_k")
    return [{name: value for name, value in body.items() if name not in left_out} for body in _anthropic()]


def _google() -> list[dict[str, Any]]:
    user = {"role": "user", "parts": [{"text": "Hello"}]}
    said = {"role": "model", "parts": [{"text": "Hi"}]}
    weather = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    function = {"name": "weather", "description": "Tells the weather.", "parameters": weather}
    tools = [{"functionDeclarations": [function, {"name": "other", "parametersJsonSchema": WEATHER}]}]
    called = {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "Sunny"}}}]}
    image = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    file = {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf"}}
    sampling = {"temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "presencePenalty": 0.5, "frequencyPenalty": -1}
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    calling = {"mode": "ANY", "allowedFunctionNames": ["weather"]}
    return [
        {"contents": [user]},
        {"contents": [user, said, user], "systemInstruction": {"parts": [{"text": "Be brief."}]}},
        {"contents": [user], "generationConfig": sampling, "safetySettings": safety},
        {"contents": [user], "generationConfig": {"maxOutputTokens": 50, "stopSequences": ["a"], "candidateCount": 2}},
        {"contents": [user], "generationConfig": {"responseMimeType": "application/json", "responseSchema": weather}},
        {"contents": [user], "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 200}}},
        {
            "contents": [user],
            "generationConfig": {"responseLogprobs": True, "logprobs": 2, "responseModalities": ["TEXT"]},
        },
        {"contents": [user], "tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
        {"contents": [user, called, result], "tools": tools, "toolConfig": {"functionCallingConfig": calling}},
        {"contents": [{"role": "user", "parts": [{"text": "Look"}, image, file]}]},
        {"contents": [user], "tools": [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]},
    ]


def _gemini() -> list[dict[str, Any]]:
    newer = {"responseMimeType": "application/json", "responseJsonSchema": WEATHER}
    return [*_google(), {"contents": _google()[0]["contents"], "generationConfig": newer, "store": False}]


def _vertex() -> list[dict[str, Any]]:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}]
    return [*_google(), {"contents": _google()[0]["contents"], "labels": {"a": "b"}, "safetySettings": safety}]


def _bedrock() -> list[dict[str, Any]]:
    user = {"role": "user", "content": [{"text": "Hello"}]}
    said = {"role": "assistant", "content": [{"text": "Hi"}]}
    tool = {"name": "weather", "description": "Tells the weather.", "inputSchema": {"json": WEATHER}}
    tools = {"tools": [{"toolSpec": tool}, {"cachePoint": {"type": "default"}}]}
    called = {
        "role": "assistant",
        "content": [
            {"text": "So"},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}},
        ],
    }
    image = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    document = {"document": {"format": "pdf", "name": "Report (1)", "source": {"bytes": "aGk="}}}
    result = {"toolUseId": "tooluse_1", "content": [{"text": "Sunny"}, {"json": {"c": 20}}, image], "status": "success"}
    answered = {"role": "user", "content": [{"toolResult": result}, {"text": "Hello"}]}
    schema = {"name": "w", "schema": json.dumps(WEATHER)}
    return [
        {"messages": [user]},
        {
            "messages": [user, said, user],
            "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        },
        {"messages": [user], "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["a"]}},
        {"messages": [user], "inferenceConfig": {"topP": 0.9}, "additionalModelResponseFieldPaths": ["/stop_sequence"]},
        {"messages": [user], "toolConfig": {**tools, "toolChoice": {"auto": {}}}},
        {"messages": [user, called, answered], "toolConfig": {**tools, "toolChoice": {"tool": {"name": "weather"}}}},
        {"messages": [{"role": "user", "content": [{"text": "Look"}, image, document]}]},
        {"messages": [user], "additionalModelRequestFields": {"top_k": 5}, "requestMetadata": {"team": "a"}},
        {
            "messages": [user],
            "inferenceConfig": {"maxTokens": 2000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        },
        {
            "messages": [user],
            "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}},
            "serviceTier": {"type": "default"},
            "performanceConfig": {"latency": "standard"},
        },
    ]


def broken(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The body with one thing changed: a field left out, a stranger in a place, a stranger added."""
    for path, value in _places(body):
        *way, last = path
        for stranger in STRANGERS:
            if stranger != value or type(stranger) is not type(value):
                yield _changed(body, way, last, stranger)
        if isinstance(last, str):
            yield _changed(body, way, last, _GONE)
        if isinstance(value, dict):
            yield _changed(body, path, "stranger", 1)


def shuffled(api: str, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Bodies with two or three changes, the same for the same seed."""
    draw = random.Random(f"{api} {seed}")
    bodies = valid(api)
    for _ in range(count):
        body = draw.choice(bodies)
        for _ in range(draw.randint(2, 3)):
            places = [path for path, _ in _places(body)]
            if not places:
                break
            *way, last = draw.choice(places)
            change = _GONE if isinstance(last, str) and draw.random() < 0.2 else draw.choice(STRANGERS)
            body = _changed(body, way, last, change)
        yield body


_GONE = object()


def _places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield (*path, key), value
        yield from _places(value, (*path, key))


def _changed(body: dict[str, Any], way: list[Any] | tuple[Any, ...], last: Any, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    node: Any = changed
    for step in way:
        node = node[step]
    if value is _GONE:
        del node[last]
    else:
        node[last] = value
    return changed
